import json
import shutil
from itertools import combinations, pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.backends.xenna import XennaExecutor
from nemo_curator.errors import RunFailedError
from nemo_curator.stages.deduplication.fuzzy import FuzzyDeduplicationWorkflow, verified
from nemo_curator.stages.deduplication.fuzzy.blocks import FOR_A_BYTE
from tests.stages.deduplication.fuzzy.near_duplicates import (
    chain,
    clusters,
    corpus,
    document,
    in_id_order,
    jaccard,
    removed_ids,
    shingles,
    write_files,
)


def dedup(folder, output, workers=0, running=None, **settings):
    given = {"input_filetype": "jsonl", "cache_path": str(output / "cache"), "output_path": str(output), **settings}
    workflow = FuzzyDeduplicationWorkflow(input_path=str(folder), **given)
    return workflow.run(executor=LocalExecutor(num_workers=workers), **(running or {}))


@pytest.fixture(scope="module")
def texts():
    return corpus()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, texts):
    return write_files(tmp_path_factory.mktemp("near") / "in", texts)


def test_what_goes_is_as_similar_as_asked_to_one_that_stays(folder, texts, tmp_path):
    result = dedup(folder, tmp_path)
    known, gone = in_id_order(texts), removed_ids(tmp_path)
    assert result.metadata["num_duplicates"] == len(gone) > 20
    for member, row in clusters(tmp_path).items():
        assert row["survivor_id"] not in gone
        assert row["survivor_id"] < member
        assert row["similarity"] == pytest.approx(jaccard(known[member], known[row["survivor_id"]]))
        assert row["similarity"] >= 0.8
    assert sorted(clusters(tmp_path)) == gone
    # 20 bands of 13 find a pair of 0.9 with 99.7 %
    stays = [shingles(text) for at, text in enumerate(known) if at not in set(gone)]
    assert all(len(one & other) < 0.9 * len(one | other) for one, other in combinations(stays, 2))


@pytest.mark.parametrize("settings", [{}, {"verify": False}, {"id_field": "name"}])
def test_the_data_set_is_written_without_what_goes(tmp_path, texts, settings):
    names = [""] * len(texts)
    for at, row in enumerate(in_id_order(range(len(texts)))):
        names[row] = f"{at // 2:03}"  # ids that come twice remove nothing beside what they are meant for
    folder = write_files(tmp_path / "in", texts, name=names)
    dedup(folder, tmp_path, perform_removal=True, **settings)
    dedup(folder, tmp_path / "ids", **{name: value for name, value in settings.items() if name != "id_field"})
    gone = set(removed_ids(tmp_path / "ids"))
    lines = [line for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines()]
    kept = [line for path in sorted((tmp_path / "deduplicated").iterdir()) for line in path.read_bytes().splitlines()]
    assert kept == [line for at, line in enumerate(lines) if at not in gone]
    assert len(kept) < len(lines)


def test_a_chain_is_not_collapsed(tmp_path):
    texts = chain(26)
    assert all(0.8 < jaccard(*pair) < 0.9 for pair in pairwise(texts))
    result = dedup(write_files(tmp_path / "in", texts, files=1), tmp_path)
    gone = set(removed_ids(tmp_path))
    assert 0 < len(gone) < 16
    assert result.metadata["clusters"]["removed"] == len(gone)
    for member, row in clusters(tmp_path).items():
        assert jaccard(texts[member], texts[row["survivor_id"]]) >= 0.8


@pytest.mark.parametrize(
    ("workers", "settings"),
    [(2, {}), (0, {"input_blocksize": 4000}), (0, {"input_blocksize": 500}), (0, {"num_bands": 20, "char_ngrams": 24})],
)
def test_the_result_depends_on_the_files_alone(folder, tmp_path, workers, settings):
    dedup(folder, tmp_path / "one")
    dedup(folder, tmp_path / "other", workers, **settings)
    assert clusters(tmp_path / "one") == clusters(tmp_path / "other")


@pytest.mark.parametrize("settings", [{"method": "minhash"}, {"use_64_bit_hash": True}, {"seed": 7}])
def test_other_signatures_find_the_same_duplicates_but_for_chance(folder, texts, tmp_path, settings):
    dedup(folder, tmp_path, **settings)
    known = in_id_order(texts)
    for member, row in clusters(tmp_path).items():
        assert row["similarity"] == pytest.approx(jaccard(known[member], known[row["survivor_id"]]))
    assert len(removed_ids(tmp_path)) > 20


