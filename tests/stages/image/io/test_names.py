import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.stages.image.io.names import container_id, file_stem, safe_name, split_key


@pytest.mark.parametrize(
    ("member", "split"),
    [
        ("0001.jpg", ("0001", "jpg")),
        ("a.b/0001.seg.PNG", ("a.b/0001", "seg.png")),
        ("./0001.JPG", ("0001", "jpg")),
        ("a/.hidden.jpg", None),
        ("a/._0001.jpg", None),
        ("README", None),
        ("a.b/README", None),
        ("0001.", None),
        ("", None),
    ],
)
def test_a_key_ends_at_the_first_dot_of_the_name(member, split):
    assert split_key(member) == split


NAMES = st.text(st.sampled_from("ab/._~+=-é \n\udcff") | st.characters(), max_size=60)


@given(NAMES, NAMES)
def test_two_names_are_never_made_one_and_hold_nothing_that_file_systems_and_webdataset_mind(one, other):
    safe = safe_name(one)
    assert (safe == safe_name(other)) == (one == other)
    assert not set(safe) & set("/.\\ \n\0:*?")
    assert len(safe.encode()) <= 113
    assert file_stem(safe) == safe or not safe


@pytest.mark.parametrize(
    ("path", "root", "name"),
    [
        ("/data/sub/00000.tar", "/data", "sub~00000"),
        ("/data/sub/00000.tar", "/data/", "sub~00000"),
        ("/data/00000.tar.gz", "/data", "00000+tar+gz"),
        ("/data/part.parquet", "/data", "part+parquet"),
        ("s3://bucket/in/00000.tar", "s3://bucket/in", "00000"),
        ("s3://bucket/in/00000.tar", "", "bucket~in~00000"),
        ("/data/00000.tar", "/dat", "data~00000"),
    ],
)
def test_ids_begin_with_the_path_as_seen_from_the_folder_that_was_searched(path, root, name):
    assert container_id(path, root) == name
