import csv
import time

import pytest
import sentencepiece

from nemo_curator.errors import InputError
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic.code import (
    AlphaFilter,
    GeneralCommentToCodeFilter,
    HTMLBoilerplateFilter,
    NumberOfLinesOfCodeFilter,
    PerExtensionFilter,
    PythonCommentToCodeFilter,
    TokenizerFertilityFilter,
    XMLHeaderFilter,
)
from tests.tiny_models import sentencepiece_model

GOLDEN = {
    "C1": '"""Module doc."""\nimport os\n# a comment\ndef f(x):\n    """Doc of f."""\n    return x  # inline\n',
    "C2": "def f(:\n  pass\n",
    "C3": '<?xml version="1.0"?>\n<a>1</a>\n',
    "C4": "0.1 0.2 0.3\n" * 5,
    "C5": "// hi\nint main() { /* body */ return 0; }\n",
    "C6": f"<html><head><script>var a=1;</script></head><body><p>{'word ' * 40}</p></body></html>",
}
SCORES = [
    (PythonCommentToCodeFilter(), [0.430108, 0, 0, 0, 0, 0], "KDDDDD"),
    (GeneralCommentToCodeFilter("text/x-c++"), [0, 0, 0, 0, 0.238095, 0], "DDDDKD"),
    (NumberOfLinesOfCodeFilter(), [7, 3, 3, 6, 3, 1], "DDDDDD"),
    (XMLHeaderFilter(), [0, 0, 1, 0, 0, 0], "KKDKKK"),
    (AlphaFilter(), [0.526882, 0.533333, 0.387097, 0, 0.452381, 0.745387], "KKKDKK"),
    (HTMLBoilerplateFilter(), [0, 0, 0, 0, 0, 0.738007], "DDDDDK"),
]


@pytest.mark.parametrize(("one", "scores", "kept"), SCORES, ids=lambda value: getattr(value, "name", ""))
def test_golden_scores(one, scores, kept):
    made = [one.score_document(text) for text in GOLDEN.values()]
    assert made == pytest.approx(scores, abs=5e-7)
    assert "".join("DK"[one.keep_document(score)] for score in made) == kept


@pytest.mark.parametrize(
    ("one", "score", "kept"),
    [
        (PythonCommentToCodeFilter(), 0.0, False),
        (GeneralCommentToCodeFilter("text/x-c++"), 0.0, False),
        (NumberOfLinesOfCodeFilter(), 1, False),
        (XMLHeaderFilter(), 0, True),
        (AlphaFilter(), 0.0, False),
        (HTMLBoilerplateFilter(), 0.0, False),
        (PerExtensionFilter("Python", "py"), 0, False),
    ],
)
def test_an_empty_document_has_a_score(one, score, kept):
    assert one.score_document("") == score
    assert one.keep_document(score) is kept


def test_docstrings_of_async_functions_count():
    source = 'async def f():\n    """Doc."""\n'
    assert PythonCommentToCodeFilter().score_document(source) == pytest.approx(len("Doc.") / len(source))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "source", ["\0", "-" * 100_000 + "1", "(" * 1000, "a+" * 100_000 + "a", "if 1:\n  x\n y", "'''", "f'{'", "0777"]
)
def test_what_is_not_python_scores_zero(source):
    assert PythonCommentToCodeFilter().score_document(source) == 0.0


@pytest.mark.filterwarnings("error")
def test_odd_escapes_in_python_are_nobodys_business_here():
    assert PythonCommentToCodeFilter().score_document("x = '\\d' # abc\n") == 5 / 15


def test_a_comment_that_never_ends_is_dropped():
    one = GeneralCommentToCodeFilter("text/x-c")
    assert one.score_document("int a; /* b") == 9999
    assert not one.keep_document(9999)


