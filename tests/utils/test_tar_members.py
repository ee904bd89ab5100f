import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile

import fsspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.errors import InputError
from nemo_curator.utils import tar_members as module
from nemo_curator.utils.file_utils import tar_safe_extract
from nemo_curator.utils.tar_members import members_of, tar_members

COMPRESS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstandard.compress,
}
MEMBERS = [(f"{at:03d}.{kind}", bytes([at % 251]) * (at * 37)) for at in range(40) for kind in ("jpg", "json")]


def archive(members=MEMBERS, form=tarfile.PAX_FORMAT, **extra):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = extra
            tar.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def read(path, data=None, **how):
    """What is given, what is said to have been skipped, and what ended it."""
    if data is not None:
        path.write_bytes(data)
    found, reports = [], []
    try:
        found.extend(tar_members(str(path), skipped=lambda error: reports.append(str(error)), **how))
    except InputError as error:
        return found, reports, str(error)
    return found, reports, None


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_given_as_they_were_put_in(tmp_path, suffix, form):
    members = [*MEMBERS, (f"{'a' * 90}/{'b' * 90}.txt", b"x"), ("é.txt", b"y")]
    if form != tarfile.USTAR_FORMAT:
        members.append(("long/" * 100 + "name", b"z"))
    assert read(tmp_path / f"a{suffix}", COMPRESS[suffix](archive(members, form))) == (members, [], None)


def test_a_url_is_read_without_seeking():
    fsspec.filesystem("memory").pipe_file("/tars/a.tar.gz", gzip.compress(archive()))
    assert list(tar_members("memory://tars/a.tar.gz", skipped=pytest.fail)) == MEMBERS


def test_archives_behind_one_another_are_one(tmp_path):
    assert read(tmp_path / "a.tar", archive(MEMBERS[:3]) + archive(MEMBERS[3:])) == (MEMBERS, [], None)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (tarfile.TarInfo("/etc/passwd"), "leads out of the folder"),
        (tarfile.TarInfo("a/../../b"), "leads out of the folder"),
        (tarfile.TarInfo("..\\b"), "leads out of the folder"),
        (tarfile.TarInfo("C:\\b"), "leads out of the folder"),
        (special("link", tarfile.SYMTYPE, "/etc"), "a symbolic link, which is not followed"),
        (special("link", tarfile.LNKTYPE, "000.jpg"), "a hard link, which is not followed"),
        (special("null", tarfile.CHRTYPE), "is a device"),
        (special("disk", tarfile.BLKTYPE), "is a device"),
        (special("pipe", tarfile.FIFOTYPE), "is a pipe"),
        (special("what", b"Z"), "of the unknown kind 'Z'"),
        (special("holes", tarfile.GNUTYPE_SPARSE), "is a sparse file, which is not read"),
    ],
)
def test_what_leads_elsewhere_is_reported_and_what_is_around_it_is_given(tmp_path, member, reason):
    found, (report,), error = read(tmp_path / "a.tar", archive([MEMBERS[2], (member, b""), MEMBERS[3]]))
    assert (found, error) == (MEMBERS[2:4], None)
    assert reason in report
    assert f"a.tar: member 2 ({member.name})" in report


def test_folders_are_no_loss(tmp_path):
    data = archive([(special("folder", tarfile.DIRTYPE), b""), MEMBERS[5]])
    assert read(tmp_path / "a.tar", data) == ([MEMBERS[5]], [], None)


def test_a_name_with_a_nul_in_its_pax_header_is_reported(tmp_path):
    found, (report,), error = read(tmp_path / "a.tar", archive([("a", b"1")], path="a\0/../b"))
    assert (found, error) == ([], None)
    assert "leads out of the folder, or none" in report


def test_a_member_that_is_too_large_is_reported_and_not_held(tmp_path):
    data = archive([("a", b"x" * 100), ("b", b"x" * 101), ("c", b"x")])
    found, (report,), error = read(tmp_path / "a.tar", data, max_bytes=100)
    assert ([name for name, _ in found], error) == (["a", "c"], None)
    assert report.endswith("a.tar: member 2 (b) has 101 bytes; wanted at most 100")


