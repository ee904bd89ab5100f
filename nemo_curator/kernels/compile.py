"""Compiling kernels: at the first call, once per machine, and only where it pays."""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib
import os
import pkgutil
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERNELS: list[Kernel] = []


def say_nothing(what: str) -> None:
    """Nobody waits for this process, or it cannot be told."""


tell: Callable[[str], None] = say_nothing
"""How a process says that it compiles, which takes seconds; an engine with a way to tell people replaces it."""

_FOLDER = Path(__file__).parent
# numba takes 0.4 s to import and set up, on a busy machine twice that: the time in which plain Python does this much
_PLAIN_BYTES = 4 << 20
_plain_bytes = 0
_lock = threading.RLock()


def kernel(signature: str | Callable) -> Any:
    """Compile a function with numba when it is first called.

    `@kernel("uint8[::1], int64[::1]")` makes a function for Python to call. The signature lists the arguments in
    numba's notation; arrays are read-only, as Arrow's memory is. A bare `@kernel` makes a piece that other kernels
    call.
    """
    if callable(signature):
        return Kernel(signature)
    return lambda function: Kernel(function, signature)


def warmup() -> list[str]:
    """Compile every kernel now, so that no later process has to; return their names."""
    named = _named()
    for each in named:
        each.compiled()
    return [each.name for each in named]


def kept() -> dict[str, bool]:
    """Whether the machine code of each kernel, as it is now, is on this machine already."""
    named = _named()
    folder = Path(_cached(named[0].function).stats.cache_path)
    return {each.name: _is_kept(folder, each.name) for each in named}


def _is_kept(folder: Path, name: str) -> bool:
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    return any(folder.glob(f"*.{name}-{_sources()}-*.{version}.nbi"))


def _named() -> list[Kernel]:
    """The kernels that Python calls."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(_FOLDER)], f"{package}."):
        importlib.import_module(module.name)
    return [each for each in KERNELS if each.signature]


def pays(nbytes: int) -> bool:
    """Whether to work on this much text with a kernel: not if so little has come so far that Python is done sooner."""
    global _plain_bytes
    if "numba" in sys.modules or _plain_bytes + nbytes > _PLAIN_BYTES:
        return True
    _plain_bytes += nbytes
    return False


class Kernel:
    """A function and, once it has been called, what numba made of it."""

    def __init__(self, function: Callable, signature: str | None = None):
        functools.update_wrapper(self, function)
        self.name = function.__qualname__
        self.function = function
        self.signature = signature
        self._compiled: Any = None
        KERNELS.append(self)

    def __call__(self, *arguments: Any) -> Any:
        return (self._compiled or self.compiled())(*arguments)

    def __reduce__(self) -> str:
        return self.name

    @property
    def _numba_type_(self) -> Any:
        return self.compiled()._numba_type_

    def compiled(self) -> Any:
        with _lock:
            if self._compiled is None:
                self._compiled = _compile(self.function, self.signature)
            return self._compiled


def _compile(function: Callable, signature: str | None) -> Any:
    with _no_garbage_collection():
        import numba

        if signature is None:
            return numba.njit(nogil=True)(function)
        # numba asks whether this one file has changed; kernels call kernels and read constants of other files
        function.__qualname__ = f"{function.__name__}-{_sources()}"
        dispatcher = _cached(function)
        with _alone(dispatcher.stats.cache_path):
            if not _is_kept(Path(dispatcher.stats.cache_path), function.__name__):
                tell(f"compiling {function.__name__}, once on this machine")
            dispatcher.compile(_argument_types(signature))
        dispatcher.disable_compile()
        return dispatcher


def _argument_types(signature: str) -> tuple:
    from numba.core import sigutils, types

    arguments, _ = sigutils.normalize_signature(f"({signature},)")
    return tuple(each.copy(readonly=True) if isinstance(each, types.Array) else each for each in arguments)


def _cached(function: Callable) -> Any:
    """Make a dispatcher that keeps machine code beside the source, in the user's cache or in a folder of its own."""
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        os.environ["NUMBA_CACHE_DIR"] = _private_folder()
        numba.config.reload_config()
        return numba.njit(nogil=True, cache=True)(function)


def _private_folder() -> str:
    """A temporary folder that all processes of this user share and nobody else can write: numba unpickles from it."""
    folder = Path(tempfile.gettempdir()) / f"nemo_curator-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        return tempfile.mkdtemp(prefix="nemo_curator-")
    return str(folder)


@functools.cache
def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(_FOLDER.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Hold off other processes: one could read an index that another has written before the code that it names."""
    import fcntl

    with ExitStack() as stack:
        with suppress(OSError):  # not every file system has locks
            file = stack.enter_context((Path(folder) / "nemo_curator.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # numba's start makes half a million objects that stay: collecting meanwhile costs a sixth of it
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
