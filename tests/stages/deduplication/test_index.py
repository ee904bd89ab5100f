from dataclasses import replace

import pytest

from nemo_curator.errors import ConfigError, InputError
from nemo_curator.stages.deduplication.index import Index

SETTINGS = {"hash_method": "md5", "num_buckets": 4}


@pytest.fixture(params=["folder", "memory"])
def path(request, tmp_path):
    return str(tmp_path / "index") if request.param == "folder" else f"memory://{tmp_path.name}/index"


def add(path, output, rows, settings=SETTINGS):
    index = Index.open(path, "exact", settings)
    delivery = replace(index.begin(output), num_rows=rows)
    index.add(delivery)
    return delivery


def test_ids_of_a_delivery_go_on_where_those_before_ended(path):
    assert [add(path, output, rows).first_id for output, rows in [("/a", 5), ("/b", 0), ("/c", 3)]] == [0, 5, 5]
    index = Index.open(path, "exact", SETTINGS)
    assert (index.next_id, [one.name for one in index.deliveries]) == (8, ["000000", "000001", "000002"])


def test_a_run_that_is_repeated_takes_its_own_place(path):
    add(path, "/a", 5)
    assert add(path, "/b", 7) == replace(add(path, "/b", 9), num_rows=7)
    assert Index.open(path, "exact", SETTINGS).next_id == 14


def test_a_delivery_that_others_were_compared_with_is_not_done_again(path):
    add(path, "/a", 5)
    add(path, "/b", 7)
    with pytest.raises(ConfigError, match=r"/a is delivery 000000 of .* and 1 after it were compared with it"):
        add(path, "/a", 5)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("exact", {**SETTINGS, "hash_method": "sha256"}, r"was made with \{'hash_method': 'md5'\}, and this run has"),
        ("fuzzy", SETTINGS, "is an index 'exact' of version 1; wanted 'fuzzy'"),
    ],
)
def test_an_index_of_other_settings_is_refused(path, kind, settings, message):
    add(path, "/a", 5)
    with pytest.raises(ConfigError, match=message):
        Index.open(path, kind, settings)


def test_a_run_that_adds_meanwhile_is_noticed(path):
    index = Index.open(path, "exact", SETTINGS)
    delivery = index.begin("/a")
    add(path, "/b", 1)
    with pytest.raises(InputError, match="has got other deliveries meanwhile"):
        index.add(delivery)
