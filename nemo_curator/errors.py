"""The errors that this package raises on purpose. Each says what was wanted, what was found, where, and the remedy."""

import importlib
from types import ModuleType


class CuratorError(Exception):
    """Base of every error below, so that one `except` catches them all."""


class ContractError(CuratorError, ValueError):
    """Two stages do not fit together, or a stage got data without what it needs."""


class ConfigError(CuratorError, ValueError, RuntimeError):
    """A configuration lacks a value, has one that nothing takes, or names what may not be built."""


class InputError(CuratorError, ValueError):
    """The input is missing, empty or not what the reader reads."""


class UnknownIdsError(InputError, KeyError):
    """No ids are known for a group of files."""

    __str__ = Exception.__str__  # a KeyError shows its message as a literal


class StorageError(CuratorError, OSError):
    """Files could not be read, written or listed, and trying again did not help. The data may be there, and whole."""


class StageSetupError(CuratorError, RuntimeError):
    """A stage could not be set up on a worker; nothing has been read by that worker."""


class WorkerDiedError(CuratorError):
    """A worker process ended without being told to."""


class MemoryLimitError(CuratorError):
    """A partition needs more memory than the run may use."""


class RunFailedError(CuratorError, RuntimeError):
    """The run went through, and more records failed than allowed. What was written stays."""


class CheckpointError(CuratorError, ValueError):
    """A checkpoint belongs to another pipeline or to other input."""


class LedgerError(CuratorError, RuntimeError):
    """The rows do not balance: some that went into a stage neither came out nor were accounted for."""


class MissingExtraError(CuratorError, ImportError):
    """An optional dependency is not installed."""


def need(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say in one sentence how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(missing_extra(module, extra)) from error


def missing_extra(module: str, extra: str) -> str:
    return f"{module.partition('.')[0]} is not installed; get it with: pip install 'curator-ray[{extra}]'"
