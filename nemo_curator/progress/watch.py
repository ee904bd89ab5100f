"""The one place where people are let in on a run: what is shown of it, and what it exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nemo_curator.ledger.progress import Progress
from nemo_curator.metrics.runs import RUNS
from nemo_curator.metrics.server import serve_if_asked
from nemo_curator.progress.display import shown


@contextmanager
def watch(progress: Progress, interval: float | None = None, *, is_shown: bool = True) -> Iterator[None]:
    """Show the progress of a run meanwhile, as CURATOR_PROGRESS says, and export it; see docs/watching.md.

    `interval` is for lines, where there is no terminal: seconds from one to the next.
    """
    serve_if_asked()
    with ExitStack() as stack:
        stack.enter_context(RUNS.exported(progress))
        if is_shown:
            stack.enter_context(shown(progress, interval))
        try:
            yield
        except BaseException as error:
            progress.error = type(error).__name__
            raise
        finally:
            progress.end()
