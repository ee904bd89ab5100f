"""Write sample.txt: made-up stories in the raw format of TinyStories, with the flaws that the tutorial removes."""

import random
import re
from pathlib import Path

STORIES = 330
SEPARATOR = "<|endoftext|>"
ENDMARKS = '.!?" '
MOJIBAKE = {"\u2019": "\u00e2\u20ac\u2122", "\u201c": "\u00e2\u20ac\u0153", "\u201d": "\u00e2\u20ac\x9d"}

WORDS = {
    "girl": "Mia, Ada, Rosa, Nell, Ivy, Tess, Wren, Hana, Lotte, Maya, June, Zuri, Edda, Pia, Noor",
    "boy": "Otto, Finn, Jonas, Theo, Ravi, Emil, Kofi, Hugo, Bram, Nico, Arlo, Sami, Leif, Pablo, Ned",
    "animal": "hedgehog, otter, donkey, squirrel, goose, mole, fox cub, beaver, sparrow, hare, badger, lamb, toad",
    "thing": (
        "red kite, tin whistle, wooden boat, blue bucket, paper lantern, striped scarf, tiny wheelbarrow, "
        "glass marble, brass bell, woolen hat, yellow umbrella, toy drum, jar of honey, box of crayons"
    ),
    "place": (
        "by the mill pond, behind the bakery, at the edge of the wood, near the harbor, in the old orchard, "
        "beside the train tracks, on a windy hill, under the stone bridge, next to the library, in a narrow valley"
    ),
    "weather": "sunny, foggy, windy, cold, bright, rainy, warm, snowy, quiet",
    "mood": "proud, curious, shy, cheerful, stubborn, patient, dreamy, brave, careful",
    "sad": "sad, worried, lonely, cross, afraid, tired",
    "glad": "glad, happy, relieved, delighted, calm, proud",
    "job": "baker, gardener, fisherman, teacher, postman, farmer, painter, clockmaker",
    "food": "plum cake, warm bread, pea soup, apple slices, oat cookies, cherry jam, roasted nuts",
    "lesson": (
        "asking for help is not weak, a shared treat tastes better, being slow is not the same as being lost, "
        "small hands can do big things, a promise is worth keeping, it is fine to try again tomorrow, "
        "a friend can be very different from you, listening is a kind of gift"
    ),
}