def test_a_header_that_is_too_large_costs_its_member(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HEADER_BYTES", 1000)
    data = archive([("a", b"1")])[:1024] + archive([("b", b"2")], comment="x" * 2000)[:-1] + b"\0"
    found, (report,), error = read(tmp_path / "a.tar", data)
    assert (found, error) == ([("a", b"1")], None)
    assert "member 2 (b) has a header of more than 1000 bytes" in report


def test_sparse_files_of_both_kinds_are_passed_by(tmp_path):
    holes = tmp_path / "holes"
    with holes.open("wb") as file:
        for at in range(40):
            file.seek(at * 2**20)
            file.write(b"data")
    (tmp_path / "last").write_bytes(b"last")
    for form in ("gnu", "posix"):
        command = [
            "tar",
            "--sparse",
            f"--format={form}",
            "-C",
            str(tmp_path),
            "-cf",
            str(tmp_path / "a.tar"),
            "holes",
            "last",
        ]
        subprocess.run(command, check=True)
        found, (report,), error = read(tmp_path / "a.tar")
        assert (found, error) == ([("last", b"last")], None)
        assert "is a sparse file, which is not read" in report


def boundaries(data):
    """Where each member ends, with its padding."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [member.offset_data + -(-member.size // 512) * 512 for member in tar]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.zst"])
def test_a_cut_off_archive_gives_the_members_before_and_says_which_is_missing(tmp_path, suffix):
    data = archive(MEMBERS[:12])
    ends = boundaries(data)
    whole = COMPRESS[suffix](data)
    for length in range(0, len(whole) if suffix != ".tar" else ends[-1], 97):
        found, reports, error = read(tmp_path / f"a{suffix}", whole[:length])
        assert (found, reports) == (MEMBERS[: len(found)], [])
        assert f"a{suffix}: member {len(found) + 1}, at byte" in error
        assert "cut off" in error
        if suffix == ".tar":
            assert len(found) >= sum(end <= length for end in ends)


def test_a_flipped_bit_in_a_header_ends_the_archive_there(tmp_path):
    data = archive(MEMBERS[:12])
    starts = [0, *boundaries(data)][:12]
    for bit in range(0, 512 * 8, 61):
        damaged = bytearray(data)
        damaged[starts[5] + bit // 8] ^= 1 << bit % 8
        found, _, error = read(tmp_path / "a.tar", bytes(damaged))
        if 148 <= bit // 8 < 156:  # the checksum may have been padded with anything
            continue
        assert found == MEMBERS[:5]
        assert f"member 6, at byte {starts[5]}, and what follows could not be read: there is no header" in error


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reading_goes_on_at_the_next_header_where_somebody_wants_to_know_of_damage(tmp_path, suffix, form):
    members = [*MEMBERS[:12], (f"{'é' * 45}/{'b' * 45}.txt", b"long"), *MEMBERS[12:14]]
    data = archive(members, form)
    starts = [0, *boundaries(data)]
    for damage in (lambda at: flipped(data, at + 124), lambda at: data[: at + 3] + data[at + 40 :]):
        (tmp_path / f"a{suffix}").write_bytes(COMPRESS[suffix](damage(starts[5])))
        reports = []
        found = list(tar_members(str(tmp_path / f"a{suffix}"), skipped=pytest.fail, damaged=reports.append))
        assert found == members[:5] + members[6:]
        assert [
            f"member 6, at byte {starts[5]} could not be read: there is no header" in str(one) for one in reports
        ] == [True]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_bytes_that_are_gone_cost_no_more_than_the_members_that_they_touch(tmp_path):
    data = archive(MEMBERS)
    starts = [0, *boundaries(data)]
    for at in range(starts[30], starts[33], 501):
        (tmp_path / "a.tar").write_bytes(data[:at] + data[at + 777 :])
        reports = []
        found = list(tar_members(str(tmp_path / "a.tar"), skipped=pytest.fail, damaged=reports.append))
        assert [one for one in found if one in MEMBERS][:30] == MEMBERS[:30]
        assert found[-44:] == MEMBERS[-44:]
        assert reports


def test_what_is_cut_off_is_told_where_somebody_wants_to_know(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(archive(MEMBERS))[:-100])
    reports = []
    found = list(tar_members(str(tmp_path / "a.tar.gz"), skipped=pytest.fail, damaged=reports.append))
    assert found == MEMBERS[: len(found)]
    assert ["the gzip stream is cut off" in str(one) for one in reports] == [True]


def test_what_is_behind_the_end_and_no_archive_is_damage(tmp_path):
    found, _, error = read(tmp_path / "a.tar", archive() + b"x" * 512)
    assert found == MEMBERS
    assert "there is no header" in error
    assert "cut off" in read(tmp_path / "b.tar", b"")[2]


def test_sizes_that_are_claimed_take_no_memory(tmp_path):
    info = tarfile.TarInfo("a")
    info.size = 2**62
    header = info.tobuf(tarfile.GNU_FORMAT)
    found, reports, error = read(tmp_path / "a.tar", header + b"x" * 5000)
    assert (found, reports) == ([], [])
    assert "member 1, at byte 0" in error
    info.size = module.MEMBER_BYTES
    assert "cut off" in read(tmp_path / "a.tar", info.tobuf(tarfile.GNU_FORMAT) + b"x" * 5000)[2]


BOMB = """
import resource, sys
from nemo_curator.utils.tar_members import tar_members
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = []
print(len(list(tar_members(sys.argv[1], skipped=said.append))), len(said))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"S", b"g"])
def test_a_bomb_of_a_gigabyte_is_not_held(tmp_path, kind):
    info = special("bomb", kind)
    info.size = 2**30
    compressor = zstandard.ZstdCompressor().compressobj()
    with (tmp_path / "bomb.tar.zst").open("wb") as file:
        file.write(compressor.compress(info.tobuf(tarfile.GNU_FORMAT)))
        for _ in range(1024):
            file.write(compressor.compress(bytes(2**20)))
        file.write(compressor.compress(archive([("last", b"1")])) + compressor.flush())
    assert (tmp_path / "bomb.tar.zst").stat().st_size < 2**20
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path / "bomb.tar.zst")], capture_output=True, text=True, check=True
    )
    given, reported, grown = map(int, done.stdout.split())
    assert (given, reported) == {b"g": (1, 0), b"x": (0, 1), b"L": (0, 1)}.get(kind, (1, 1))
    assert grown < 100


