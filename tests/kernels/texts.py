"""Texts that hold what kernels may stumble over: for hypothesis."""

import sys

from hypothesis import strategies as st

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
SPACES = [char for char in CHARACTERS if char.isspace()]
WORDS = ["the", "of", "a", "b", "cat", "...", "[...]", "…", "(...)", "[…]", "-»", "Read", "more..", "more", "MORE"]
WORDS += [
    "#",
    "##",
    "#x#",
    "#é#x#",
    "é",
    "猫",
    "🐈",
    "e\u0301",
    "\u0627\u064e",
    "٣",
    "１２",
    "x\0",
    "ⅷ",
    "⟨⟩",
    "{}[]()",
]
WORDS += [
    "sevenby",
    "eightbyt",
    "ninebytes",
    "sixteenbytesword",
    "seventeenbyteword",
    "Привет",
    "unpronounceableword" * 3,
]
WORDS += ["sevenby\x0f", "sevenby\0", "abcdefgh\0", "ab\u0301", "\u212aite", "İ", "\u200b", "\u180e", "\x08", "{}[]()"]
LINES = [
    "• item",
    "◦ item.",
    "- item",
    "\u2022",
    "an ending.",
    'said "so"',
    "what?\u3000",
    "read more",
    "READ MORE..\u00a0",
]
PHRASES = [
    "Terms of Use",
    "uses coo\u212aies",
    "LOREM ipsum",
    "privacy & cookies policy",
    "use cookie",
    "cookies policy",
]
URLS = [
    "http://a",
    "https://b.c/%20%zz",
    "http://",
    "https://é",
    "httphttps://porn.x",
    "HTTP://x",
    "s://",
    "http://a,http://b",
]

pieces = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from([" ", " ", "\n", "\n\n", "\n\n\n", "\t", "\r\n"]),
    st.sampled_from([" ", " ", "\n"]),
    st.sampled_from(SPACES),
    st.sampled_from(LINES + PHRASES + URLS),
    st.sampled_from(["x" * 61, "x" * 62, "x" * 63, "x " * 40, "the cat of the cat of ", "日本" * 40, "a b a b a b "]),
    st.text(max_size=4),
)
texts = st.one_of(
    st.lists(pieces, max_size=30).map("".join),
    st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join),
    st.lists(st.sampled_from(["a", "b", "aa", "猫"]), max_size=60).map(" ".join),
    st.lists(st.sampled_from(LINES + WORDS[:3] + [" ", "", "\u2003"]), max_size=20).map("\n".join),
)
documents = st.lists(texts, max_size=4)