SLOTS = {
    "opening": [
        "Once upon a time there was a {mood} {child} called {name} who lived {place}.",
        "{name} was a {mood} {child}, and {name} lived {place} with a grandmother and a sleepy {animal}.",
        "One {weather} morning {name} woke up early and ran outside.",
        "In a small house {place} lived a {mood} {child}. The name of the {child} was {name}.",
        "It was a {weather} day, and {name} had nothing to do.",
    ],
    "wish": [
        "More than anything else, {name} loved a {thing}. It had been a present from the {job}.",
        "{name} had a {thing} and took it everywhere, even to bed.",
        "For a long time {name} had wanted a {thing}, and today there was one in the window of the {job}.",
        "On the table lay a {thing}. {name} looked at it and smiled.",
    ],
    "walk": [
        "After breakfast {name} took the {thing} and some {food}, and went down the path {place}.",
        "{name} put on boots and walked and walked until the houses were very small.",
        "The road was long, but the birds were singing, so {name} hummed along with them.",
        "A {weather} wind was blowing, and the leaves danced around the feet of the {child}.",
    ],
    "trouble": [
        "Suddenly the {thing} slipped away and rolled into a deep hole. {name} felt {sad}.",
        "Then a big {animal} came along, took the {thing} and would not give it back. {name} was {sad}.",
        "But when {name} looked around, the {thing} was gone! It was not in the grass and not in the bag.",
        "Then it began to rain, and the {thing} got wet and would not work any more. The {child} was {sad}.",
        "At the gate {name} heard someone crying. It was a little {animal}, and it looked {sad}.",
    ],
    "talk": [
        '"What is the matter?" asked the {animal}. "I don\'t know what to do," said {name}.',
        '"Please don\'t cry," said {name}. "We can look for it together, can\'t we?"',
        '"May I help you?" asked the old {job}. "Yes, please," whispered {name}.',
        '"That\'s mine," {name} said. "I am sorry," said the {animal}, "I only wanted to play."',
        '"Let me think," said the {animal}. "I have an idea, but it needs two of us."',
    ],
    "work": [
        "So they fetched a long rope and pulled. They pulled once, and they pulled twice, and nothing moved.",
        "They looked under every stone and behind every tree. It took the whole afternoon.",
        "The {job} brought a ladder, and the {animal} held it so that it would not shake.",
        "First they dried it with the hat of the {job}. Then they waited, and ate {food} while they waited.",
        "{name} counted to ten, took a deep breath and tried again.",
    ],
    "rescue": [
        "At last there it was, as good as new! {name} laughed and clapped.",
        "In the end the {animal} found it in its own nest, and everybody had to laugh.",
        "And then, with a little plop, the {thing} came free. They were all so {glad}!",
        "When the sun came out again, the {thing} was dry, and it worked even better than before.",
    ],
    "ending": [
        "In the evening they shared the {food}, and {name} was {glad}. From that day on they knew that {lesson}.",
        '{name} ran home and told everything at dinner. "You see," said the grandmother, "{lesson}."',
        "They became good friends, and they met {place} every day. They had learned that {lesson}.",
        "That night {name} fell asleep with a smile, for now {name} knew that {lesson}.",
        '"Thank you," said {name}. "I will come back tomorrow!" And so it was.',
    ],
}
LONG = ["opening", "wish", "walk", "trouble", "talk", "work", "rescue", "ending"]
LONGER = ["opening", "wish", "walk", "trouble", "talk", "work", "talk", "work", "rescue", "ending"]
SHORT = ["opening", "wish", "ending"]


def main() -> None:
    chance = random.Random(2026)
    stories = [make_story(chance, number) for number in range(STORIES)]
    text = f"\n{SEPARATOR}\n".join(stories)
    Path(__file__).with_name("sample.txt").write_text(f"{text}\n", encoding="utf-8")


def make_story(chance: random.Random, number: int) -> str:
    """Every tenth story is too short, every twelfth breaks off; a few are blank, and a few were decoded wrongly."""
    if number % 97 == 96:
        return "\n"
    parts = SHORT if number % 10 == 9 else chance.choice([LONG, LONGER])
    cast = {kind: chance.choice(words.split(", ")) for kind, words in WORDS.items()}
    cast["child"] = chance.choice(["girl", "boy"])
    cast["name"] = cast[cast["child"]]
    slots = {part: chance.sample(sentences, len(sentences)) for part, sentences in SLOTS.items()}
    sentences = [slots[part].pop().format(**cast) for part in parts]
    break_after = chance.choice(range(2, len(sentences)))
    paragraph = chance.choice(["\n", "\n\n"])
    text = " ".join(sentences[:break_after]) + paragraph + " ".join(sentences[break_after:])
    text = re.sub(r"\b([Aa]) (?=[aeio]|um)", r"\1n ", text)
    if number % 12 == 5:
        text = text[: -chance.randrange(5, 40)].rstrip(ENDMARKS)
    if number % 3 == 0:
        text = curl(text)
    return as_if_windows_1252(text) if number % 24 == 3 else text


def curl(text: str) -> str:
    """Make quotation marks curly, as typesetters do."""
    text = re.sub(r'(?<!\S)"', "\u201c", text)
    return text.replace('"', "\u201d").replace("'", "\u2019")


def as_if_windows_1252(text: str) -> str:
    """Decode the UTF-8 of curly quotation marks as many an old program did."""
    return text.translate(str.maketrans(MOJIBAKE))


if __name__ == "__main__":
    main()
