import pytest

from nemo_curator.ledger.counts import StageCount, counting


@pytest.fixture
def read():
    """Read an archive as a stage does; return the rows, and what was set aside."""

    def reading(iterator, path):
        count = StageCount("iterate")
        with counting(count):
            rows = list(iterator.iterate(str(path)))
        assert (count.rows_seen or 0) == count.rows_failed
        return rows, count

    return reading
