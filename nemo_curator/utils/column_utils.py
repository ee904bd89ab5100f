"""What parameters say about columns."""


def resolve_filename_column(add_filename_column: bool | str) -> str | None:
    """The column that gets the name of the file: `file_name`, one of the caller's own, or None."""
    if isinstance(add_filename_column, str):
        return add_filename_column
    return "file_name" if add_filename_column else None
