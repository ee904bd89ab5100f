import pyarrow as pa
import pytest

from nemo_curator.errors import ContractError
from nemo_curator.stages.text.modules import AddId
from nemo_curator.tasks import DocumentBatch


def batch():
    made = DocumentBatch.from_arrow(pa.table({"text": ["a", "b"]}))
    made.task_id = "0_ab_0"
    return made


@pytest.mark.parametrize(("prefix", "first"), [("p", "p_0_ab_0_0"), (None, "0_ab_0_0")])
def test_ids_are_made_of_the_prefix_the_task_and_the_row(prefix, first):
    made = AddId("id", id_prefix=prefix).process(batch())
    assert made.column("id").to_pylist() == [first, first[:-1] + "1"]


def test_a_column_that_is_there_is_replaced_only_when_asked():
    with pytest.raises(ContractError, match="'text' is there already"):
        AddId("text").process(batch())
    assert AddId("text", overwrite=True).process(batch()).column("text").to_pylist()[0] == "0_ab_0_0"
