import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from nemo_curator.errors import InputError, StageSetupError
from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.io import JsonlReader
from nemo_curator.stages.text.io.writer import MegatronTokenizerWriter
from nemo_curator.tasks import DocumentBatch
from nemo_curator.utils.merge_file_prefixes import main
from tests.tiny_models import tokenizer_folder, words_folder

GOLDEN_BIN = "010002000300630001006300"
GOLDEN_IDX = (
    "4d4d4944494458000001000000000000000802000000000000000300000000000000040000000200000000000000000000000800000000000000"
    "000000000000000001000000000000000200000000000000"
)


def documents(prefix):
    """Read a pair back, by the description of the format and nothing of ours."""
    index, tokens = Path(f"{prefix}.idx").read_bytes(), Path(f"{prefix}.bin").read_bytes()
    magic, version, code, count, bounds = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version) == (b"MMIDIDX\x00\x00", 1)
    letter, size = {8: ("H", 2), 4: ("i", 4)}[code]
    lengths = struct.unpack_from(f"<{count}i", index, 34)
    starts = struct.unpack_from(f"<{count}q", index, 34 + 4 * count)
    ends = struct.unpack_from(f"<{bounds}q", index, 34 + 12 * count)
    assert len(index) == 34 + 12 * count + 8 * bounds
    assert ends == tuple(range(count + 1))
    assert len(tokens) == size * sum(lengths)
    return [list(struct.unpack_from(f"<{length}{letter}", tokens, at)) for length, at in zip(lengths, starts)]


def batch(texts):
    return DocumentBatch.from_arrow(pa.table({"text": pa.array(texts, pa.string())}), dataset_name="set")


def write(writer, texts):
    writer.setup_on_node()
    writer.setup()
    made = StageCount(writer.name)
    with counting(made):
        task = writer.process(batch(texts))
    assert made.rows_written == len(texts)
    return task


def test_a_pair_is_byte_for_byte_as_documented(tmp_path):
    writer = MegatronTokenizerWriter(str(tmp_path), model_identifier=words_folder(), append_eod=True)
    task = write(writer, ["w1 w2 w3", "w1"])
    prefix = task._metadata["file_prefix"]
    assert task.data == [f"{prefix}.bin", f"{prefix}.idx"]
    assert [Path(path).read_bytes().hex() for path in task.data] == [GOLDEN_BIN, GOLDEN_IDX]
    assert task._metadata == {
        "format": "megatron",
        "file_prefix": prefix,
        "num_rows": 2,
        "num_tokens": 6,
        "token_size": 2,
        "eod_token_id": 99,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(Path(path).name for path in task.data)


@pytest.mark.parametrize("append_eod", [False, True])
def test_documents_are_read_back_as_the_tokenizer_made_them(tmp_path, append_eod):
    texts = ["the cat sat", "", "語 🙂", None, *[f"the dog {at}" for at in range(50)]]
    writer = MegatronTokenizerWriter(
        str(tmp_path), model_identifier=tokenizer_folder(), append_eod=append_eod, tokenization_batch_size=7
    )
    task = write(writer, texts)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder())
    tail = [tokenizer.eos_token_id] if append_eod else []
    wanted = [tokenizer.encode(text or "", add_special_tokens=False) + tail for text in texts]
    assert documents(task._metadata["file_prefix"]) == wanted
    assert task._metadata["num_tokens"] == sum(map(len, wanted))


@pytest.mark.parametrize(("words", "added", "size"), [(65_536, 0, 2), (65_537, 0, 4), (65_530, 10, 4)])
def test_tokens_take_16_bits_where_the_whole_vocabulary_fits(tmp_path, words, added, size):
    writer = MegatronTokenizerWriter(str(tmp_path), model_identifier=words_folder(words, added))
    last = f"a{added - 1}" if added else "<eos>"
    task = write(writer, [f"w1 {last}"])
    assert task._metadata["token_size"] == size
    assert documents(task._metadata["file_prefix"]) == [[1, words + added - 1]]


