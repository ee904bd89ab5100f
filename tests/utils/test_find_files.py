import pytest

from nemo_curator.utils.find_files import find_files, find_input_files, has_extension


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jsonl", "b/c d é.jsonl.gz", "b/x.txt", ".hidden.jsonl", ".git/y.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(path, **how):
    return [one.path for one in find_files(str(path), **how)]


def below(folder, paths):
    return sorted(path.removeprefix(f"{folder}/") for path in paths)


def test_a_folder_is_searched_with_all_below_it_except_what_is_hidden(folder):
    assert below(folder, found(folder)) == ["a.jsonl", "b/c d é.jsonl.gz", "b/x.txt"]
    assert below(folder, found(folder, recurse=False)) == ["a.jsonl"]
    assert below(folder, found(f"file://{folder}/b")) == ["b/c d é.jsonl.gz", "b/x.txt"]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*.jsonl", ["a.jsonl"]),
        ("**/*.jsonl*", ["a.jsonl", "b/c d é.jsonl.gz"]),
        ("b/[xyz].txt", ["b/x.txt"]),
        ("b*", ["b/c d é.jsonl.gz", "b/x.txt"]),
    ],
)
def test_a_pattern_stands_for_what_it_matches(folder, pattern, matches):
    assert below(folder, found(folder / pattern)) == matches


def test_a_name_with_the_signs_of_a_pattern_is_a_name(tmp_path):
    (tmp_path / "a[1].jsonl").touch()
    assert found(tmp_path / "a[1].jsonl") == [str(tmp_path / "a[1].jsonl")]


def test_links_are_followed_into_each_folder_once(folder):
    (folder / "loop").symlink_to(folder)
    (folder / "again").symlink_to(folder / "b")
    outside = folder.parent / f"{folder.name}_outside"
    outside.mkdir()
    (outside / "z.jsonl").touch()
    (folder / "link").symlink_to(outside)
    assert below(folder, found(folder)) == ["a.jsonl", "b/c d é.jsonl.gz", "b/x.txt", "link/z.jsonl"]
    assert below(folder, found(folder / "li*/*.jsonl")) == ["link/z.jsonl"]


def test_a_file_that_is_named_twice_is_found_once(folder):
    paths = [str(folder), str(folder / "a.jsonl"), str(folder / "b" / ".." / "*.jsonl")]
    assert len(find_input_files(paths, [".jsonl"])) == 2


@pytest.mark.parametrize(
    ("name", "extensions", "is_one"),
    [
        ("x.jsonl", [".jsonl", ".json"], True),
        ("X.JSONL.GZ", ["jsonl"], True),
        ("x.jsonl.zst", ".jsonl", True),
        ("x.jsonl.bz2", [".json"], False),
        ("x.jsonl.gz", [".jsonl.gz"], True),
        ("x.gz", [".jsonl"], False),
        ("jsonl", [".jsonl"], False),
    ],
)
def test_extensions_are_seen_through_compression(name, extensions, is_one):
    assert has_extension(name, extensions) == is_one
