"""Write stories/: stories of the TinyStories sample as JSON Lines, with copies, near copies and rubbish among them."""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
STORIES = HERE.parent / "tinystories" / "sample.txt"
RUBBISH = [
    "404 Not Found",
    "BUY NOW!!! CHEAP PILLS!!! BUY NOW!!! CHEAP PILLS!!! " * 8,
    "Home | News | Shop | About | Contact\n" * 20,
    "lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 12,
    "12 34 56 78 90 " * 40,
]


def main(folder: Path = HERE / "stories") -> None:
    chance = random.Random(7)
    stories = [text.strip() for text in STORIES.read_text(encoding="utf-8").split("<|endoftext|>")][:100]
    copies = chance.sample(stories, 12)
    near = [f"{text} Shared by a reader." for text in chance.sample(stories, 8)]
    texts = [*stories, *copies, *near, *RUBBISH]
    chance.shuffle(texts)
    folder.mkdir(exist_ok=True)
    half = len(texts) // 2
    for name, part in {"a": texts[:half], "b": texts[half:]}.items():
        lines = [
            json.dumps({"id": f"{name}{number:03}", "site": f"site-{name}.example", "text": text}, ensure_ascii=False)
            for number, text in enumerate(part)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