def test_a_tokenizer_without_an_end_appends_none(tmp_path, caplog):
    folder = tmp_path / "model"
    tokenizer = AutoTokenizer.from_pretrained(words_folder())
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    task = write(MegatronTokenizerWriter(str(tmp_path), model_identifier=str(folder), append_eod=True), ["w1"])
    assert documents(task._metadata["file_prefix"]) == [[1]]
    assert task._metadata["eod_token_id"] is None
    assert "the tokenizer has no end of sequence" in caplog.text


def test_no_documents_are_a_pair_without_any(tmp_path):
    task = write(MegatronTokenizerWriter(str(tmp_path), model_identifier=words_folder()), [])
    assert documents(task._metadata["file_prefix"]) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "model_identifier is missing"),
        ({"model_identifier": "m", "transformers_init_kwargs": {"token": "x"}}, r"\['token'\] may not be given here"),
        ({"model_identifier": "m", "mode": "w"}, "unknown mode 'w'"),
    ],
)
def test_wrong_settings_are_refused_when_the_writer_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        MegatronTokenizerWriter("out", **settings)


def test_a_writer_that_was_not_set_up_says_so(tmp_path):
    with pytest.raises(StageSetupError, match="call setup before process"):
        MegatronTokenizerWriter(str(tmp_path), model_identifier=words_folder()).process(batch(["w1"]))


def test_a_url_is_written_like_a_folder():
    writer = MegatronTokenizerWriter("memory://megatron", model_identifier=words_folder(), append_eod=True)
    for _ in range(2):
        task = write(writer, ["w1 w2 w3", "w1"])
    fs = fsspec.filesystem("memory")
    assert [fs.cat_file(path).hex() for path in task.data] == [GOLDEN_BIN, GOLDEN_IDX]
    assert len(fs.ls("/megatron")) == 2


def test_a_pipeline_writes_a_pair_for_each_part(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": f"w1 w{ord(name) - 95}"}) + "\n")
    writer = MegatronTokenizerWriter(str(tmp_path / "out"), model_identifier=words_folder())
    pipeline = Pipeline("megatron", stages=[JsonlReader(str(tmp_path)), writer])
    tasks = pipeline.run()
    assert sorted(documents(task._metadata["file_prefix"]) for task in tasks) == [[[1, 2]], [[1, 3]]]
    assert pipeline.last_run.stages[-1].rows_out == 2
    main(["--input-dir", str(tmp_path / "out"), "--output-prefix", str(tmp_path / "all")])
    assert sorted(documents(tmp_path / "all")) == [[1, 2], [1, 3]]


def test_a_killed_writer_leaves_no_index_without_its_tokens(tmp_path):
    task = write(MegatronTokenizerWriter(str(tmp_path), model_identifier=words_folder()), ["w1"])
    prefix = task._metadata["file_prefix"]
    code = (
        "import sys, pyarrow as pa\nfrom nemo_curator.tasks import DocumentBatch\n"
        "from nemo_curator.stages.text.io.writer import MegatronTokenizerWriter\n"
        f"w = MegatronTokenizerWriter({str(tmp_path)!r}, model_identifier={words_folder()!r}); w.setup()\n"
        "b = DocumentBatch.from_arrow(pa.table({'text': ['w2 w3'] * 2_000_000}), dataset_name='set')\n"
        f"w._run = {prefix.rpartition('/')[2][12:]!r}\nprint('go', flush=True); w.process(b)"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ})
    running.stdout.readline()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob(".writing-*.bin")):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    assert [path.suffix for path in tmp_path.glob(".writing-*")] == [".bin"]
    assert documents(prefix) == [[1]]
    assert [path.suffix for path in sorted(tmp_path.glob("[0-9a-f]*"))] == [".bin", ".idx"]


def pairs(folder, *parts, **settings):
    for at, texts in enumerate(parts):
        task = write(MegatronTokenizerWriter(str(folder / f"{at}"), model_identifier=words_folder(**settings)), texts)
        for path in task.data:
            Path(path).rename(folder / f"{at}{Path(path).suffix}")


