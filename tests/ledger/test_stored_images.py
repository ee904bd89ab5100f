import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nemo_curator.ledger.stored_images import can_be_stored, images_as_table, images_of_table
from nemo_curator.tasks.image import ImageObject
from tests.stages.image.io.images import members_of, picture, write_tar

ROOT = Path(__file__).parents[2]


def full_of_everything():
    image = ImageObject("a/1.jpg", "a~1", {"é": [1, None, {"deep": 2.5}]}, image_bytes=picture(1), caption="one")
    image.embedding, image.aesthetic_score, image.extras = np.arange(6, dtype=np.float32), 4.5, {"cls": b"\xff"}
    image.perceptual_hash, image.content_hash, image.is_mine = 2**63 + 5, "abc", True
    return image


def test_images_come_back_as_they_were():
    given = [full_of_everything(), ImageObject("2.png", "2", image_data=np.zeros((3, 2, 3), np.uint8)), ImageObject()]
    given[0].embedding = given[0].embedding.reshape(2, 3)[:, ::2]
    made = images_of_table(images_as_table(given))
    for one, other in zip(made, given, strict=True):
        left, right = ({**vars(image), "_pixels": None, "embedding": None} for image in (one, other))
        assert left == right
    assert np.array_equal(made[0].embedding, given[0].embedding)
    assert made[0].embedding.dtype == np.float32
    assert np.array_equal(made[0].image_data, given[0].image_data)
    assert np.array_equal(made[1].image_data, given[1].image_data)
    assert made[1].image_bytes is None
    assert images_of_table(images_as_table([])) == []


@pytest.mark.parametrize("value", [object(), {1: 2}, np.array([object()]), b"bytes", {"a": {2}}])
def test_what_neither_json_nor_an_array_of_numbers_can_say_is_not_stored(value):
    image = full_of_everything()
    assert can_be_stored(image)
    image.of_the_user = value
    assert not can_be_stored(image)


JOB = """
import os, sys
from pathlib import Path
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image import ImageHashDeduplicationStage, ImageReaderStage, ImageWriterStage

class Noting(ProcessingStage):
    '''Leaves a note of every image, and ends the process at the batch that it is told.'''
    name = "noting"
    def process(self, task):
        with open(f"{root}/notes", "a") as file:
            file.writelines(f"{self.name} {image.image_id}\\n" for image in task.data)
        if f"{self.name} {task.data[0].image_id}".startswith(kill):
            os._exit(9)
        return task

class Behind(Noting):
    name = "behind"

root, kill = sys.argv[1], sys.argv[2]
reader = ImageReaderStage(input_path=f"{root}/in", files_per_partition=1, verbose=False)
stages = [reader, Noting(), ImageHashDeduplicationStage(), Behind(), ImageWriterStage(f"{root}/out")]
pipeline = Pipeline("images", stages=stages)
pipeline.run(LocalExecutor(num_workers=0), checkpoint_path=f"{root}/checkpoint")
print([(stage.rows_in, stage.rows_out) for stage in pipeline.last_run.stages[1:]], pipeline.last_run.dropped())
"""


@pytest.fixture(scope="module")
def tars(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for tar in "abcd":
        members = [(f"{at}.jpg", picture(at % 5 if tar == "d" else ord(tar) * 10 + at)) for at in range(6)]
        write_tar(root / "in" / f"{tar}.tar", [*members, ("0.txt", b"zero")])
    return root / "in"


def job(root, kill):
    command = [sys.executable, "-c", JOB, str(root), kill]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=dict(os.environ))


def written(root):
    return {path.name: members_of(path) for path in (root / "out").glob("*.tar")}


def test_a_run_over_images_goes_on_where_it_was_killed_before_and_behind_a_barrier(tars, tmp_path):
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "in").symlink_to(tars)
    whole = job(tmp_path / "whole", "never")
    assert whole.returncode == 0, whole.stderr
    root = tmp_path / "killed"
    assert job(root, "noting c~~").returncode == 9
    assert job(root, "behind b~~").returncode == 9
    before = (root / "notes").read_text().splitlines()
    last = job(root, "never")
    assert last.returncode == 0, last.stderr
    again = (root / "notes").read_text().splitlines()[len(before) :]
    assert last.stdout == whole.stdout
    assert "image_hash_deduplication" in last.stdout
    assert written(root) == written(tmp_path / "whole")
    assert [line for line in before if line.startswith("noting")] == [
        f"noting {tar}~~{at}" for tar in "abccd" for at in range(6)
    ]
    assert {line.split("~~")[0] for line in again} == {"behind b", "behind c", "behind d"}
    names = [path.name for path in (root / "checkpoint" / "tasks").iterdir()]
    assert all(name.endswith(".arrow") for name in names)
    records = [json.loads(line) for path in (root / "checkpoint").glob("done-*") for line in path.open()]
    assert any("images" in task for record in records for task in record.get("tasks", []))
