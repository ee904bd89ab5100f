from itertools import pairwise

import pyarrow as pa
import pytest

from nemo_curator.backends.run_stage import run_chain
from nemo_curator.ledger.counts import StageCount
from nemo_curator.stages.text import recipes
from nemo_curator.stages.text.filters import MarkRejected
from nemo_curator.tasks import DocumentBatch

SENTENCES = [
    "The old town lies between two rivers, and most of its houses were built by people who came over the mountains.",
    "Every spring the water rises, so that nobody can cross the lower bridge without getting wet feet.",
    "In a small shop near the church one can buy maps that show where the wall of the town once stood.",
    "We walked along that wall with a guide, who told us about fires, floods and a very stubborn mayor.",
    "At night, when the lights of the harbour go out, it is quiet enough to hear the bells of the next village.",
    "Nobody knows how long the ferry will be running, for the company has not paid its captain since last year.",
]
PROSE = "\n".join(SENTENCES)
SPAM = "Buy cheap pills now! " * 60
WORDS = PROSE.split()
LIST = "\n".join(f"• {sentence}" for sentence in SENTENCES)
LINES = PROSE + "\n" + "\n".join(SENTENCES[:5] * 2)
RUSSIAN = "\n".join(
    [
        "Старый город лежит между двумя реками, и его дома построили люди, пришедшие из-за гор много лет назад.",
        "Каждую весну вода поднимается так высоко, что по нижнему мосту нельзя пройти, не промочив при этом ноги.",
        "В маленькой лавке у церкви продают карты, на которых видно, где раньше стояла городская стена и ворота.",
        "Мы шли вдоль этой стены с проводником, который рассказывал о пожарах, наводнениях и упрямом градоначальнике.",
    ]
)

HEURISTIC = [
    (PROSE, None),
    (" ".join(f"{word} #" if at % 7 == 0 else word for at, word in enumerate(WORDS)), "symbol_to_word"),
    (PROSE.replace("a", "7").replace("e", "3").replace("o", "0"), "numbers_ratio"),
    (PROSE.replace("\n", " http://example.org/a/very/long/address/of/something/or/other/page.html\n"), "urls_ratio"),
    (SENTENCES[0], "word_count"),
    (SENTENCES[0] + "\n" + "We use cookies.\n\nPrivacy Policy\n\nTerms of use", "boilerplate_string_ratio"),
    (LINES, "repeated_lines"),
    (PROSE.replace(".", ""), "punctuation"),
    (SENTENCES[0] + " " + " ".join(SENTENCES[1:4] * 4), "repeating_dup_5gram"),
    (LIST, "bullet_ratio"),
    (PROSE.replace(".\n", "...\n"), "ellipsis"),
    (PROSE + " " + "x" * 2000, "mean_word_length"),
]


def verdict(stages, text):
    """Which filter drops a text, or None; and what became of the text."""
    counts = [StageCount(stage.name) for stage in stages]
    made = list(run_chain(stages, [DocumentBatch(data=pa.table({"body": [text]}))], counts))
    left = [each for batch in made for each in batch.to_pyarrow().column("body").to_pylist()]
    assert all(count.imbalance == 0 and not count.failed for count in counts)
    return next((by for count in counts for by in count.dropped), None), left[0] if left else None


@pytest.mark.parametrize(("text", "reason"), HEURISTIC)
def test_the_heuristics_drop_by_the_filter_that_knows(text, reason):
    assert verdict(recipes.heuristic_english("body"), text)[0] == reason


