import io
import tarfile

import fsspec
import pandas as pd
import pytest

from nemo_curator.errors import InputError
from nemo_curator.utils.client_utils import is_remote_url
from nemo_curator.utils.file_utils import (
    check_disallowed_kwargs,
    check_output_mode,
    create_or_overwrite_dir,
    delete_dir,
    filter_files_by_extension,
    get_all_file_paths_and_size_under,
    get_all_file_paths_under,
    get_default_file_extensions,
    get_fs,
    infer_dataset_name_from_path,
    infer_protocol_from_paths,
    is_not_empty,
    pandas_select_columns,
    parse_bytes_string_to_int,
    read_json_file,
    refuse_to_empty,
    tar_safe_extract,
    write_json_file,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("100M", 100000000),
        ("5.4 kB", 5400),
        ("1kiB", 1024),
        ("1e6", 1000000),
        ("MB", 1000000),
        ("1GiB", 1073741824),
        ("512MB", 512000000),
        ("7", 7),
        ("7 b", 7),
        (64, 64),
        (1.5e3, 1500),
    ],
)
def test_a_number_of_bytes_is_read_as_documented(text, size):
    assert parse_bytes_string_to_int(text) == size


@pytest.mark.parametrize("text", ["", " ", "x", "-1", "1.2.3", "5 lightyears", "1 2 MBit"])
def test_what_is_no_number_of_bytes_is_refused(text):
    with pytest.raises(ValueError, match="is not a number of bytes; write it like 512MB or 1GiB"):
        parse_bytes_string_to_int(text)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/MySet/x.jsonl", "myset"),
        ("x.jsonl", "x"),
        ("s3://bucket/dir/File.JSONL", "file.jsonl"),
        ("s3://bucket", "bucket"),
        ("/", "dataset"),
    ],
)
def test_a_data_set_is_named_after_its_path(path, name):
    assert infer_dataset_name_from_path(path) == name


def test_a_data_set_is_named_after_its_folder():
    assert infer_dataset_name_from_path("/data/MySet", path_kind="dir") == "myset"


def test_urls_are_told_from_paths():
    assert [is_remote_url(url) for url in ("s3://b/x", "file:///x", "/x", "C:x")] == [True, False, False, False]
    assert infer_protocol_from_paths(["/a", "gs://b/c"]) == "gs"
    assert infer_protocol_from_paths(["/a", "file:///b"]) is None
    assert type(get_fs("memory://x")).protocol == "memory"


