import os
import subprocess
import sys

import pytest

from nemo_curator.errors import MissingExtraError
from nemo_curator.stages.text.word_splitters import REQUIRES, requires, word_splitter

TEXTS = {
    "zh": ("一只猫坐在垫子上。\n他们很开心", ["一只", "猫", "坐在", "垫子", "上", "。", "\n", "他们", "很", "开心"]),
    "ja": ("吾輩は猫である。\nMeCabも\0読む", ["吾輩", "は", "猫", "で", "ある", "。", "MeCab", "も", "読む"]),
    "th": ("ฉันรักภาษาไทย  hello\nเพราะฉันเป็นคนไทย", ["ฉัน", "รัก", "ภาษาไทย", "hello", "เพราะ", "ฉัน", "เป็น", "คนไทย"]),
}


@pytest.mark.parametrize("lang", TEXTS)
def test_a_language_without_spaces_is_split_into_words(lang):
    text, words = TEXTS[lang]
    split = word_splitter(lang)
    assert split(text) == words
    assert split("") == []
    assert word_splitter(lang) is split


@pytest.mark.parametrize("lang", ["en", "de", "", "zz"])
def test_other_languages_are_split_at_white_space(lang):
    assert word_splitter(lang) is None
    assert requires(lang) == {}


GOLDEN = [  # text, words, mean length of those that are not empty
    (
        (
            "The cat sat on the mat. It was happy to be with the dog!\n"
            "The dog and the cat have a house that is big.\n\nThey read more books..."
        ),
        62,
        2.048387,
    ),
    (
        (
            "• first item\n• second item\n- third item\n• first item\n\n"
            "Terms of Use: see https://example.com/a?b=1 and http://porn.example.org/x_y."
        ),
        64,
        2.03125,
    ),
    (
        "buy now buy now buy now buy now cheap pills 50% off!!! [click](http://x.yz) ### # {a} (b) 12345 67890",
        55,
        1.836364,
    ),
    ("一只猫坐在垫子上。狗也在那里。\n他们很开心…", 16, 1.375),
    ("a b c d a b c d a b c d a b c d e f g h", 39, 1),
    ("one line\none line\none line\nanother line\n\none para\n\none para", 25, 2.36),
    ("   leading and trailing\t\ttabs \n\n\n\nthree blank lines, Привет мир 2024   ", 32, 2.03125),
    ("x", 1, 1),
]


@pytest.mark.parametrize(("text", "count", "mean"), GOLDEN)
def test_golden_words_of_chinese(text, count, mean):
    words = word_splitter("zh")(text.strip())
    assert len(words) == count
    assert sum(map(len, words)) / len(words) == pytest.approx(mean, abs=5e-7)


def run(code, **variables):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )


def test_the_dictionary_of_jieba_is_kept_in_the_users_cache_and_nothing_is_printed(tmp_path):
    code = "from nemo_curator.stages.text.word_splitters import word_splitter as w; print(len(w('zh')('一只猫')))"
    for _ in range(2):
        done = run(code, XDG_CACHE_HOME=str(tmp_path), TMPDIR=str(tmp_path / "none"))
        assert (done.stdout, done.stderr) == ("2\n", "")
    assert [path.name for path in (tmp_path / "nemo_curator" / "jieba").iterdir()] == ["jieba.cache"]


def test_words_are_split_where_the_home_folder_cannot_be_written(tmp_path):
    code = (
        "from nemo_curator.stages.text.word_splitters import word_splitter as w\n"
        "print([len(w(lang)('ฉันรักภาษาไทย')) for lang in ('th', 'ja', 'zh')][0])"
    )
    done = run(code, HOME="/proc/nowhere", XDG_CACHE_HOME="", PYTHAINLP_DATA="", TMPDIR=str(tmp_path))
    assert done.stdout == "3\n"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_extra():
    code = (
        "import sys\nfrom nemo_curator.errors import MissingExtraError\n"
        "from nemo_curator.stages.text.word_splitters import word_splitter\n"
        "for lang, name in (('zh', 'jieba'), ('ja', 'MeCab'), ('th', 'pythainlp.tokenize')):\n"
        "    sys.modules[name] = None\n"
        "    try: word_splitter(lang)\n"
        "    except MissingExtraError as error: print(error)\n"
    )
    lines = run(code).stdout.splitlines()
    assert len(lines) == len(REQUIRES)
    assert all("pip install 'curator-ray[cjk]'" in line for line in lines)
    assert issubclass(MissingExtraError, ImportError)
