import json

import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.deduplication.clusters import (
    Cluster,
    cluster_table,
    explain,
    largest_clusters,
    read_clusters,
    summarize_clusters,
    write_clusters,
    write_sources,
)
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.tasks import FileGroupTask


@pytest.fixture(params=["folder", "memory"])
def output(request, tmp_path):
    """Two files of clusters: 1 stays for 2 and 3, 4 for 9, 5 for 6."""
    path = str(tmp_path) if request.param == "folder" else f"memory://{tmp_path.name}"
    write_clusters(path, 0, cluster_table([1, 1, 4], [3, 2, 9], [0.9, 1.0, 0.85], "jaccard"))
    write_clusters(path, 1, cluster_table([5], [6]))
    write_clusters(path, 2, cluster_table([], []))
    return path


def test_a_table_is_in_the_order_of_clusters_and_members(output):
    rows = [tuple(row.values()) for table in read_clusters(output) for row in table.to_pylist()]
    assert rows == [
        (1, 1, 2, 1.0, "jaccard"),
        (1, 1, 3, 0.9, "jaccard"),
        (4, 4, 9, 0.85, "jaccard"),
        (5, 5, 6, 1.0, "exact"),
    ]


def test_the_summary_counts_clusters_and_lists_the_largest(output):
    assert largest_clusters(output, 2) == [Cluster(1, 3, 0.9), Cluster(4, 2, 0.85)]
    assert json.loads(json.dumps(summarize_clusters(output, 1).to_dict())) == {
        "clusters": 3,
        "removed": 4,
        "measured": {"exact": 1, "jaccard": 3},
        "sizes": [[2, 2, 2], [3, 4, 1]],
        "largest": [
            {
                "cluster_id": 1,
                "size": 3,
                "min_similarity": 0.9,
                "members": [
                    {"id": 1, "source": None},
                    {"id": 2, "similarity": 1.0, "measured": "jaccard", "source": None},
                    {"id": 3, "similarity": 0.9, "measured": "jaccard", "source": None},
                ],
            }
        ],
    }


def test_the_members_of_the_largest_clusters_are_named_with_their_places(tmp_path):
    write_clusters(str(tmp_path), 0, cluster_table([0] * 9, list(range(1, 10))))
    write_sources(str(tmp_path), [FileGroupTask(data=["a.jsonl"], _metadata={ROW_NUMBERS: [[0, 10]]})])
    summary = summarize_clusters(str(tmp_path))
    assert summary.sizes == [(9, 16, 1)]
    assert [(one["id"], one["source"]) for one in summary.largest[0].members] == [
        (row, f"a.jsonl, row {row}") for row in range(5)
    ]


def test_a_document_that_was_removed_is_explained_by_its_survivor(output):
    parts = [(["a.jsonl"], [[0, 1]]), (["b.jsonl", "c.jsonl"], [[3, 6], [6, 9]]), (["a.jsonl"], [[1, 3]])]
    write_sources(output, [FileGroupTask(data=paths, _metadata={ROW_NUMBERS: numbers}) for paths, numbers in parts])
    found = explain(output, 3)
    assert (found.was_removed, found.survivor_id, found.similarity, found.measured) == (True, 1, 0.9, "jaccard")
    assert str(found).split("\n") == [
        "document 3 was removed, and 1 stayed: their Jaccard similarity is 0.9000, measured",
        "  3 is b.jsonl, row 0",
        "  1 is a.jsonl, row 1",
    ]


def test_a_document_that_stayed_is_explained_by_what_it_stands_for(output):
    assert str(explain(output, 1)) == "document 1 stayed, and 2 were removed for it: 2, 3"
    assert str(explain(output, 77)).startswith("document 77 stayed: it is like no other")


def test_ids_may_be_text(tmp_path):
    write_clusters(str(tmp_path), "a", cluster_table(["x"], ["y"], measured=["cosine"], similarity=[0.5]))
    assert explain(str(tmp_path), "y").survivor_id == "x"
    assert not explain(str(tmp_path), 3).was_removed


def test_without_clusters_the_error_says_what_to_give(tmp_path):
    with pytest.raises(InputError, match=r"no clusters in .*/clusters; give the output_path"):
        largest_clusters(str(tmp_path))


def test_an_unknown_way_to_measure_is_refused():
    with pytest.raises(ValueError, match=r"measured is 'guess'; wanted one of"):
        cluster_table([1], [2], measured="guess")