def test_other_languages_are_judged_without_knowing_english():
    assert verdict(recipes.heuristic_english("body"), RUSSIAN)[0] == "alpha_numeric"
    assert verdict(recipes.heuristic_non_english("body"), RUSSIAN) == (None, RUSSIAN)
    assert len(recipes.heuristic_english()) == 28
    assert len(recipes.heuristic_non_english()) == 25


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        (SENTENCES[0], "word_count"),
        (PROSE.replace(" ", ""), "word_count"),
        (" ".join(f"{word} …" if at % 4 == 0 else word for at, word in enumerate(WORDS)), "symbols_per_word"),
        (LIST, "bullet_lines"),
        (PROSE.replace(" ", " 12345 "), "words_without_alphabets"),
        (RUSSIAN, "stop_words"),
    ],
)
def test_gopher_keeps_prose(text, reason):
    assert verdict(recipes.gopher_quality("body"), text)[0] == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        (LINES, "duplicate_lines"),
        ("\n\n".join(SENTENCES * 2), "duplicate_lines"),
        ("\n\n".join([PROSE, "the same", "the same", "the same"]), "duplicate_paragraphs"),
        (SPAM, "top_2gram"),
        (" ".join([*SENTENCES, *SENTENCES[:3]]), "repeating_dup_5gram"),
    ],
)
def test_gopher_drops_what_repeats_itself(text, reason):
    assert verdict(recipes.gopher_repetition("body"), text)[0] == reason


PAGE = "\n".join(
    [
        "Home | About",
        SENTENCES[0] + "[3]",
        "Please enable JavaScript to see it all.",
        *SENTENCES[1:],
        "Read more...",
        "OK.",
    ]
)


@pytest.mark.parametrize(
    ("text", "reason", "left"),
    [
        (PAGE, None, PROSE),
        (PAGE + "\nOur privacy policy has changed again.", None, PROSE),
        (PROSE + "\nIt costs {price} a day.", "curly_brace", None),
        (PROSE + "\nLorem ipsum dolor sit amet.", "lorem_ipsum", None),
        ("\n".join(SENTENCES[:4]), "min_sentences", None),
        ("Home\nAbout\nContact", "min_sentences", None),
    ],
)
def test_c4_cleans_pages_line_by_line(text, reason, left):
    assert verdict(recipes.c4("body"), text) == (reason, left)


def test_c4_may_be_asked_for_less():
    headline = "A headline of several words"
    assert verdict(recipes.c4("body", end_marks=False, min_sentences=0), headline) == (None, headline)
    assert verdict(recipes.c4("body", min_sentences=0, min_words_per_line=7), "Six words are in this line.")[1] == ""


@pytest.mark.parametrize(
    ("extra", "reason", "left"),
    [
        (["Menu", "12", "3 likes"], None, PROSE),
        (["", "End of it"], None, PROSE + "\n\nEnd of it"),
        (["SUBSCRIBE NOW TO OUR NEWSLETTER AND NEVER MISS A THING"], "line_filter", None),
    ],
)
def test_refined_web_removes_lines_that_are_no_text(extra, reason, left):
    assert verdict(recipes.refined_web_lines("body"), "\n".join([PROSE, *extra])) == (reason, left)


def in_short_lines(sentence):
    words = sentence.split()
    ends = [len(words) * part // 5 for part in range(6)]
    return "\n".join(" ".join(words[start:end]) for start, end in pairwise(ends))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        (PROSE.replace("\n", " And so on\n") + " And so on", "lines_ending_with_punctuation"),
        ("\n".join(map(in_short_lines, SENTENCES)), "short_lines"),
        ("\n".join([PROSE, "It was quiet there.", "It was quiet there."]), "char_duplicates"),
        (SPAM, "top_2gram"),
        (SENTENCES[0], "word_count"),
    ],
)
def test_fineweb_adds_rules_of_its_own(text, reason):
    assert verdict(recipes.fineweb("body"), text)[0] == reason


def test_a_recipe_can_mark_instead_of_dropping():
    texts = [text for text, _ in HEURISTIC]
    batch = DocumentBatch(data=pa.table({"text": texts}))
    made = MarkRejected(recipes.heuristic_english()).process(batch).to_pyarrow()
    assert made.column("rejected_by").to_pylist() == [reason for _, reason in HEURISTIC]
