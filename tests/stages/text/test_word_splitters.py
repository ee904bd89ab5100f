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


def test_golden_word_counts_of_chinese():
    text = "buy now buy now buy now buy now cheap pills 50% off!!! [click](http://x.yz) ### # {a} (b) 12345 67890"
    assert len(word_splitter("zh")(text)) == 55
    assert len(word_splitter("zh")("一只猫坐在垫子上。狗也在那里。\n他们很开心…")) == 16


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
