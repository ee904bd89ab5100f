"""Settings that scripts give for pandas, which reads and writes only where nothing else does what they ask for."""

from typing import Any


def asks_for_more(settings: dict[str, Any], done_anyway: dict[str, tuple | None]) -> bool:
    """Whether a setting is unknown, or has another value than those that ask for what is done anyway (None: any)."""
    return any(key not in done_anyway or not _is_done(value, done_anyway[key]) for key, value in settings.items())


def _is_done(value: Any, values: tuple | None) -> bool:
    return values is None or value in values
