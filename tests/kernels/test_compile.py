"""Kernels compile when first called, wherever the package lies and however many processes start at once."""

import copy
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from nemo_curator.kernels import compile as compiling
from nemo_curator.kernels.words import count_words

PIECE = """
from loops.compile import kernel

ADDED = 1

@kernel
def more(value):
    return value + ADDED
"""
WHOLE = """
from loops import piece
from loops.compile import kernel
from loops.piece import more

@kernel("uint8[::1]")
def total(data):
    sum = 0
    for at in range(data.size):
        sum += more(data[at]) + piece.more(0)
    return sum
"""
RUN = "import numpy as np; from loops.whole import total; print(total(np.arange(4, dtype=np.uint8)))"
CACHE_HITS = "print(sum(total.compiled().stats.cache_hits.values()))"

text = (np.frombuffer("a bc  dé".encode(), np.uint8), np.array([0, 4, 9]))


@pytest.fixture
def folder(tmp_path):
    """A package of two kernels, one calling the other, compiled as ours are."""
    package = tmp_path / "loops"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(compiling.__file__, package / "compile.py")
    (package / "piece.py").write_text(PIECE)
    (package / "whole.py").write_text(WHOLE)
    return tmp_path


def start(folder, code=RUN, **environment):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process):
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return printed.split()


def test_importing_kernels_and_columns_loads_neither_numba_nor_pandas_nor_ftfy():
    names = "nemo_curator.kernels.words, nemo_curator.kernels.mojibake, nemo_curator.tasks.text_column"
    loaded = output(start(Path(compiling.__file__).parents[2], f"import sys, {names}; print(*sys.modules)"))
    assert {"numba", "llvmlite", "pandas", "ftfy"} & set(loaded) == set()


def test_machine_code_is_kept_beside_the_source(folder):
    assert output(start(folder)) == ["14"]
    assert output(start(folder, f"{RUN}; {CACHE_HITS}")) == ["14", "1"]
    assert list(folder.glob("loops/__pycache__/*.nbc"))


def test_machine_code_is_renewed_when_a_called_kernel_in_another_file_changes(folder):
    assert output(start(folder)) == ["14"]
    (folder / "loops" / "piece.py").write_text(PIECE.replace("ADDED = 1", "ADDED = 2"))
    assert output(start(folder)) == ["22"]


def test_a_folder_that_cannot_be_written_and_no_home_leave_the_temporary_folder(folder, tmp_path):
    (folder / "loops" / "__pycache__").touch()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    nowhere = {"HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "TMPDIR": str(temporary)}
    assert output(start(folder, **nowhere)) == ["14"]
    assert output(start(folder, f"{RUN}; {CACHE_HITS}", **nowhere)) == ["14", "1"]
    own = temporary / f"nemo_curator-{os.getuid()}"
    assert own.stat().st_mode & 0o077 == 0


def test_machine_code_is_not_loaded_from_a_folder_that_others_may_write(folder, tmp_path):
    (folder / "loops" / "__pycache__").touch()
    own = tmp_path / f"nemo_curator-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert output(start(folder, HOME=os.devnull, XDG_CACHE_HOME=os.devnull, TMPDIR=str(tmp_path))) == ["14"]
    assert list(own.iterdir()) == []


def test_processes_that_compile_at_the_same_time_agree(folder):
    assert [output(process) for process in [start(folder) for _ in range(4)]] == [["14"]] * 4
    assert output(start(folder, f"{RUN}; {CACHE_HITS}")) == ["14", "1"]


def test_warmup_compiles_what_python_calls(folder):
    assert output(start(folder, "from loops.compile import warmup; print(*warmup())")) == ["total"]
    assert output(start(folder, f"{RUN}; {CACHE_HITS}")) == ["14", "1"]


def test_what_is_compiled_is_known(folder):
    code = "from loops.compile import kept, warmup; print(kept()['total']); warmup(); print(kept()['total'])"
    assert output(start(folder, code)) == ["False", "True"]


def test_all_kernels_can_be_compiled_ahead():
    root = Path(compiling.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "nemo_curator.kernels"], cwd=root, capture_output=True, text=True, check=True
    )
    assert "kernels are compiled" in done.stdout
    assert "count_repetition" in done.stdout


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_kernel_works_in_a_child_of_a_process_that_has_used_it(method):
    expected = count_words(*text).tolist()
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(count_words, text).tolist() == expected == [2, 1]


def test_a_kernel_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(count_words)) is count_words
    assert pickle.loads(cloudpickle.dumps(lambda: count_words))() is count_words
    assert copy.deepcopy(count_words) is count_words


def test_a_kernel_leaves_its_arguments_alone():
    data = np.frombuffer(bytearray(b"a b"), np.uint8)
    assert data.flags.writeable
    assert count_words(data, np.array([0, 3])).tolist() == [2]


def test_a_kernel_refuses_other_types_instead_of_compiling_again():
    with pytest.raises(TypeError, match="No matching definition"):
        count_words(text[0], text[1].astype(np.float64))


def test_numba_pays_once_some_megabytes_have_come(monkeypatch):
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setattr(compiling, "_plain_bytes", 0)
    assert [compiling.pays(1 << 20) for _ in range(6)] == [False] * 4 + [True] * 2
    assert not compiling.pays(0)


def test_numba_pays_for_anything_once_it_is_loaded():
    count_words(*text)
    assert compiling.pays(0)
