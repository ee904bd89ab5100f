"""Documents that ftfy leaves as they are, found without running ftfy.

ftfy changes a text in three ways. Single characters are replaced wherever they stand. HTML entities are decoded.
The encoding of a line is repaired, but only if a regular expression, a list of short unlikely sequences of characters,
finds something in it. That expression becomes an automaton here, so one pass over the bytes sees all three. A
document that it calls a suspect may still turn out to be in order; the others are.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nemo_curator.kernels.compile import kernel
from nemo_curator.kernels.unicode import char_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftfy import TextFixerConfig

LINE_FEED, CARRIAGE_RETURN = 10, 13
HASH, AMPERSAND, SEMICOLON, LESS_THAN = 35, 38, 59, 60
START, SUSPECT = 0, 255
NEVER, ALWAYS, UNLESS_MARKUP = 0, 1, 2
BLOCK = 32
CONTEXT = 8
"""No sequence that the automaton finds is longer than this, so what is further away does not matter to it."""
BEYOND = 0x10000
"""Stands for every character outside the basic multilingual plane."""


@kernel("uint8[::1], int64[::1], uint8[::1], uint8[:, ::1], int64, int64")
def find_suspects(data, offsets, classes, steps, entities, longest):
    """Whether ftfy may change each document; the arguments after the text are those of `scan_tables`."""
    suspects = np.empty(offsets.size - 1, np.bool_)
    for row in range(suspects.size):
        text = data[offsets[row] : offsets[row + 1]]
        suspects[row] = _is_suspect(text, classes, steps, entities, longest)
    return suspects


@kernel
def _is_suspect(text, classes, steps, entities, longest):
    carriage_return = np.uint8(LINE_FEED if steps[START, classes[CARRIAGE_RETURN]] == SUSPECT else CARRIAGE_RETURN)
    at = 0
    state = START
    skipped = False
    while at < text.size:
        if at + BLOCK <= text.size and _is_plain(text[at : at + BLOCK], carriage_return):
            at += BLOCK
            skipped = True
            continue
        end = min(at + BLOCK, text.size)
        if skipped:
            at -= CONTEXT
            state = START
            skipped = False
        while at < end:
            if entities != NEVER and text[at] == AMPERSAND and _is_entity(text, at):
                if entities == ALWAYS or not _is_markup(text, at, longest):
                    return True
                entities = NEVER
            code, width = char_at(text, at)
            state = steps[state, classes[min(code, BEYOND)]]
            if state == SUSPECT:
                return True
            at += width
            if width > 1:  # the sequence may go on in the next block
                end = max(end, min(at + CONTEXT, text.size))
    return False


@kernel
def _is_plain(block, carriage_return):
    """Whether this is printable ASCII and line ends, without an ampersand."""
    other = np.uint8(0)
    for at in range(BLOCK):
        byte = block[at]
        control = (byte < 32) & (byte != 9) & (byte != LINE_FEED) & (byte != carriage_return)
        other = np.uint8(other | np.uint8(control | (byte >= 127) | (byte == AMPERSAND)))
    return other == 0


@kernel
def _is_entity(text, at):
    """Whether this is `&#?[0-9A-Za-z]{1,24};`."""
    at += 1
    if at < text.size and text[at] == HASH:
        at += 1
    first = at
    while at < text.size and at - first < 25 and _is_ascii_alphanumeric(text[at]):
        at += 1
    return at < text.size and text[at] == SEMICOLON and 1 <= at - first <= 24


@kernel
def _is_ascii_alphanumeric(byte):
    return (48 <= byte <= 57) or (65 <= byte <= 90) or (97 <= byte <= 122)


@kernel
def _is_markup(text, at, longest):
    """Whether ftfy has seen a `<` when it comes to this place: it looks up to the end of the line.

    It cuts lines that are too long. Of one that may be, only what stands before counts.
    """
    start = end = at
    while start > 0 and text[start - 1] != LINE_FEED:
        start -= 1
    while end < text.size and text[end] != LINE_FEED:
        end += 1
    if end + 1 - start > longest:
        end = at
    before = 0
    while before < end and text[before] != LESS_THAN:
        before += 1
    return before < end


def may_change(text: str) -> bool:
    """Whether ftfy may change this text: not if it is printable ASCII without an ampersand or a carriage return."""
    return not text.isascii() or _NOT_PLAIN.search(text) is not None


_NOT_PLAIN = re.compile(r"[^\t\n -%'-~]")


@functools.lru_cache(maxsize=16)
def scan_tables(config: TextFixerConfig) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The arguments with which `find_suspects` finds what ftfy, so configured, may change."""
    from ftfy.badness import BADNESS_RE

    classes, steps = _automaton_of(BADNESS_RE if config.fix_encoding else None)
    classes = classes.copy()
    classes[list(_replaced_characters(config))] = steps.shape[1]
    steps = np.column_stack([steps, np.full(len(steps), SUSPECT, np.uint8)])
    entities = UNLESS_MARKUP if config.unescape_html == "auto" else ALWAYS if config.unescape_html else NEVER
    return classes, steps, entities, config.max_decode_length


def _replaced_characters(config: TextFixerConfig) -> Iterator[int]:
    """Characters that a step of ftfy changes by themselves."""
    steps = ["fix_c1_controls", "fix_latin_ligatures", "fix_character_width", "uncurl_quotes", "fix_line_breaks"]
    for step in [*steps, "remove_control_chars"]:
        if getattr(config, step):
            yield from _changed_by(step)
    if config.remove_terminal_escapes:
        yield 0x1B