def test_an_unknown_language_is_refused_at_once():
    with pytest.raises(ValueError, match="no comments are known for 'c'"):
        GeneralCommentToCodeFilter("c")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("<p>a&amp;b</p><script>x</script><style>y</style>c <!-- d -->", 5),
        ("http://example.org/page", 23),
        ('<?xml version="1.0"?><a>b</a>', 1),
        ("<p>a</p> b < c &lt; <d", 12),
    ],
)
def test_text_that_a_reader_sees_is_counted(page, shown):
    assert HTMLBoilerplateFilter(min_lang_content_num_chars=0).score_document(page) == shown / len(page)


@pytest.mark.parametrize("piece", ["<a ", "</a ", "<!-- >", "<div>", "<a b='", "<![CDATA[ >"])
def test_time_grows_with_the_length_of_a_page_and_no_faster(piece):
    start = time.process_time()
    HTMLBoilerplateFilter().score_document(piece * 20_000)
    assert time.process_time() - start < 20


def test_fertility_is_characters_for_each_piece():
    one, path = TokenizerFertilityFilter(sentencepiece_model()), sentencepiece_model()
    pieces = sentencepiece.SentencePieceProcessor(model_file=path).encode("the cat sat on a mat", out_type=str)
    assert len(pieces) > 5
    assert one.score_document("the cat sat on a mat") == 20 / len(pieces)
    assert one.score_document("") == -1
    assert (one.keep_document(2.5), one.keep_document(2.4)) == (True, False)
    ScoreFilter(one).setup()


def test_a_tokenizer_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="path_to_tokenizer is missing"):
        TokenizerFertilityFilter()
    with pytest.raises(InputError, match=r"no SentencePiece model at nowhere\.model"):
        ScoreFilter(TokenizerFertilityFilter("nowhere.model")).setup()


COLUMNS = ["language", "extension", "Include", "Long_line_threshold", "Alphanum_threshold", "Alpha filter"]


def table(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return str(path)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("ab\ncd", 1),
        ("a" * 21, 0),
        ("a" * 20, 1),
        ("ab !!!!", 0),
        ("a1234", 0),
        ("ab1", 1),
    ],
)
def test_a_file_keeps_within_the_limits_of_its_extension(tmp_path, text, score):
    path = table(tmp_path / "meta.csv", ["c-sharp", "cs", "1", "20", "0.5", "0.3"], ["c-sharp", "x", "0", "", "", ""])
    one = PerExtensionFilter("C#", "cs", path)
    assert one.score_document(text) == score
    assert one.keep_document(score) is bool(score)
    assert PerExtensionFilter("C#", ".x", path).score_document(text) == 0


def test_the_mean_line_counts_only_where_the_longest_does(tmp_path):
    path = table(tmp_path / "meta.csv", ["a", "long", "1", "1000", "", ""], ["a", "any", "1", "", "", ""])
    assert PerExtensionFilter("a", "long", path).score_document("a" * 101) == 0
    assert PerExtensionFilter("a", "any", path).score_document("a" * 5000) == 1
    assert not PerExtensionFilter("a", "any", path).keep_document(None)


@pytest.mark.parametrize(
    ("lang", "extension"), [("Python", "py"), ("C#", ".cs"), ("Common Lisp", "lisp"), ("F#", "fs")]
)
def test_common_languages_are_in_the_table_of_the_package(lang, extension, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = PerExtensionFilter(lang, extension)
    assert one.score_document("value = 1\n") == 1
    assert one.score_document("x" * 2000) == 0


@pytest.mark.parametrize(("lang", "extension", "found"), [("python", "ppy", "['py', 'pyi']"), ("pyton", "py", "'zig'")])
def test_an_extension_without_a_row_is_an_error_before_anything_is_read(lang, extension, found):
    with pytest.raises(InputError, match="has no row for") as error:
        ScoreFilter(PerExtensionFilter(lang, extension)).setup()
    assert found in str(error.value)


def test_a_table_without_its_columns_is_refused(tmp_path):
    (tmp_path / "meta.csv").write_text("language,extension\n")
    with pytest.raises(
        InputError, match=r"lacks the columns \['Alpha filter', .*\]; it has \['language', 'extension'\]"
    ):
        PerExtensionFilter("c", "c", str(tmp_path / "meta.csv")).load_model()
