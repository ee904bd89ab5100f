"""The pages of the families name all there is, their links lead somewhere, and their examples show what they should."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from nemo_curator.config.catalog import find_classes
from nemo_curator.stages.text.filters import DocumentFilter
from nemo_curator.stages.text.modifiers import DocumentModifier

DOCS = Path(__file__).parent.parent / "docs"


def hook(name):
    """A module of the documentation, as mkdocs loads it."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


examples = hook("examples")
families = hook("families")
PAGES = {page.stem: families.fill(page.read_text()) for page in (DOCS / "families").glob("*.md")}


@pytest.mark.parametrize("kind", families.KIND_OF)
def test_all_there_is_of_a_kind_is_on_a_page(kind):
    headings = {
        name for page in PAGES.values() for name in re.findall(r"^### (\w+) \{ #[\w.]+ \}$", page, re.MULTILINE)
    }
    assert {cls.__name__ for cls in find_classes(families.KIND_OF[kind])} <= headings


@pytest.mark.parametrize("page", PAGES)
def test_the_list_at_the_head_of_a_section_leads_to_its_members(page):
    there = re.findall(r"\{ #([\w.]+) \}", PAGES[page])
    listed = re.findall(r"\]\(#([\w.]+)\)", PAGES[page])
    assert set(listed) <= set(there)
    assert len(listed) + len(re.findall("<!-- one: ", (DOCS / "families" / f"{page}.md").read_text())) == len(there)
    assert len(set(there)) == len(there)


def test_a_class_is_shown_with_a_path_from_which_it_is_imported():
    shown = {
        line
        for page in PAGES.values()
        for line in re.findall(r"^`(from nemo_curator\S* import \w+)`$", page, re.MULTILINE)
    }
    assert "from nemo_curator.stages.text.filters import WordCountFilter" in shown
    for line in shown:
        exec(line, {})


def test_a_class_without_a_page_is_an_error():
    class Orphan(DocumentFilter):
        """Keep everything."""

    Orphan.__module__ = "nemo_curator.nowhere"
    families.members.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"nemo_curator\.nowhere\.Orphan is on no page"):
            families.members()
    finally:
        Orphan.__module__ = __name__


def test_every_filter_and_modifier_has_an_example_or_needs_a_model():
    names = {cls.__name__ for base in (DocumentFilter, DocumentModifier) for cls in find_classes(base)}
    assert examples.EXAMPLES.keys() | examples.MODELS == names
    assert not examples.EXAMPLES.keys() & examples.MODELS


@pytest.mark.parametrize("cls", [*find_classes(DocumentFilter), *find_classes(DocumentModifier)])
def test_an_example_shows_what_stays_and_what_goes_or_changes(cls):
    if cls.__name__ in examples.MODELS:
        return
    example = examples.EXAMPLES[cls.__name__]
    _, rows = families.judge(cls(**example.parameters), example.texts)
    if issubclass(cls, DocumentFilter):
        assert [row[-1] for row in rows] == ["kept", "dropped"]
    else:
        assert any(before != after for before, after in rows)


@pytest.mark.parametrize("cls", [cls for base in families.KIND_OF.values() for cls in find_classes(base)])
def test_a_docstring_begins_with_a_sentence(cls):
    first = (cls.__doc__ or "").splitlines()[0]
    assert first.endswith((".", ":"))
    assert len(first.split()) > 2
    assert not first.startswith(f"{cls.__name__}(")  # what dataclass writes where nobody has written anything