def test_extraction_never_leaves_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    attacks = {
        "above": [(tarfile.TarInfo("../outside/new"), b"x")],
        "absolute": [(tarfile.TarInfo(str(outside / "new")), b"x")],
        "through a link": [(special("way", tarfile.SYMTYPE, str(outside)), b""), (tarfile.TarInfo("way/new"), b"x")],
        "through a link up": [(special("way", tarfile.SYMTYPE, "../outside"), b""), (tarfile.TarInfo("way/new"), b"x")],
        "hard link": [(special("new", tarfile.LNKTYPE, "../outside/kept"), b""), (tarfile.TarInfo("new"), b"x")],
        "device": [(special("null", tarfile.CHRTYPE), b"")],
    }
    for name, members in attacks.items():
        folder = tmp_path / name
        folder.mkdir()
        with tarfile.open(fileobj=io.BytesIO(archive(members))) as tar:
            if name == "absolute":  # the leading slash is cut off
                tar_safe_extract(tar, str(folder))
            else:
                with pytest.raises(tarfile.FilterError):
                    tar_safe_extract(tar, str(folder))
        assert [path.name for path in outside.iterdir()] == ["kept"]
        assert (outside / "kept").read_text() == "kept"


def read_in_pieces(data, size):
    """All that is said of an archive which comes in pieces of this size."""
    said, found = [], []
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    found.extend(members_of(pieces, "a.tar", skipped=said.append, damaged=said.append, max_bytes=2000))
    return found, list(map(str, said))


WHOLE = archive(
    [("a.jpg", b"x" * 700), ("d/e_1/b.seg.png", b"y" * 512), ("c.txt", b""), ("d.jpg", b"z" * 2001), ("e", b"1")]
)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=2))
@settings(max_examples=200, deadline=None)
def test_what_is_held_is_read_like_what_comes_block_by_block(changes):
    data = bytearray(WHOLE)
    for place, byte in changes:
        data[place] = byte
    assert read_in_pieces(bytes(data), len(data)) == read_in_pieces(bytes(data), 512)


@pytest.mark.parametrize(
    "change", [(124, b"00000001274 "), (124, b"000000001_00"), (148, b"  1234\0 "), (257, b"ustax")]
)
def test_a_header_with_anything_unusual_is_judged_like_one_that_comes_by_itself(change):
    place, new = change
    data = bytearray(WHOLE)
    data[place : place + len(new)] = new
    if place != 148:
        data[148:156] = b"%06o\0 " % (sum(data[:148]) + sum(data[156:512]) + 256)
    assert read_in_pieces(bytes(data), len(data)) == read_in_pieces(bytes(data), 512)
