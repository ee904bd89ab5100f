"""Papers of an archive: every one becomes a record, or is counted as what it is instead."""

import gzip
import io
import random
import tarfile
import tracemalloc

import pytest

from nemo_curator.errors import InputError
from nemo_curator.stages.text.download.arxiv import ArxivIterator, iterator
from nemo_curator.stages.text.download.arxiv.iterator import decode, format_id
from tests.stages.text.download.arxiv.papers import document, paper, run, tar

GOOD = document("\\section{One}\nText.")


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def records(tmp_path, papers, **settings):
    path = tmp_path / "arXiv_src_2101_001.tar"
    path.write_bytes(tar(papers))
    return list(ArxivIterator(**settings).iterate(str(path)))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("2101/2101.00001.gz", "2101.00001"),
        ("0704/0704.0001.gz", "0704.0001"),
        ("9901/hep-th9901001.gz", "hep-th/9901001"),
        ("0309/math0309136.gz", "math/0309136"),
        ("math.GT0309136.gz", "math/0309136"),
        ("cmp-lg9404001.tar.gz", "cmp-lg/9404001"),
        ("2101/2101.00001v2.gz", "2101.00001v2"),
        ("elsewhere/my-paper.gz", "my-paper"),
    ],
)
def test_identifiers_are_written_as_arxiv_writes_them(name, wanted):
    assert format_id(name) == wanted


def test_a_paper_is_one_file_or_an_archive_in_folders(tmp_path):
    papers = {
        "9901/hep-th9901001.gz": paper(GOOD),
        "9901/hep-th9901002.gz": paper(
            {
                "./main.tex": GOOD,
                "sections/A.TEX": "a",
                "fig.png": b"\x89PNG",
                "b.bbl": "\\bibitem{x}",
                "._main.tex": b"\0",
            }
        ),
        "9901/hep-th9901003.gz": paper({"ms": GOOD, "README": "see ms"}),
        "9901/hep-th9901004": tar({"main.tex": GOOD}),
    }
    found = records(tmp_path, papers, extract_tmp_dir=str(tmp_path / "never"))
    assert [(one["id"], one["filenames"]) for one in found] == [
        ("hep-th/9901001", ["9901001.tex"]),
        ("hep-th/9901002", ["main.tex", "sections/A.TEX"]),
        ("hep-th/9901003", ["ms"]),
        ("hep-th/9901004", ["main.tex"]),
    ]
    assert [one["content"][0] for one in found] == [GOOD] * 4
    assert {one["source_id"] for one in found} == {"arXiv_src_2101_001.tar"}
    assert [path.name for path in tmp_path.iterdir()] == ["arXiv_src_2101_001.tar"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.5 \0\1", "pdf_only"),
        (gzip.compress(b"%PDF-1.5 \0\1"), "pdf_only"),
        (gzip.compress(b"%!PS-Adobe-2.0\n"), "postscript_only"),
        (gzip.compress(b"<!DOCTYPE html><p>"), "html_only"),
        (gzip.compress(b"PK\3\4\0\0"), "docx_only"),
        (gzip.compress(b"GIF89a\0\1\2"), "no_tex"),
        (gzip.compress(b""), "no_tex"),
        (paper({"a.pdf": b"%PDF", "b.txt": "text"}), "no_tex"),
        (paper("%auto-ignore\nThis paper has been withdrawn."), "withdrawn"),
        (paper("%auto-ignore\n"), "withdrawn"),
        (paper(document("\\bibliography{refs}")), "no_text"),
    ],
)
def test_what_is_no_text_is_counted_by_what_it_is(tmp_path, data, reason):
    rows, count = run(tmp_path, {"2101/2101.00001": data, "2101/2101.00002.gz": paper(GOOD)})
    assert [row["id"] for row in rows] == ["2101.00002"]
    assert (count.rows_in, count.rows_out, dict(count.dropped), count.imbalance) == (2, 1, {reason: 1}, 0)


@pytest.mark.parametrize("data", [b"%!TEX root = main.tex\n", b"% !TeX program = pdflatex\n"])
def test_notes_for_editors_are_no_postscript(tmp_path, data):
    (one,) = records(tmp_path, {"2101.00001.gz": paper(data + GOOD.encode())})
    assert one["content"] == [data.decode() + GOOD]


@pytest.mark.parametrize(
    "damaged",
    [
        paper({"main.tex": GOOD, "b.tex": "b"})[:-200],
        paper({"main.tex": GOOD * 100})[:90] + b"\0" * 60 + paper({"main.tex": GOOD})[150:],
        gzip.compress(tar({"main.tex": GOOD, "b.tex": "b"})[:1200]),
        paper([(link("main.tex", "/etc/passwd"), b"")]),
        paper({"../main.tex": GOOD}),
        b"\x1f\x8b",
    ],
)
def test_damage_costs_the_paper_that_is_damaged(tmp_path, damaged):
    papers = {"2101.00001.gz": paper(GOOD), "2101.00002.gz": damaged, "2101.00003.gz": paper(GOOD)}
    rows, count = run(tmp_path, papers)
    assert rows is None
    assert (count.rows_in, count.rows_out, dict(count.failed), count.imbalance) == (3, 2, {"InputError": 1}, 0)
    assert "2101.00002.gz" in count.failures[0].message