@functools.cache
def _changed_by(step: str) -> list[int]:
    from ftfy import FIXERS

    fix = FIXERS[step]
    pages = ["".join(map(chr, range(start, start + 256))) for start in range(0, BEYOND, 256)]
    # surrogates are not text
    changed = [page for page in pages if not "\ud800" <= page[0] <= "\udfff" and fix(page) != page]
    return [ord(char) for page in changed for char in page if fix(char) != char]


@functools.cache
def _automaton_of(pattern: re.Pattern[str] | None) -> tuple[np.ndarray, np.ndarray]:
    try:
        return _automaton([] if pattern is None else _sequences(pattern))
    except (NotImplementedError, ImportError):
        # a version of ftfy with another kind of expression, or of Python with another parser: all but ASCII is suspect
        return (np.arange(BEYOND + 1) >= 0x80).astype(np.uint8), np.array([[START, SUSPECT]], np.uint8)


def _sequences(pattern: re.Pattern[str]) -> list[list[_Characters]]:
    """The sequences of characters that an expression without repetition matches, one or several for each branch."""
    # Python shows its own reading of an expression nowhere else
    tree = importlib.import_module("re._parser").parse(pattern.pattern, pattern.flags)
    if len(tree) != 1 or str(tree[0][0]) != "BRANCH":
        raise NotImplementedError
    sequences = []
    for branch in tree[0][1][1]:
        variants: list[list[_Characters]] = [[]]
        for operator, argument in branch:
            if str(argument) == "AT_BEGINNING":
                continue  # takes more for suspects, because a line that is too long has several beginnings
            if str(operator) == "MAX_REPEAT" and argument[:2] == (0, 1) and len(argument[2]) == 1:
                variants += [[*variant, _Characters(*argument[2][0])] for variant in variants]
            else:
                variants = [[*variant, _Characters(operator, argument)] for variant in variants]
        sequences += variants
    # the kernel skips ASCII, then looks back a few characters
    if any(len(sequence) > CONTEXT or not any(each.beyond_ascii for each in sequence) for sequence in sequences):
        raise NotImplementedError
    return sequences


class _Characters:
    """Which characters one position of an expression matches."""

    def __init__(self, operator: Any, argument: Any):
        self.listed: set[int] = set()
        self.word = self.space = self.inverted = False
        for item, value in argument if str(operator) == "IN" else [(operator, argument)]:
            self._add(str(item), value)

    def _add(self, item: str, value: Any) -> None:
        self.inverted |= item in ("NEGATE", "NOT_LITERAL", "ANY")
        if item in ("LITERAL", "NOT_LITERAL"):
            self.listed.add(value)
        elif item == "RANGE":
            self.listed.update(range(value[0], value[1] + 1))
        elif item == "ANY":
            self.listed.add(LINE_FEED)
        elif str(value) == "CATEGORY_WORD":
            self.word = True
        elif str(value) == "CATEGORY_SPACE":
            self.space = True
        elif item != "NEGATE":
            raise NotImplementedError

    @property
    def beyond_ascii(self) -> bool:
        return not (self.word or self.space or self.inverted) and min(self.listed) >= 0x80

    def match(self, code: int, is_word: bool, is_space: bool) -> bool:
        found = code in self.listed or (self.word and is_word) or (self.space and is_space)
        return found != self.inverted


def _automaton(sequences: list[list[_Characters]]) -> tuple[np.ndarray, np.ndarray]:
    """Make tables that find the sequences: the class of each character, and the next state by state and class.

    A state is the set of positions, as bits, that the next character may match.
    """
    ends = np.cumsum([len(sequence) for sequence in sequences]).tolist()
    firsts = sum(1 << end - len(sequence) for end, sequence in zip(ends, sequences))
    lasts = sum(1 << end - 1 for end in ends)
    classes, matches = _classes([position for sequence in sequences for position in sequence])
    numbers = {firsts: START}
    states = [firsts]
    steps: list[list[int]] = []
    for state in states:
        steps.append([])
        for match in matches:
            after = (state & match) << 1 | firsts
            if state & match & lasts:
                steps[-1].append(SUSPECT)
                continue
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            steps[-1].append(numbers[after])
    if len(states) > SUSPECT or len(matches) > 255:
        raise NotImplementedError
    return classes.astype(np.uint8), np.array(steps, np.uint8)


def _classes(positions: list[_Characters]) -> tuple[np.ndarray, list[int]]:
    """Put characters that match at the same positions into one class; return those positions, as bits, of each."""
    numbers: dict[int, int] = {}
    classes = np.empty(BEYOND + 1, np.int64)

    def class_of(code: int, is_word: bool, is_space: bool) -> int:
        bits = sum(1 << at for at, position in enumerate(positions) if position.match(code, is_word, is_space))
        return numbers.setdefault(bits, len(numbers))

    words, spaces = _found(r"\w+"), _found(r"\s+")
    words[BEYOND] = True  # takes more for suspects
    for is_word, is_space in itertools.product((False, True), repeat=2):
        classes[(words == is_word) & (spaces == is_space)] = class_of(-1, is_word, is_space)
    for code in set().union(*(position.listed for position in positions)):
        if code >= BEYOND:
            raise NotImplementedError
        classes[code] = class_of(code, words[code], spaces[code])
    return classes, list(numbers)


def _found(expression: str) -> np.ndarray:
    """Which characters an expression matches, by code point."""
    found = np.zeros(BEYOND + 1, bool)
    for run in re.finditer(expression, "".join(map(chr, range(BEYOND)))):
        found[run.start() : run.end()] = True
    return found