def test_the_longest_of_near_duplicates_stays(tmp_path):
    words = document("one")
    texts = [" ".join(words), " ".join([*words, "more", "words"]), " ".join(words[:-1])]
    dedup(write_files(tmp_path / "in", texts, files=1), tmp_path, keep="longest")
    assert removed_ids(tmp_path) == [0, 2]


def test_the_document_from_the_preferred_file_stays(tmp_path):
    words = document("one")
    texts = [" ".join(words), " ".join([*words, "more", "words"]), " ".join(words[:-1])]
    folder = write_files(tmp_path / "in", texts, files=3)
    best = sorted(folder.iterdir())[1]
    dedup(folder, tmp_path, keep={"sources": [str(best)]}, input_blocksize="1MiB")
    assert removed_ids(tmp_path) == [0, 2]


def test_the_best_by_a_column_stays_and_ids_are_those_of_the_user(tmp_path):
    text = " ".join(document("one"))
    folder = write_files(tmp_path / "in", [text] * 4, files=2, name=["d", "c", "b", "a"], score=[1, None, 3, 3])
    dedup(folder, tmp_path, keep={"column": "score", "descending": True}, id_field="name")
    assert removed_ids(tmp_path, "name") == ["b", "c", "d"]
    assert {row["survivor_id"] for row in clusters(tmp_path).values()} == {"a"}


@pytest.mark.parametrize("settings", [{"id_field": "_curator_dedup_id"}, {"keep": {"column": "_curator_dedup_id"}}])
@pytest.mark.parametrize("with_index", [False, True])
def test_a_column_of_the_input_named_like_the_row_numbers_is_not_taken_for_them(tmp_path, settings, with_index):
    twice = " ".join(document("twice"))
    texts = [twice, " ".join(document("one")), twice, " ".join(document("other"))]
    folder = write_files(tmp_path / "in", texts, files=1, _curator_dedup_id=[3, 2, 1, 0])
    index = {"index_path": str(tmp_path / "index")} if with_index else {}
    dedup(folder, tmp_path / "out", perform_removal=True, **settings, **index)
    copy = (tmp_path / "out" / "deduplicated" / "0.jsonl").read_text().splitlines()
    assert [json.loads(line)["_curator_dedup_id"] for line in copy] == [2, 1, 0]
    assert removed_ids(tmp_path / "out") == ([3] if "id_field" in settings else [0])


def test_a_candidate_without_an_id_has_failed_and_stays(tmp_path):
    text = " ".join(document("one"))
    folder = write_files(tmp_path / "in", [text] * 3, files=1, name=[None, "b", "a"])
    with pytest.raises(RunFailedError, match="candidates: InputError: a document has no 'name'; give it one"):
        dedup(folder, tmp_path / "strict", id_field="name")
    dedup(folder, tmp_path, id_field="name", running={"max_failed_fraction": 0.5})
    assert removed_ids(tmp_path, "name") == ["b"]


def test_a_null_is_no_document_and_empty_texts_are_duplicates(tmp_path):
    folder = write_files(tmp_path / "in", ["", None, "", "ab", None, "ab", "abc"], files=1)
    dedup(folder, tmp_path)
    assert removed_ids(tmp_path) == [2, 5]


def test_where_nothing_is_alike_nothing_is_written(tmp_path):
    folder = write_files(tmp_path / "in", [" ".join(document(seed)) for seed in range(5)])
    result = dedup(folder, tmp_path)
    assert result.metadata["num_duplicates"] == 0
    assert not (tmp_path / "FuzzyDuplicateIds").exists()


def test_what_an_earlier_run_has_left_does_not_count(folder, tmp_path):
    dedup(folder, tmp_path)
    dedup(write_files(tmp_path / "in", [" ".join(document(seed)) for seed in range(5)]), tmp_path)
    assert removed_ids(tmp_path) == []
    assert clusters(tmp_path) == {}


def test_files_of_others_in_the_cache_are_not_deleted(folder, tmp_path):
    (tmp_path / "cache" / "FuzzyVerified").mkdir(parents=True)
    precious = tmp_path / "cache" / "FuzzyVerified" / "thesis.txt"
    precious.write_text("all my work")
    with pytest.raises(Exception, match="give another cache_path"):
        dedup(folder, tmp_path)
    assert precious.exists()