def test_files_are_listed_by_path_or_by_size(tmp_path):
    for name, size in (("b.jsonl", 1), ("a.json", 2), ("sub/c.jsonl.gz", 0)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    root = str(tmp_path)
    assert get_all_file_paths_under(root) == [f"{root}/a.json", f"{root}/b.jsonl"]
    assert get_all_file_paths_under(root, True, "jsonl") == [f"{root}/b.jsonl", f"{root}/sub/c.jsonl.gz"]
    sized = get_all_file_paths_and_size_under(root, recurse_subdirectories=True)
    assert sized == [(f"{root}/sub/c.jsonl.gz", 0), (f"{root}/b.jsonl", 1), (f"{root}/a.json", 2)]
    assert get_all_file_paths_and_size_under(root, sort_by_size=False) == [
        (f"{root}/a.json", 2),
        (f"{root}/b.jsonl", 1),
    ]
    assert filter_files_by_extension(["a.json", "b.txt"], ["json"]) == ["a.json"]
    with pytest.raises(InputError, match="there is no such file or folder"):
        get_all_file_paths_under(f"{root}/gone")


def test_extensions_of_file_types_are_those_that_are_documented():
    assert get_default_file_extensions("jsonl") == [".jsonl", ".json"]
    assert get_default_file_extensions("megatron") == [".bin", ".idx"]
    with pytest.raises(ValueError, match="unknown file type 'csv'; known are"):
        get_default_file_extensions("csv")


def test_a_folder_is_emptied_and_links_are_not_followed(tmp_path):
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    for one in (kept, folder / "sub"):
        one.mkdir(parents=True)
        (one / "file").touch()
    (folder / "link").symlink_to(kept)
    assert is_not_empty(str(folder))
    create_or_overwrite_dir(str(folder))
    assert not is_not_empty(str(folder))
    assert (kept / "file").exists()
    (tmp_path / "way").symlink_to(kept)
    delete_dir(str(tmp_path / "way"))
    delete_dir(str(folder))
    delete_dir(str(tmp_path / "never was"))
    assert not folder.exists()
    assert (kept / "file").exists()


def test_a_folder_behind_a_url_is_emptied_too():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/emptied/sub/x", b"")
    create_or_overwrite_dir("memory://emptied")
    assert not is_not_empty("memory://emptied")
    assert fs.isdir("/emptied")


def test_modes_do_what_they_are_called(tmp_path):
    folder = str(tmp_path / "new")
    fs = get_fs(folder)
    for mode in ("ignore", "error", "overwrite"):
        check_output_mode(mode, fs, folder)
        assert (tmp_path / "new").is_dir()
    (tmp_path / "new" / "x").touch()
    check_output_mode("ignore", fs, folder)
    check_output_mode("append", fs, folder, append_mode_implemented=True)
    with pytest.raises(NotImplementedError, match="no append mode"):
        check_output_mode("append", fs, folder)
    with pytest.raises(FileExistsError, match="it is not empty; choose another folder or another mode"):
        check_output_mode("error", fs, folder)
    with pytest.raises(ValueError, match="unknown mode 'delete'"):
        check_output_mode("delete", fs, folder)
    with pytest.raises(NotADirectoryError, match="it is a file; give a folder"):
        check_output_mode("ignore", fs, f"{folder}/x")
    check_output_mode("overwrite", fs, folder)
    assert not is_not_empty(folder)


def test_what_is_precious_is_not_emptied(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    monkeypatch.chdir(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "home")
    for folder in ("/", str(tmp_path / "home" / "me"), str(tmp_path), ".", str(link), "s3://bucket"):
        with pytest.raises(ValueError, match="refused to empty"):
            refuse_to_empty(folder)
    for folder in (str(tmp_path / "out"), str(tmp_path / "home" / "me" / "out"), "s3://bucket/out"):
        refuse_to_empty(folder)
    with pytest.raises(ValueError, match=r"/data/a.jsonl is there; write to a folder of its own"):
        refuse_to_empty("/data", ["/data/a.jsonl"])
    refuse_to_empty("/data/out", ["/data/a.jsonl", "/data/outer/b.jsonl"])


def test_columns_are_selected_and_missing_ones_are_null():
    frame = pd.DataFrame({"a": [1], "b": [2]})
    assert pandas_select_columns(frame, None, "f") is frame
    selected = pandas_select_columns(frame, ["b", "c"], "f")
    assert list(selected.columns) == ["b", "c"]
    assert selected["c"].isna().all()
    with pytest.raises(InputError, match=r"f has none of \['c'\]; its columns are \['a', 'b'\]"):
        pandas_select_columns(frame, ["c"], "f")


def test_settings_that_may_not_be_given_are_found():
    assert check_disallowed_kwargs({"a": 1, "b": 2}, ["b"], raise_error=False) == ["b"]
    with pytest.raises(ValueError, match=r"\['b'\] may not be given here"):
        check_disallowed_kwargs({"b": 2}, ["b"])


def test_an_archive_does_not_write_outside_its_folder(tmp_path):
    def archive(name):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(name))
        return tarfile.open(fileobj=io.BytesIO(data.getvalue()))

    tar_safe_extract(archive("inside/x"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "inside" / "x").exists()
    with pytest.raises(tarfile.TarError):
        tar_safe_extract(archive("../outside"), str(tmp_path / "out"))
    assert not (tmp_path / "outside").exists()


def test_json_files_come_back(tmp_path):
    write_json_file(str(tmp_path / "x.json"), {"é": [1]})
    assert read_json_file(str(tmp_path / "x.json")) == {"é": [1]}
