import pytest

from nemo_curator.utils.column_utils import resolve_filename_column


@pytest.mark.parametrize(("given", "column"), [(True, "file_name"), (False, None), ("source", "source")])
def test_the_column_of_the_file_name_is_the_usual_one_or_the_callers_or_none(given, column):
    assert resolve_filename_column(given) == column