def test_no_file_has_the_secrets_of_a_storage(tmp_path):
    folder = write_files(tmp_path / "in", [" ".join(document("one"))] * 2, files=1)
    options = {"storage_options": {"key": "Hush"}}
    dedup(
        folder,
        tmp_path,
        running={"checkpoint_path": str(tmp_path / "checkpoint")},
        index_path=str(tmp_path / "index"),
        read_kwargs=options,
        cache_kwargs=options,
        write_kwargs=options,
        perform_removal=True,
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "checkpoint/verify/run.json" in files
    assert [path for path in files if b"Hush" in path.read_bytes()] == []


def test_the_id_generator_knows_the_ids(folder, texts, tmp_path):
    result = dedup(folder, tmp_path)
    state = json.loads((tmp_path / "fuzzy_id_generator.json").read_text())
    assert result.metadata["id_generator_path"] == str(tmp_path / "fuzzy_id_generator.json")
    assert state["next_id"] == len(texts)
    assert min(first for first, _ in state["batch_registry"].values()) == 0


@pytest.mark.parametrize("settings", [{}, {"keep": "longest"}])
def test_a_component_that_does_not_fit_into_memory_is_worked_through_from_disk(tmp_path, monkeypatch, settings):
    texts = chain(60)
    folder = write_files(tmp_path / "in", [text + text[:size] for size, text in enumerate(texts * 2)], files=4)
    dedup(folder, tmp_path / "one", **settings)
    assert len(clusters(tmp_path / "one")) > 70
    monkeypatch.setattr(verified, "_WORKING", 300_000)
    result = dedup(folder, tmp_path / "other", **settings)
    assert len(result.pipeline_tasks["verify"]) < 4
    paths = (tmp_path / "other" / "cache" / "FuzzyVerified" / "texts").rglob("*.parquet")
    size = sum(pq.read_table(path)["_bytes"].to_numpy().sum() for path in paths)
    assert size * FOR_A_BYTE > 10 * 300_000
    assert clusters(tmp_path / "one") == clusters(tmp_path / "other")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bands_per_iteration": 0}, r"bands_per_iteration must be between \[1, num_bands\]"),
        ({"bands_per_iteration": 21}, r"bands_per_iteration must be between \[1, num_bands\]"),
        ({"threshold": 1.1}, "threshold is 1.1"),
        ({"method": "slow"}, "wanted 'fast' or 'minhash'"),
        ({"keep": "all"}, "keep is 'all'"),
        ({"input_filetype": "csv"}, "unknown input_filetype 'csv'"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        FuzzyDeduplicationWorkflow(cache_path="c", output_path="o", **settings)


def test_there_must_be_an_input(tmp_path):
    workflow = FuzzyDeduplicationWorkflow(cache_path=str(tmp_path / "c"), output_path=str(tmp_path / "o"))
    with pytest.raises(ValueError, match="input_path to the dataset must be provided"):
        workflow.run()


FIVE = ["A test string", "A different test string", "A different object", "The quick brown fox jumps over the lazy dog"]
FIVE += ["The quick brown cat jumps over the lazy dog"]


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(("bands", "use_64_bit_hash"), [(5, False), (10, True)])
def test_five_strings_are_two_groups(tmp_path, verify, bands, use_64_bit_hash):
    folder = write_files(tmp_path / "in", FIVE, files=1)
    result = dedup(
        folder,
        tmp_path,
        verify=verify,
        threshold=0.01,
        method="minhash",
        char_ngrams=5,
        num_bands=bands,
        minhashes_per_band=1,
        bands_per_iteration=5,
        lsh_num_output_partitions=4,
        use_64_bit_hash=use_64_bit_hash,
    )
    gone = removed_ids(tmp_path)
    assert result.metadata["num_duplicates"] == len(gone)
    assert {4} <= set(gone) <= {1, 2, 4}
    if verify:
        return
    assert gone == [1, 2, 4]
    for name in ("minhash", "lsh", "connected_components"):
        assert result.pipeline_tasks[name]
    for name in ("minhash_time", "lsh_time", "connected_components_pipeline_time", "total_time"):
        assert result.metadata[name] > 0
    for first in range(0, bands, 5):
        assert len(list((tmp_path / "cache" / "LSHStage" / f"band_{first}-band_{first + 5}").glob("*.parquet"))) == 4


def test_where_nothing_is_alike_the_later_steps_leave_no_folders(tmp_path):
    folder = write_files(tmp_path / "in", [" ".join(document(seed)) for seed in range(5)])
    assert dedup(folder, tmp_path, verify=False).metadata["num_duplicates"] == 0
    assert sum(pq.read_table(path).num_rows for path in (tmp_path / "cache" / "LSHStage").rglob("*.parquet")) == 0
    for name in ("cache/ConnectedComponentsStage", "cache/BucketsToEdgesStage", "FuzzyDuplicateIds"):
        assert not (tmp_path / name).exists()


def test_without_verification_a_chain_is_one_group(tmp_path):
    folder = write_files(tmp_path / "in", chain(8), files=1)
    dedup(folder, tmp_path, verify=False, num_bands=130, minhashes_per_band=2)
    assert removed_ids(tmp_path) == list(range(1, 8))


def test_what_needs_verification_is_refused_without():
    with pytest.raises(ValueError, match="index_path, keep can be given with verify=True alone"):
        FuzzyDeduplicationWorkflow(cache_path="c", output_path="o", verify=False, index_path="i", keep="longest")


def test_short_windows_without_verification_warn():
    with pytest.warns(UserWarning, match="char_ngrams is 5"):
        FuzzyDeduplicationWorkflow(cache_path="c", output_path="o", verify=False, char_ngrams=5)


@pytest.mark.ray
# all engines run the same stages: for one of them this is run at every change
@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(RayDataExecutor, marks=pytest.mark.big),
        pytest.param(RayActorPoolExecutor, marks=pytest.mark.big),
        XennaExecutor,
    ],
)
def test_the_result_is_the_same_on_ray(folder, tmp_path, ray_cluster, executor):
    dedup(folder, tmp_path / "one")
    workflow = FuzzyDeduplicationWorkflow(
        str(tmp_path / "cache"), str(tmp_path / "other"), str(folder), "jsonl", input_blocksize=4000
    )
    workflow.run(executor=executor())
    assert clusters(tmp_path / "one") == clusters(tmp_path / "other")


