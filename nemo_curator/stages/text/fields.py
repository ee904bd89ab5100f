"""Parameters that are one for all or one for each: how they are read."""

from typing import Any


def as_list(value: Any, kind: Any, what: str, *also: type) -> list[Any]:
    """Make a list of one or several functions or filters, and check each."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"{what} is an empty list; give at least one")
    for one in values:
        if not isinstance(one, (kind, *also)):
            wanted = " or ".join(getattr(each, "__name__", str(each)) for each in (kind, *also))
            raise TypeError(f"{what}: {one!r} is a {type(one).__name__}; wanted {wanted}")
    return values


def one_each(value: Any, count: int, kind: type, what: str, *, shared: bool = True) -> list[Any]:
    """Spread a parameter over `count` functions. Unless `shared`, several functions need a list of as many values."""
    if value is None:
        raise ValueError(f"{what} is missing; wanted a {kind.__name__}, or a list of {count}")
    values = list(value) if isinstance(value, list | tuple) else [value]
    for one in values:
        if not isinstance(one, kind):
            raise TypeError(f"{what}: {one!r} is a {type(one).__name__}; wanted {kind.__name__}")
    if shared and len(values) == 1:
        return values * count
    if len(values) != count or (count > 1 and not isinstance(value, list | tuple)):
        raise ValueError(f"{what} has {len(values)} values for {count} functions; wanted one for each")
    return values
