"""What kernels count in bytes is what their plain Python counts in the text."""

import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.kernels import boilerplate, characters, lines, ngrams, numbering, octets, sentences, urls, vocabulary
from nemo_curator.tasks.text_column import TextColumn
from tests.kernels.texts import CHARACTERS, documents, texts

KERNELS = {
    "kinds": (characters.count_kinds, characters.kinds_of, (characters.digits,)),
    "letters": (characters.count_listed, characters.letters_of, (characters.letters,)),
    "vocabulary": (vocabulary.count_vocabulary, vocabulary.vocabulary_of, (characters.letters,)),
    "lines": (lines.count_lines, lines.lines_of, ()),
    "urls": (urls.count_urls, urls.urls_of, ()),
    "boilerplate": (boilerplate.count_boilerplate, boilerplate.boilerplate_of, ()),
    "sentences": (sentences.count_sentences, sentences.sentences_of, (sentences.sentence_ends, 5)),
    "n-grams": (ngrams.count_repetition, ngrams.repetition_of, (1, 12, 6)),
}


def counted(kernel, found, more):
    return kernel(*TextColumn(found).buffers, *(each() if callable(each) else each for each in more)).tolist()


def defined(row_wise, found, more):
    return [row_wise(text, *(each for each in more if not callable(each))) for text in found]


@pytest.mark.parametrize("name", KERNELS)
@settings(deadline=None, max_examples=150)
@given(found=documents)
def test_a_kernel_counts_what_its_definition_counts(name, found):
    kernel, row_wise, more = KERNELS[name]
    assert counted(kernel, found, more) == defined(row_wise, found, more)


@pytest.mark.parametrize("name", [name for name in KERNELS if name != "n-grams"])
@settings(deadline=None, max_examples=100)
@given(text=texts)
def test_it_does_not_matter_where_in_a_block_something_stands(name, text):
    kernel, row_wise, more = KERNELS[name]
    found = [f"{'x' * before}{text}{'x' * after}" for before in range(0, 70, 7) for after in (0, 1, 2, 64)]
    assert counted(kernel, found, more) == defined(row_wise, found, more)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_knows_every_character(name):
    kernel, row_wise, more = KERNELS[name]
    chars = [char for char in CHARACTERS if ord(char) % 64 == 0 or unicodedata.category(char) not in ("Cn", "Co")]
    found = [f"a{char} b{char}\n{char}c\n" for char in chars]
    more = tuple(min(each, 2) if isinstance(each, int) else each for each in more)
    wrong = [
        char
        for char, ours, wanted in zip(chars, counted(kernel, found, more), defined(row_wise, found, more))
        if ours != wanted
    ]
    assert wrong == []


@pytest.mark.parametrize("name", KERNELS)
@settings(deadline=None, max_examples=100)
@given(data=st.lists(st.sampled_from([*b"a \n:/.", *range(0x80, 0x100)]), max_size=90).map(bytes))
def test_broken_utf8_is_read_without_leaving_the_text(name, data):
    kernel, _, more = KERNELS[name]
    buffers = np.frombuffer(data, np.uint8), np.array([0, len(data) // 2, len(data)])
    assert len(kernel(*buffers, *(each() if callable(each) else each for each in more))) == 2


def test_the_tables_are_the_classes_of_the_regex_module():
    text = "".join(CHARACTERS)
    assert [char for char in CHARACTERS if characters.letters()[ord(char)]] == regex.findall("[[:alpha:]]", text)
    assert [char for char in CHARACTERS if characters.digits()[ord(char)]] == regex.findall(r"\p{Nd}", text)
    assert not characters.letters()[0xD800:0xE000].any()


def test_letters_are_what_isalpha_finds_and_more():
    table = characters.letters()
    assert all(table[ord(char)] for char in CHARACTERS if char.isalpha())
    assert all(characters.digits()[ord(char)] for char in CHARACTERS if char.isdecimal())


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=20) | st.sampled_from([b"a" * 9, b"a" * 17, b"sevenby\x0f", b"sevenby"]), max_size=30)
)
def test_equal_spans_and_only_they_get_the_same_number(parts):
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    edges = np.array([edge for start, end in zip([0, *ends], ends) for edge in (start, end)], np.int64)
    numbers = number(np.frombuffer(b"".join(parts) + bytes(octets.ROOM), np.uint8).copy(), edges, len(parts))
    assert numbers == [list(dict.fromkeys(parts)).index(part) for part in parts]


def test_keys_that_collide_are_told_apart_by_their_bytes(monkeypatch):
    parts = [b"sixteen bytes..a", b"sixteen bytes..b", b"sixteen bytes..a", b"seventeen bytes.a", b"seventeen bytes.b"]
    monkeypatch.setattr(octets, "_hash_of", lambda memory, at, end: np.uint64(1))
    ends = np.cumsum([len(part) for part in parts])
    edges = np.array([edge for start, end in zip([0, *ends], ends) for edge in (start, end)], np.int64)
    memory = np.frombuffer(b"".join(parts) + bytes(octets.ROOM), np.uint8)
    assert number_in_python(monkeypatch, memory, edges, len(parts)) == [0, 1, 0, 2, 3]


def test_a_table_is_emptied_before_its_numbers_outgrow_it():
    slots = np.full(16, 5, np.int32)
    assert numbering.next_base.compiled()(10, 3, slots) == 13
    assert slots.tolist() == [5] * 16
    assert numbering.next_base.compiled()(octets.LARGEST - 40, 30, slots) == 0
    assert slots.tolist() == [-1] * 16


def test_a_document_too_long_for_the_tables_is_refused():
    with pytest.raises(ValueError, match="2 GiB"):
        octets.longest_of.compiled()(np.array([0, 5, 1 << 31]))


def number(memory, edges, count):
    tables = numbering.tables_for.compiled()(max(count, 1))
    numbering.number_spans.compiled()(memory, edges, count, tables, 0)
    return tables.groups[:count].tolist()


def number_in_python(monkeypatch, memory, edges, count):
    """The same loops, not compiled, so that one of them can be replaced."""
    for module, names in {
        numbering: ("same", "key_of", "slot_of", "table_size", "_is_span", "_number_in"),
        octets: ("load8",),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).function)
    with np.errstate(over="ignore"):
        tables = numbering.tables_for.function(count)
        numbering.number_spans.function(memory, edges, count, tables, 0)
    return tables.groups[:count].tolist()


@pytest.mark.parametrize("text", ["." * 400_000, ".)" * 200_000, "." + ")" * 400_000])
def test_the_definition_of_a_sentence_reads_a_text_of_nothing_but_marks_once(text):
    assert sentences.sentences_of(10 * text, 30)[-1] == 1  # in quadratic time it would never end


@settings(deadline=None, max_examples=100)
@given(st.text("ab", min_size=1, max_size=8), st.lists(st.text("ab", min_size=1, max_size=12), max_size=12))
def test_a_word_is_found_also_where_its_beginning_comes_again(word, others):
    found = [" ".join([word, *others[:at], word, *others[at:], word]) for at in range(len(others) + 1)]
    assert counted(ngrams.count_repetition, found, (1, 2, 2)) == defined(ngrams.repetition_of, found, (1, 2, 2))


def test_a_word_that_nearly_stands_everywhere_is_searched_in_linear_time():
    size = 1_000_000  # in quadratic time it would take an hour
    word = "a" * size + "b"
    text = [f"{word} {word} {'a' * 4 * size}"]
    assert counted(ngrams.count_repetition, text, (1, 1, 1)) == [[[size + 1, 2 * size + 2, 2 * size + 2]]]
