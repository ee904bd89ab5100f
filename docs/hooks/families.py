"""Fills the pages of `docs/families` with what the package holds, so that they cannot go stale.

A line `<!-- filter: nemo_curator.stages.text.filters.line -->` in a page is where the filters of that module and of
those below it are put. A class belongs to the line with the longest module; one that belongs to none is an error.
`<!-- one: nemo_curator.pipeline.Pipeline.run -->` is where a single class or function is put.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples import EXAMPLES, Example

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.cli.catalog import Entry, entry_of
from nemo_curator.config.catalog import KINDS, find_classes
from nemo_curator.models.base import ModelInterface
from nemo_curator.pipeline.workflow import WorkflowBase
from nemo_curator.stages.text.download import DocumentDownloader, DocumentExtractor, DocumentIterator, URLGenerator
from nemo_curator.stages.text.download.html_extractors import HTMLExtractorAlgorithm
from nemo_curator.stages.text.filters import DocumentFilter
from nemo_curator.tasks import Task

DOCS = Path(__file__).parent.parent
MARK = re.compile(r"^<!-- ([a-z-]+): ([\w.]+) -->$", re.MULTILINE)
ONE = "one"
KIND_OF: dict[str, type] = {
    **KINDS,
    "workflow": WorkflowBase,
    "url-generator": URLGenerator,
    "downloader": DocumentDownloader,
    "iterator": DocumentIterator,
    "extractor": DocumentExtractor,
    "html-extractor": HTMLExtractorAlgorithm,
    "model": ModelInterface,
    "executor": BaseExecutor,
    "task": Task,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls for every page."""
    return fill(markdown)


def fill(markdown: str) -> str:
    """Put the members of each family where the page says."""
    return MARK.sub(lambda mark: "\n".join(_put(mark[1], mark[2])), markdown)


def _put(kind: str, place: str) -> Iterator[str]:
    if kind != ONE:
        return _section(members()[kind, place])
    one = pkgutil.resolve_name(place)
    return _member(one, entry_of("", one))


@functools.cache
def members() -> dict[tuple[str, str], list[type]]:
    """The classes of each mark in the pages."""
    marks = [(mark[1], mark[2]) for page in sorted(DOCS.rglob("*.md")) for mark in MARK.finditer(page.read_text())]
    if twice := [mark for mark, times in Counter(marks).items() if times > 1]:
        raise ValueError(f"these are in the pages more than once: {twice}")
    if unknown := {kind for kind, _ in marks} - {ONE, *KIND_OF}:
        raise ValueError(f"the pages name kinds {sorted(unknown)}; known are {sorted(KIND_OF)}")
    marks = [mark for mark in marks if mark[0] != ONE]
    found: dict[tuple[str, str], list[type]] = {mark: [] for mark in marks}
    for kind, base in KIND_OF.items():
        for cls in find_classes(base):
            homes = [mark for mark in marks if mark[0] == kind and f"{cls.__module__}.".startswith(f"{mark[1]}.")]
            if not homes:
                raise ValueError(f"{cls.__module__}.{cls.__name__} is on no page; put <!-- {kind}: … --> into one")
            found[max(homes, key=lambda mark: len(mark[1]))].append(cls)
    if empty := [mark for mark, classes in found.items() if not classes]:
        raise ValueError(f"the pages name modules without members: {empty}")
    return found


def _section(classes: list[type]) -> Iterator[str]:
    described = [(cls, entry_of("", cls)) for cls in classes]
    yield from _table(("", "what it does"), [(f"[{one.name}](#{anchor(cls)})", one.summary) for cls, one in described])
    for cls, one in described:
        yield from _member(cls, one)


def anchor(cls: type) -> str:
    """What a link to a class ends with: its name, or its whole path where another has the same."""
    names = Counter(other.__name__ for group in members().values() for other in group)
    return cls.__qualname__ if names[cls.__name__] <= 1 else f"{cls.__module__}.{cls.__name__}"


def _member(cls: type, one: Entry) -> Iterator[str]:
    yield f"\n### {cls.__qualname__} {{ #{anchor(cls)} }}\n"
    if cls.__qualname__ == one.name:
        yield f"`from {import_path(cls)} import {one.name}`\n"
    yield f"{one.description}\n"
    if shown := _doctest(cls):
        yield f"```pycon\n{shown}\n```\n"
    if one.parameters:
        rows = [
            (f"`{each.name}`", each.type and f"`{each.type}`", f"`{each.default}`" if each.default else "must be given")
            for each in one.parameters
            if each.name != "self"
        ]
        yield from _table(("parameter", "type", "default"), rows)
    if one.name in EXAMPLES:
        yield from _example(cls, EXAMPLES[one.name])


def import_path(cls: type) -> str:
    """The shortest module that has the class."""
    parts = cls.__module__.split(".")
    for end in range(2, len(parts)):
        module = importlib.import_module(".".join(parts[:end]))
        if inspect.getattr_static(module, cls.__name__, None) is cls:
            return module.__name__
    return cls.__module__


def _doctest(cls: type) -> str:
    _, _, example = inspect.cleandoc(cls.__doc__ or "").partition("Example:\n")
    return inspect.cleandoc(example)


def _example(cls: type, example: Example) -> Iterator[str]:
    given = ", ".join(f"{name}={value!r}" for name, value in example.parameters.items())
    yield f"\nExample: `{cls.__name__}({given})`\n"
    yield from _table(*judge(cls(**example.parameters), example.texts))


def judge(one: Any, texts: list[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What a filter or modifier makes of texts, as a table. It is run, so what is shown is what it does."""
    if isinstance(one, DocumentFilter):
        if hasattr(one, "load_model"):
            one.load_model()
        scores = [one.score_document(text) for text in texts]
        kept = ["kept" if one.keep_document(score) else "dropped" for score in scores]
        return ("text", "score", ""), [
            (_code(text), _short(score), state) for text, score, state in zip(texts, scores, kept)
        ]
    return ("before", "after"), [(_code(text), _code(one.modify_document(text))) for text in texts]


def _short(score: Any) -> str:
    return f"{score:.3g}" if isinstance(score, float) else f"{score}"


def _code(text: str) -> str:
    return f"`` {json.dumps(text, ensure_ascii=False)} ``"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace(chr(10), ' ') for cell in row)} |"
    yield ""
