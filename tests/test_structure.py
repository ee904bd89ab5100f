"""The shape of the package: what imports what, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nemo_curator"
LEVELS = {
    "kernels": 0,
    "tasks": 1,
    "ledger": 3,
    "models": 3,
    "report": 3,
    "stages": 3,
    "metrics": 4,
    "pipeline": 4,
    "progress": 4,
    "backends": 5,
    "cli": 6,
}
HEAVY = {"ray", "torch", "pandas", "numba", "cosmos_xenna", "transformers", "requests", "ftfy"}
EXCEPTIONS = {("pipeline/pipeline.py", "backends")}
"""`Pipeline.run` imports its default executor when called."""
WORKFLOWS = {"steps.py", "workflow.py", "removal_workflow.py"}
"""Files beside the stages that run pipelines of them."""


def imported(tree: ast.AST) -> set[str]:
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in ast.walk(node)
    }
    modules = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules.update(name.name for name in node.names)
    return modules


def sources():
    return sorted(PACKAGE.rglob("*.py"))


def test_imports_go_one_way():
    wrong = []
    for path in sources():
        place = path.relative_to(PACKAGE)
        level = LEVELS["backends"] if place.name in WORKFLOWS else LEVELS.get(place.parts[0])
        for module in imported(ast.parse(path.read_text())):
            parts = module.split(".")
            if level is None or parts[0] != "nemo_curator" or len(parts) < 2:
                continue
            if LEVELS.get(parts[1], -1) > level and (str(place), parts[1]) not in EXCEPTIONS:
                wrong.append(f"{place} imports {module}")
    assert wrong == []


def test_files_stay_short():
    assert [str(path) for path in sources() if len(path.read_text().splitlines()) > 400] == []


def modules():
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sources()
        if path.name != "__main__.py"
    ]


def test_importing_everything_loads_nothing_heavy():
    code = (
        f"import importlib, sys\nfor name in {modules()!r}: importlib.import_module(name)\nprint(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert {name.partition(".")[0] for name in done.stdout.split()} & HEAVY == set()


@pytest.mark.parametrize("name", ["nemo_curator", "nemo_curator.errors"])
def test_the_package_itself_loads_neither_numpy_nor_arrow(name):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {name}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert {"numpy", "pyarrow"} & set(done.stdout.split()) == set()


READS = {"read_table", "iter_batches", "read_row_group", "read_row_groups"}


def test_arrow_reads_files_of_python_without_threads():
    """A thread of Arrow that still holds a file of Python when the interpreter ends aborts the process."""
    missing = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
            in_memory = isinstance(node, ast.Call) and "BufferReader" in ast.unparse(node)
            if name in READS and not in_memory and "use_threads" not in {one.arg for one in node.keywords}:
                missing.append(f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}")
    assert missing == []