def test_a_run_that_was_ended_goes_on_and_one_that_has_ended_is_not_done_again(folder, tmp_path):
    dedup(folder, tmp_path / "one")
    running = {"checkpoint_path": str(tmp_path / "checkpoint")}
    dedup(folder, tmp_path / "other", running=running, perform_removal=True)
    found = clusters(tmp_path / "other")
    again = dedup(folder, tmp_path / "other", running=running, perform_removal=True)
    assert clusters(tmp_path / "one") == found == clusters(tmp_path / "other")
    assert again.metadata["num_duplicates"] == len(found) == again.metadata["num_duplicates_removed"]


def test_what_was_made_of_files_that_have_changed_does_not_count(tmp_path, texts):
    folder = write_files(tmp_path / "in", texts)
    running = {"checkpoint_path": str(tmp_path / "state"), "on_change": "redo"}
    dedup(folder, tmp_path / "out", perform_removal=True, running=running)
    first = folder / "0.jsonl"
    first.write_text("".join(first.read_text().splitlines(keepends=True)[5:]))
    dedup(folder, tmp_path / "out", perform_removal=True, running=running)
    dedup(folder, tmp_path / "anew", perform_removal=True)
    assert clusters(tmp_path / "out") == clusters(tmp_path / "anew")
    for path in (tmp_path / "anew" / "deduplicated").iterdir():
        assert (tmp_path / "out" / "deduplicated" / path.name).read_text() == path.read_text()


def test_a_cache_whose_checkpoint_is_gone_does_not_count(folder, tmp_path):
    running = {"checkpoint_path": str(tmp_path / "checkpoint")}
    dedup(write_files(tmp_path / "in", chain(20), files=5), tmp_path / "one", running=running)
    shutil.rmtree(tmp_path / "checkpoint")
    dedup(folder, tmp_path / "one", running=running)
    dedup(folder, tmp_path / "other")
    assert clusters(tmp_path / "one") == clusters(tmp_path / "other")


def test_parquet_is_read_and_written(folder, texts, tmp_path):
    dedup(folder, tmp_path / "one")
    (tmp_path / "in").mkdir()
    known = in_id_order(texts)
    for part in range(3):
        rows = known[part * len(known) // 3 : (part + 1) * len(known) // 3]
        pq.write_table(pa.table({"text": rows, "n": range(len(rows))}), tmp_path / "in" / f"{part}.parquet")
    dedup(tmp_path / "in", tmp_path / "other", input_filetype="parquet", perform_removal=True)
    assert clusters(tmp_path / "one") == clusters(tmp_path / "other")
    kept = [pq.read_table(path) for path in sorted((tmp_path / "other" / "deduplicated").glob("*.parquet"))]
    gone = clusters(tmp_path / "other")
    assert pa.concat_tables(kept)["text"].to_pylist() == [text for at, text in enumerate(known) if at not in gone]
