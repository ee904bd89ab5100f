"""A run in a terminal: real programs under a pseudo-terminal, and what a person sees there in the end."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pyte
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, sys, time, signal
from dataclasses import dataclass
import pyarrow as pa
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch

@dataclass
class Slow(ProcessingStage):
    name: str = "slow"
    def process(self, batch):
        print("from python", batch.task_id)
        os.system("echo from another program >&2")
        time.sleep({seconds})
        return batch

tasks = [DocumentBatch("d", pa.table({{"text": ["a", "b"]}})) for _ in range({tasks})]
print("before", sys.stdout.isatty())
try:
    Pipeline("books", stages=[Slow()]).run(LocalExecutor(num_workers={workers}), tasks)
except KeyboardInterrupt:
    print("stopped")
print("after", sys.stdout.isatty(), sys.stderr.isatty())
"""


class Terminal:
    """A program in a terminal of 80 columns and 24 lines."""

    def __init__(self, source):
        self.screen = pyte.HistoryScreen(80, 24, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self.theirs = theirs
        self.written = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def read_until(self, condition, timeout=60):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.lines()
            if select.select([self._ours], [], [], 0.05)[0]:
                data = os.read(self._ours, 65536)
                self.written += data
                self._stream.feed(data)

    def read_all(self):
        self.read_until(lambda: self.process.poll() is not None and not select.select([self._ours], [], [], 0)[0])
        assert termios.tcgetattr(self.theirs) == self.modes
        assert not self.screen.cursor.hidden
        os.close(self._ours)
        os.close(self.theirs)
        return self.lines()

    def lines(self):
        """Everything a person can scroll back to."""
        above = ["".join(line[column].data for column in range(80)).rstrip() for line in self.screen.history.top]
        return [line for line in [*above, *(line.rstrip() for line in self.screen.display)] if line]

    def press(self, key):
        os.write(self._ours, key)


def _starts_of(lines, *starts):
    return len(lines) == len(starts) and all(map(str.startswith, lines, starts))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_table_stays_below_what_stages_print_and_leaves_a_line(workers):
    terminal = Terminal(PROGRAM.format(seconds=0.5, tasks=4, workers=workers))
    terminal.read_until(lambda: _starts_of(terminal.lines()[-2:], "2 of 4 partitions (50%)", "1 at work, 0_2"))
    assert not terminal.screen.cursor.hidden  # a process that is killed leaves it so
    table = terminal.lines()[-5:]
    assert table[0] == "books on LocalExecutor"
    assert table[2].split()[:3] == ["slow", "4", "4"]
    assert table[4].startswith("1 at work, 0_2 for 0:00:00 in slow")
    lines = terminal.read_all()
    assert lines[0] == "before True"
    for number in range(4):
        place = lines.index(f"from python 0_{number}")
        assert lines[place + 1] == "from another program"
    *_, said, _, last = lines
    assert said.startswith("books: 8 rows in, 8 out, 0 dropped, 0 failed, ")
    assert last == "after True True"
    assert len(lines) == 1 + 2 * 4 + 3, lines  # nothing is left of the table; the last line but one is a wrapped one


def test_ctrl_c_leaves_the_terminal_in_order():
    terminal = Terminal(PROGRAM.format(seconds=0.6, tasks=50, workers=0))
    terminal.read_until(lambda: any(line.startswith("1 of 50 partitions") for line in terminal.lines()))
    terminal.press(b"\x03")
    lines = terminal.read_all()
    assert terminal.process.returncode == 0
    assert lines[-2:] == ["stopped", "after True True"]
    assert "ended by KeyboardInterrupt" in " ".join(lines).replace("\n", "")
    assert not any(line.startswith(("books on", "stage ")) for line in lines)


def test_breakpoint_gives_the_terminal_to_the_debugger():
    source = PROGRAM.format(seconds=0.6, tasks=3, workers=0).replace(
        "        return batch", "        if batch.task_id == '0_1': breakpoint()\n        return batch"
    )
    terminal = Terminal(source)
    terminal.read_until(lambda: any(line.startswith("(Pdb)") for line in terminal.lines()))
    terminal.press(b"p 6 * 7, sys.stdout.isatty()\n")
    terminal.read_until(lambda: "(42, True)" in terminal.lines())
    terminal.press(b"c\n")
    assert terminal.read_all()[-1] == "after True True"


MANY_FILES = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, max(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
"""


def test_a_process_with_very_many_open_files_has_a_table_too():
    source = PROGRAM.format(seconds=0.5, tasks=3, workers=0).replace("tasks = ", f"{MANY_FILES}\ntasks = ")
    lines = Terminal(source).read_all()
    assert lines[-1] == "after True True"
    assert "from python 0_2" in lines
    assert any(line.startswith("books: 6 rows in, 6 out") for line in lines)
