"""A pipeline whose partitions take as long as a test wants."""

import time
from dataclasses import dataclass

import pyarrow as pa
import pytest

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.tasks import DocumentBatch


@dataclass
class Halve(ProcessingStage):
    """Keep the first half of the rows, after some time."""

    seconds: float = 0.0
    name: str = "halve"

    def process(self, batch):
        time.sleep(self.seconds)
        return batch.slice(0, batch.num_items // 2)


def batches(count):
    return [DocumentBatch("d", pa.table({"text": ["one", "two", "three", "four"]})) for _ in range(count)]


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    monkeypatch.delenv("CURATOR_PROGRESS")


@pytest.fixture
def halve():
    return Halve


@pytest.fixture(name="batches")
def batches_fixture():
    return batches