def merge(folder, target):
    main(["--input-dir", str(folder), "--output-prefix", str(target)])


def test_pairs_are_merged_in_the_order_of_their_names(tmp_path, capsys):
    pairs(tmp_path, ["w1 w2", "w3"], [], ["w4", "", "w5 w6 w7"])
    for _ in range(2):  # what the first merge wrote into the folder is not taken for input by the second
        merge(tmp_path, tmp_path / "all")
        assert documents(tmp_path / "all") == [[1, 2], [3], [4], [], [5, 6, 7]]
    assert capsys.readouterr().out == f"{tmp_path}/all: 5 sequences\n" * 2


def test_documents_of_several_sequences_keep_their_bounds(tmp_path):
    pairs(tmp_path, ["w1"], ["w2", "w3"])
    index = (tmp_path / "1.idx").read_bytes()
    head = struct.pack("<9sQBQQ", b"MMIDIDX\0\0", 1, 8, 2, 2)
    (tmp_path / "1.idx").write_bytes(head + index[34:58] + struct.pack("<2q", 0, 2))
    merge(tmp_path, tmp_path / "all")
    merged = (tmp_path / "all.idx").read_bytes()
    assert struct.unpack_from("<2Q", merged, 18) == (3, 3)
    assert struct.unpack_from("<3q", merged, 34 + 12 * 3) == (0, 1, 3)


def damage_magic(folder):
    (folder / "1.idx").write_bytes(b"x" * 100)


def damage_tokens(folder):
    (folder / "1.bin").write_bytes(b"")


def damage_index(folder):
    (folder / "1.idx").write_bytes((folder / "1.idx").read_bytes()[:-1])


def damage_type(folder):
    data = bytearray((folder / "1.idx").read_bytes())
    data[17] = 77
    (folder / "1.idx").write_bytes(data)


def other_type(folder):
    pairs(folder / "other", ["w1"], words=70_000)
    for suffix in (".bin", ".idx"):
        (folder / "other" / f"0{suffix}").rename(folder / f"2{suffix}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_magic, "is not an index of Megatron"),
        (damage_tokens, r"1\.bin has 0 bytes and its index 2; make the pair again"),
        (damage_index, r"1\.idx has 61 bytes and says that it has 62"),
        (damage_type, "with tokens of type 77"),
        (other_type, "has tokens of int32, and .* of uint16"),
        (lambda folder: (folder / "1.bin").unlink(), r"1\.idx has no \.bin file beside it"),
        (lambda folder: (folder / "1.idx").unlink(), r"1\.bin has no \.idx file beside it"),
        (lambda folder: [path.unlink() for path in folder.glob("?.*")], r"there are no \.idx files"),
    ],
)
def test_a_pair_that_is_not_whole_is_named_and_nothing_is_written(tmp_path, damage, message):
    folder = tmp_path / "in"
    folder.mkdir()
    pairs(folder, ["w1"], ["w2"])
    damage(folder)
    with pytest.raises(InputError, match=message):
        merge(folder, tmp_path / "all")
    assert not list(tmp_path.glob("all*"))


def test_the_frame_of_a_user_is_written_too(tmp_path):
    writer = MegatronTokenizerWriter(str(tmp_path), model_identifier=words_folder(), text_field="story")
    writer.setup()
    task = writer.process(DocumentBatch("set", pd.DataFrame({"story": ["w1 w2"]})))
    assert documents(task._metadata["file_prefix"]) == [[1, 2]]


def test_pairs_with_tokens_of_eight_bits_are_merged_too(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.bin").write_bytes(b"\x01\x02")
        head = struct.pack("<9sQBQQ", b"MMIDIDX\0\0", 1, 1, 1, 2)
        (tmp_path / f"{name}.idx").write_bytes(head + struct.pack("<iqqq", 2, 0, 0, 1))
    merge(tmp_path, tmp_path / "all")
    assert (tmp_path / "all.bin").read_bytes() == b"\x01\x02" * 2
    assert struct.unpack_from("<2i2q", (tmp_path / "all.idx").read_bytes(), 34) == (2, 2, 0, 2)
