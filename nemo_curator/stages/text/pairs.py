"""A rule may be written for one text or for a whole column; the other form is derived from the one that is written."""

from collections.abc import Callable


def derive(cls: type, row: str, column: str, row_from_column: Callable, column_from_row: Callable) -> None:
    """Complete a subclass that defines one method of a pair, so that what it wrote is what runs.

    Called for every subclass: a class that overrides only one form of an inherited pair gets the other anew.
    """
    own = cls.__dict__
    if row in own and column not in own:
        setattr(cls, column, column_from_row)
    elif column in own and row not in own:
        setattr(cls, row, row_from_column)
