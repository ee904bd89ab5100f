"""A rule may be written for one text or for a whole column; the other form is derived from the one that is written."""

from collections.abc import Callable


def derive(cls: type, row: str, column: str, row_from_column: Callable, column_from_row: Callable) -> None:
    """Complete a subclass that defines one method of a pair, so that what it wrote is what runs.

    Called for every subclass: a class that overrides only one form of an inherited pair gets the other anew.
    """
    by_row, by_column = (next(at for at, one in enumerate(cls.__mro__) if name in vars(one)) for name in (row, column))
    if by_row < by_column:
        setattr(cls, column, column_from_row)
    elif by_column < by_row:
        setattr(cls, row, row_from_column)