def test_links_beside_the_source_are_not_followed_and_cost_nothing(tmp_path):
    files = [("main.tex", GOOD), (link("fig.png", "/etc/passwd"), b""), (link("/dev/x", "", tarfile.CHRTYPE), b"")]
    rows, count = run(tmp_path, {"2101.00001.gz": paper(files)})
    assert [row["text"] for row in rows] == ["\\section{One}\nText."]
    assert count.rows_failed == 0


def test_members_that_lead_elsewhere_are_set_aside(tmp_path):
    papers = [("2101.00001.gz", paper(GOOD)), (link("2101.00002.gz", "/etc/passwd"), b""), ("../x.gz", paper(GOOD))]
    _, count = run(tmp_path, papers)
    assert (count.rows_in, count.rows_out, dict(count.failed)) == (3, 1, {"InputError": 2})


def test_an_archive_that_is_cut_off_keeps_the_papers_before(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar({"2101.00001.gz": paper(GOOD), "2101.00002.gz": paper(GOOD)})[:1200])
    found = ArxivIterator().iterate(str(path))
    assert next(found)["id"] == "2101.00001"
    with pytest.raises(InputError, match="cut off"):
        next(found)


@pytest.mark.parametrize("is_archive", [True, False])
def test_bombs_are_passed_by_in_little_memory(tmp_path, monkeypatch, is_archive):
    monkeypatch.setattr(iterator, "PAPER_BYTES", 2**26)
    monkeypatch.setattr(iterator, "TEX_BYTES", 2**20)
    zeros = io.BytesIO()
    with gzip.open(zeros, "wb", 1) as sink:
        sink.write(tar({"main.tex": GOOD})[:1024] if is_archive else GOOD.encode())
        for number in range(80):
            sink.write(tar({f"{number}.png": b" " * 2**20})[: 2**20 + 512] if is_archive else b" " * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"more than \d+ bytes when it is unpacked"):
            records(tmp_path, {"2101.00001.gz": zeros.getvalue()})
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_paper_of_too_much_latex_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(iterator, "TEX_BYTES", 2**15)
    with pytest.raises(InputError, match=f"more than {2**15} bytes of LaTeX"):
        records(tmp_path, {"2101.00001.gz": paper({"a.tex": "a" * 2**14, "b.tex": "b" * 2**14})})


def test_files_without_end_are_too_much_latex(tmp_path, monkeypatch):
    monkeypatch.setattr(iterator, "TEX_BYTES", 2**20)
    with pytest.raises(InputError, match="bytes of LaTeX"):
        records(tmp_path, {"2101.00001.gz": paper({f"{number}.tex": b"" for number in range(300)})})


@pytest.mark.parametrize("seed", range(10))
def test_wherever_bytes_are_damaged_every_record_is_accounted_for(tmp_path, seed):
    chance = random.Random(seed)
    papers = {f"2101.0000{number}.gz": paper({"main.tex": GOOD * 20, "b.tex": "b"}) for number in range(4)}
    data = bytearray(tar(papers))
    for _ in range(3):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    _, count = run(tmp_path, bytes(data))
    assert count.imbalance == 0
    assert count.rows_in <= 5
    assert count.rows_out + count.rows_failed + count.rows_dropped == count.rows_in
    assert count.failed.keys() <= {"InputError"}


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        ("Erd\u0151s na\u00efve \u201cx\u201d", "utf-8", ""),
        ("Erd\u0151s", "utf-8-sig", "utf8"),
        ("na\u00efve M\u00fcller", "latin-1", ""),
        ("na\u00efve M\u00fcller", "latin-1", "latin1"),
        ("\u201cquoted\u201d \u2013 dash", "cp1252", ""),
        ("\u0422\u0435\u043e\u0440\u0435\u043c\u0430", "cp1251", "cp1251"),
        ("\u0422\u0435\u043e\u0440\u0435\u043c\u0430", "koi8-r", "koi8-r"),
        ("Erd\u0151s", "iso8859-2", "latin2"),
        ("K\u00e9p", "mac-roman", "applemac"),
        ("Erd\u0151s", "utf-16", ""),
    ],
)
def test_no_encoding_is_lost(tmp_path, text, encoding, declared):
    preamble = f"\\usepackage[{declared}]{{inputenc}}" if declared else ""
    source = document(f"\\section{{S}}\n{text}", preamble)
    (one,) = records(tmp_path, {"2101.00001.gz": paper({"main.tex": source.encode(encoding)})})
    assert one["content"] == [source]


def test_bytes_that_no_encoding_has_are_read_as_latin_1():
    assert decode(b"\x81\xff") == "\x81\xff"


def test_line_ends_of_every_system_are_the_same():
    assert decode(b"a\r\nb\rc\nd") == "a\nb\nc\nd"


def test_progress_is_logged(tmp_path, caplog):
    caplog.set_level("INFO")
    records(tmp_path, {f"2101.0000{number}.gz": paper(GOOD) for number in range(5)}, log_frequency=2)
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["2 papers so far", "4 papers so far"]
