"""Words of languages that do not put spaces between them.

Example:
    >>> word_splitter("en") is None
    True
    >>> word_splitter("zh")("一只猫坐在垫子上")
    ['一只', '猫', '坐在', '垫子', '上']
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from nemo_curator.errors import need
from nemo_curator.utils.user_cache import user_cache

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIRES = {
    "zh": {"jieba": "cjk"},
    "ja": {"MeCab": "cjk", "unidic_lite": "cjk"},
    "th": {"pythainlp": "cjk"},
}
"""What each language imports, and the extra that installs it."""


def requires(lang: str) -> dict[str, str]:
    """The optional modules that splitting this language imports, for the `requires` of a filter or stage."""
    return REQUIRES.get(lang, {})


@cache
def word_splitter(lang: str) -> Callable[[str], list[str]] | None:
    """Return the function that splits a text of this language into words; None stands for `str.split`.

    Chinese (`zh`) by jieba, which keeps every character, spaces and punctuation too; Japanese (`ja`) by MeCab with
    UniDic; Thai (`th`) by PyThaiNLP's newmm. Dictionaries are loaded once in a process, when first asked for.
    """
    make = {"zh": _chinese, "ja": _japanese, "th": _thai}.get(lang)
    return None if make is None else make()


def _chinese() -> Callable[[str], list[str]]:
    jieba = need("jieba", extra="cjk")
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # by default jieba unmarshals its dictionary from a file in /tmp that any user may have written
    tokenizer.tmp_dir = str(user_cache("jieba"))
    tokenizer.initialize()
    return tokenizer.lcut


def _japanese() -> Callable[[str], list[str]]:
    dictionary = need("unidic_lite", extra="cjk").DICDIR
    # without a configuration file of its own, MeCab fails where the system has none
    tagger = need("MeCab", extra="cjk").Tagger(f'-r /dev/null -d "{dictionary}" -Owakati')

    def split(text: str) -> list[str]:
        # MeCab stops at a null character; a word may hold the wide space, so str.split() would cut too much
        line = tagger.parse(text.replace("\0", " ")).rstrip("\n")
        return [word for word in line.split(" ") if word]

    return split


def _thai() -> Callable[[str], list[str]]:
    # on import it makes a folder for what it might download, in the home folder, and fails where it cannot
    if not (os.environ.get("PYTHAINLP_DATA") or os.environ.get("PYTHAINLP_DATA_DIR")):
        os.environ["PYTHAINLP_DATA"] = str(user_cache("pythainlp"))
    tokenize = need("pythainlp.tokenize", extra="cjk").word_tokenize
    tokenize("")

    def split(text: str) -> list[str]:
        return [word for word in tokenize(text, engine="newmm") if not word.isspace()]

    return split
