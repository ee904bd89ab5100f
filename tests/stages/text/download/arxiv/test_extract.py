"""The text of a paper: what is put in, what is taken out, and what happens to sources made to cost time."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.text.download.arxiv import ArxivExtractor
from tests.stages.text.download.arxiv.papers import REAL, document, paper, run, tar


def extract(files, **more):
    if isinstance(files, str):
        files = {"main.tex": files}
    return ArxivExtractor().extract({"content": list(files.values()), "filenames": list(files), **more})


def text_of(files):
    made = extract(files)
    return None if made is None else made["text"]


def body(text, preamble=""):
    """What becomes of a body that begins with a section, without the section."""
    made = text_of(document(f"\\section{{S}}\n{text}", preamble))
    assert made.startswith("\\section{S}")
    return made.removeprefix("\\section{S}").removeprefix("\n")


@pytest.mark.skipif(not REAL.exists(), reason="the shared data is not here")
def test_a_real_paper(tmp_path):
    rows, count = run(tmp_path, {"1911/1911.02782.gz": REAL.read_bytes()})
    (row,) = rows
    text = row["text"]
    assert (row["id"], row["file_name"], count.rows_out) == ("1911.02782", "arXiv_src_2101_001.tar", 1)
    assert text.startswith("\\section{Introduction}\n\nAcademic papers are an increasingly important textual domain")
    assert text.endswith("for assisting with data access and system infrastructure.")
    assert len(text) == 41311
    lines = text.splitlines()
    assert [line for line in lines if line.lstrip().startswith("%")] == []
    assert "for which we cannot provide bibliography-paper linking" not in text  # a comment of the source
    assert "35.6\\%, or 28.9M" in text
    assert "\\bibliography{" not in text
    assert "PDF filters" not in text  # of the appendix
    assert "\\section{The \\textsc{S2ORC}\\xspace dataset}" in lines
    assert not any(name in text for name in ("\\gorc", "\\grobid", "\\bert ", "\\newcommand", "\\semanticscholar"))


def test_the_row_has_the_identifier():
    assert extract(document("\\section{S} a"), id="hep-th/9901001") == {
        "text": "\\section{S} a",
        "id": "hep-th/9901001",
    }


@pytest.mark.parametrize(("content", "reason"), [([], "no_text"), ([""], "no_text"), (["%auto-ignore x"], "withdrawn")])
def test_a_record_of_which_nothing_is_left_says_why(content, reason):
    extractor = ArxivExtractor()
    assert extractor.extract({"content": content}) is None
    assert extractor.drop_reason == reason


def test_records_without_names_of_files_are_joined_as_they_come():
    content = ["\\newcommand{\\x}{X}", "\\section{A} \\x", "no section", "\\section{B} b"]
    assert ArxivExtractor().extract({"content": content}) == {"text": "\\section{A} X\n\\section{B} b"}


class TestWhereAPaperBeginsAndEnds:
    @pytest.mark.parametrize(
        "start",
        ["\\section{S}", "\\section*{S}", "\\section[s]{S}", "\\chapter {S}", "\\subsection{S}", "\\paragraph{S}"],
    )
    def test_it_begins_with_the_first_section(self, start):
        long = "text " * 20
        assert text_of(document(f"\\title{{T}}\n\\maketitle\n{start} {long}")) == f"{start} {long}".strip()

    @pytest.mark.parametrize(
        "back",
        [
            "\\appendix",
            "\\begin{references}",
            "\\begin{REFERENCES}",
            "\\begin{thebibliography}{9}",
            "\\bibliography{a}",
            "\\printbibliography",
            "\\begin{appendices}",
            "\\end{document}",
        ],
    )
    def test_it_ends_before_the_appendix_and_the_bibliography(self, back):
        assert body(f"text\n{back}\n\\section{{More}} more") == "text"

    @pytest.mark.parametrize("name", ["\\appendixname", "\\bibliographystyle{plain}", "\\sectionmark{x}"])
    def test_commands_with_longer_names_are_others(self, name):
        assert body(f"text {name} more") == f"text {name} more"

    def test_a_letter_without_sections_begins_with_the_abstract(self):
        made = text_of(document("\\author{A}\n\\begin{abstract}\nWe show.\n\\end{abstract}\nIt is so."))
        assert made == "\\begin{abstract}\nWe show.\n\\end{abstract}\nIt is so."

    def test_without_an_abstract_it_begins_with_the_body(self):
        assert text_of(document("Dear reader, it is so.")) == "Dear reader, it is so."

    def test_a_letter_whose_only_section_thanks_is_not_lost(self):
        letter = "\\begin{abstract}a\\end{abstract}" + "It is so. " * 9 + "\\section*{Acknowledgments} Thanks."
        assert text_of(document(letter)) == letter

    def test_ams_tex_is_read(self):
        source = "\\documentstyle{amsppt}\\topmatter\\endtopmatter\\document\nText.\n\\enddocument\nnotes"
        assert text_of(source) == "Text."

    def test_plain_tex_is_read(self):
        assert text_of("\\def\\x{X}\n\\magnification 1200\nText with \\x.\n\\bye\nnotes") == (
            "\\magnification 1200\nText with X."
        )


class TestFilesWithinFiles:
    @pytest.mark.parametrize(
        "command",
        [
            "\\input{parts/one}",
            "\\input{parts/one.tex}",
            "\\input parts/one ",
            '\\input{"parts/one"}',
            "\\include{parts/one}",
            "\\subfile{parts/one}",
            "\\import{parts/}{one}",
            "\\subimport*{parts}{one.tex}",
            "\\input{./parts/../parts/one}",
            "\\input{\\folder/one}",
        ],
    )
    def test_they_come_where_they_are_named(self, command):
        files = {
            "main.tex": document(f"\\section{{A}} a {command} c", "\\def\\folder{parts}"),
            "parts/one.tex": "b",
        }
        assert text_of(files).split() == ["\\section{A}", "a", "b", "c"]

    def test_the_main_file_may_be_in_a_folder_and_files_are_looked_for_beside_those_that_name_them(self):
        files = {
            "paper/main.tex": document("\\section{A} \\input{text/b}"),
            "paper/text/b.tex": "b \\input{c} \\input{text/d}",
            "paper/text/c.tex": "c",
            "paper/text/d.tex": "d",
        }
        assert text_of(files).split() == ["\\section{A}", "b", "c", "d"]

    @pytest.mark.parametrize("name", ["missing", "../../etc/passwd", "/etc/passwd", "fig.pstex_t", ""])
    def test_what_is_not_in_the_archive_stays_as_it_is_written(self, name):
        assert body(f"a \\input{{{name}}} b") == f"a \\input{{{name}}} b"

    def test_of_a_file_that_is_a_document_itself_the_body_comes_in(self):
        part = "\\documentclass[main]{subfiles}\n\\begin{document}b\\end{document} notes"
        assert text_of({"b.tex": part, "main.tex": document("\\section{A} a\n\\subfile{b}\nc")}) == (
            "\\section{A} a\nb\nc"
        )

    def test_macros_of_other_files_hold(self):
        files = {"main.tex": document("\\section{A} \\x", "\\input{macros}"), "macros.tex": "\\newcommand{\\x}{X}"}
        assert text_of(files) == "\\section{A} X"

    def test_a_comment_takes_no_file_in_and_endinput_ends_one(self):
        files = {
            "main.tex": document("\\section{A} a\n% \\input{b}\n\\input{c} d"),
            "b.tex": "b",
            "c.tex": "c\n\\endinput\nnotes",
        }
        assert text_of(files) == "\\section{A} a\nc\n d"

    def test_a_circle_ends(self):
        files = {"main.tex": document("\\section{A} a \\input{b}"), "b.tex": "b \\input{main} \\input{b} end"}
        assert text_of(files).split() == ["\\section{A}", "a", "b", "end"]

    def test_two_files_that_take_each_other_in_are_not_lost(self):
        files = {"a.tex": document("\\section{A} a \\input{b}"), "b.tex": document("\\section{B} b \\input{a}")}
        assert text_of(files).split() == ["\\section{A}", "a", "\\section{B}", "b"]

    def test_two_files_of_no_class_that_take_each_other_in_come_in_once(self):
        assert text_of({"a.tex": "\\section{A} a \\input{b}", "b.tex": "b \\input{a}"}) == "\\section{A} a b"

    def test_depth_is_bounded(self):
        files = {f"{n}.tex": f"{n} \\input{{{n + 1}}}" for n in range(1, 2000)}
        made = text_of({"main.tex": document("\\section{A} \\input{1}"), **files})
        assert made.endswith("20 \\input{21}")

    def test_a_second_document_follows_the_first_and_leftovers_stay_out(self):
        files = {
            "main.tex": document("\\section{A} a"),
            "old-draft.tex": "\\section{Old} never taken in",
            "supplement.tex": document("\\section{B} b"),
            "fig.tex": "\\documentclass{standalone}\\begin{document}\\section{f}picture\\end{document}",
        }
        assert text_of(files) == "\\section{A} a\n\\section{B} b"

    def test_where_the_main_file_has_nothing_the_others_are_taken(self):
        files = {"main.tex": document("\\loadparts"), "a.tex": "\\section{A} a"}
        files["main.tex"] = document("\\bibliography{x}")
        assert text_of(files) == "\\section{A} a"


class TestComments:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("a % b\nc", "a \nc"),
            ("a\n% b\nc", "a\nc"),
            ("a\n  \t% b\n%\nc", "a\nc"),
            ("50\\% of % this", "50\\% of"),
            ("line\\\\% comment\nnext", "line\\\\\nnext"),
            ("\\\\\\% kept", "\\\\\\% kept"),
            ("\\url{http://a.b/%20c} x % y", "\\url{http://a.b/%20c} x"),
            ("\\href{a%20b}{text} x", "\\href{a%20b}{text} x"),
            ("\\verb|a % b| c % d", "\\verb|a % b| c"),
            ("\\verb*+%+ c", "\\verb*+%+ c"),
            ("\\verb|a\n% b\nc", "\\verb|a\nc"),
            ("\\lstinline[language=C]{%d} c", "\\lstinline[language=C]{%d} c"),
            ("\\url|a%b| \\path!c%d! e % f", "\\url|a%b| \\path!c%d! e"),
            (
                "\\mintinline[x]{c}{a %d} \\mintinline{c}|a %d| b % c",
                "\\mintinline[x]{c}{a %d} \\mintinline{c}|a %d| b",
            ),
            ("\\verbatiminput|a % b", "\\verbatiminput|a"),
            ("a \\begin{comment} b \\end{comment}c", "a c"),
            ("\\begin{verbatim}\n% a \\x\n\\end{verbatim} b", "\\begin{verbatim}\n% a \\x\n\\end{verbatim} b"),
            ("\\begin{lstlisting}[x]\n%a\n\\end{lstlisting}", "\\begin{lstlisting}[x]\n%a\n\\end{lstlisting}"),
            ("\\begin{verbatim}\n% a", "\\begin{verbatim}"),
            ("% \\begin{verbatim}\n% a\nb", "b"),
            ("a\0b", "ab"),
        ],
    )
    def test_comments_go_and_what_stands_verbatim_stays(self, text, wanted):
        assert body(text, "\\def\\x{X}") == wanted

    def test_verbatim_text_does_not_end_a_paper(self):
        text = "\\begin{verbatim}\n\\appendix \\end{document} \\input{main}\n\\end{verbatim}\nmore"
        assert body(text) == text


class TestMacros:
    @pytest.mark.parametrize(
        ("definition", "use", "wanted"),
        [
            ("\\newcommand{\\x}{\\mathbf{v}}", "$\\x+\\xi$ \\x.", "$\\mathbf{v}+\\xi$ \\mathbf{v}."),
            ("\\newcommand\\x{X}", "\\x", "X"),
            ("\\newcommand*{\\x}\n  {X}", "\\x", "X"),
            ("\\def\\x{X}", "\\x y \\x{} \\xy", "X y X{} \\xy"),
            ("\\def\\x{a{b{c}}d}", "\\x", "a{b{c}}d"),
            ("\\def\\x{\\{}", "\\x", "\\{"),
            ("\\DeclareMathOperator{\\x}{rank}", "\\x A", "\\operatorname{rank} A"),
            ("\\DeclareMathOperator*{\\x}{arg\\,max}", "\\x_a", "\\operatorname*{arg\\,max}_a"),
            (
                "\\def\\be{\\begin{equation}}\\def\\ee{\\end{equation}}",
                "\\be a \\ee",
                "\\begin{equation} a \\end{equation}",
            ),
            ("\\def\\x{X}", "a\\\\x b", "a\\\\x b"),
            ("\\def\\y{Y}\\def\\x{a\\y}", "\\x", "aY"),
            ("\\def\\x{a\\y}\\def\\y{Y}", "\\x", "aY"),
            (
                "\\newcommand{\\x}[1]{\\abs{#1}}",
                "\\x{a} \\x{b{c}} \\x d \\x\\y",
                "\\abs{a} \\abs{b{c}} \\abs{d} \\abs{\\y}",
            ),
            ("\\newcommand{\\x}[2]{<#1,#2>}", "\\x{a}{b} \\x {c} {d}", "<a,b> <c,d>"),
            ("\\newcommand{\\x}[2][n]{#1:#2}", "\\x{a} \\x[m]{b}", "n:a m:b"),
            ("\\def\\x#1#2{#2#1}", "\\x ab", "ba"),
            ("\\newcommand{\\x}[1]{(#1)}", "\\x{a\\x{b\\x{c}}}", "(a(b(c)))"),
            ("\\newcommand{\\x}[1]{\\mathbf#1}", "\\x v", "\\mathbf v"),
            ("\\newcommand{\\x}[1]{#1\\alpha}", "\\x{a}b", "a\\alpha b"),
            ("\\newcommand{\\x}[1]{#1y}", "\\x{\\beta}", "\\beta y"),
            ("\\newcommand{\\x}[1]{\\y{#1}}\\newcommand{\\y}[1]{[#1]}", "\\x{a}", "[a]"),
            ("\\def\\x{\\%}", "5\\x", "5\\%"),
            ("\\def\\x{e.g.\\@}", "\\x a", "e.g.\\@ a"),
            ("\\def\\x{\\iff}", "a\\x b", "a\\iff b"),
            ("\\def\\x{R}", "$a\\in\\x$ \\\\\\x", "$a\\in R$ \\\\R"),
            ("\\def\\x{\\alpha}\\def\\y{b}", "\\x\\y", "\\alpha b"),
            ("\\newcommand{\\x}[1]{}", "a\\x{gone}b", "ab"),
        ],
    )
    def test_they_are_replaced_by_what_they_stand_for(self, definition, use, wanted):
        assert body(use, definition) == wanted

    @pytest.mark.parametrize(
        ("definition", "use"),
        [
            ("\\newcommand{\\x}[1]{(#1)}", "\\x} {"),
            ("\\newcommand{\\x}[1]{(#1)}", "\\x{a"),
            ("\\newcommand{\\x}[1]{(#1)}", "\\x{\\verb|a%|}"),
            ("\\newcommand{\\x}[1]{(#2)}", "\\x{a}"),
            ("\\def\\x#1.{(#1)}", "\\x a."),
            ("\\def\\x[#1]{(#1)}", "\\x[a]"),
            ("\\def\\x{\\ifmmode a\\else b\\fi}", "\\x"),
            ("\\def\\x{\\@startsection{a}}", "\\x"),
            ("\\def\\x{\\def\\y{Z}}", "\\x"),
            ("\\def\\x{a", "\\x"),
            ("\\def\\item{X}", "\\item"),
            ("\\renewcommand{\\section}{\\subsection}\\renewcommand{\\vec}[1]{\\mathbf{#1}}", "\\section{a} \\vec{b}"),
        ],
    )
    def test_what_cannot_be_replaced_safely_stays(self, definition, use):
        assert body(use, definition) == use

    def test_the_last_definition_before_a_use_holds(self):
        text = "\\x \\renewcommand{\\x}{B}\\x \\providecommand{\\x}{C}\\x"
        assert body(text, "\\newcommand{\\x}{A}") == "A B \\providecommand{\\x}{C}B"

    def test_a_section_behind_a_macro_is_one(self):
        made = text_of(document("T \\Sec{One} text text", "\\newcommand{\\Sec}[1]{\\section{#1}}"))
        assert made == "\\section{One} text text"

    def test_definitions_within_the_text_go_with_their_use(self):
        assert body("a\n\\newcommand{\\x}{X}\n\\x") == "a\n\nX"


ROUNDS = 10_000
PREAMBLE = "\\def\\x{X}\\newcommand{\\y}[1]{(#1)}\\def\\b{\\b\\b}\\def\\w#1{#1#1}"
DOUBLING = "".join(
    f"\\def\\m{a}{{\\m{b}\\m{b}}}" for a, b in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz")
)
HOSTILE = {
    "open braces": "{" * 50_000,
    "open braces of arguments": "\\y{" * ROUNDS,
    "nested arguments": "\\y{" * ROUNDS + "}" * ROUNDS,
    "nested doubling": "\\w{" * ROUNDS + "}" * ROUNDS,
    "arguments that hold what is verbatim": "\\y{" * ROUNDS + "\\verb|a|" + "}" * ROUNDS,
    "itself twice": "\\b " * ROUNDS,
    "twice the next": "\\ma " * ROUNDS,
    "one long line": ("word " * 100 + "\\x 50\\% ") * 4_000,
    "definitions without an end": "\\def\\a{" * ROUNDS,
    "definitions within definitions": "\\def\\a{#1" * ROUNDS + "}" * ROUNDS,
    "spaces after a definition": f"\\newcommand{' ' * 10**5}" * 10,
    "optional arguments without an end": "\\documentclass[\\newcommand\\a[1][" * ROUNDS,
    "verb without an end": "\\verb|a \\verb!b " * ROUNDS,
    "verb over two lines": "\\verb|a\n" * ROUNDS,
    "verbatim without an end": "\\begin{verbatim}\\begin{lstlisting}\\begin{comment}" * ROUNDS,
    "comments": "%\n   %" * ROUNDS,
    "spaces before comments": (" " * 1000 + "%\n") * 1000,
    "inputs of nothing": "\\input{" * ROUNDS,
    "inputs of itself": "\\input{main}" * ROUNDS,
    "addresses without an end": "\\url{http://%" * ROUNDS,
    "sections": "\\section{a}" * ROUNDS,
    "backslashes": "\\" * 100_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_time_and_memory_are_in_proportion_to_the_source(kind):
    source = document(f"\\section{{S}} {HOSTILE[kind]}", PREAMBLE + DOUBLING)
    start = time.process_time()
    made = text_of(source)
    assert time.process_time() - start < 10
    assert len(made) <= 9 * len(source) + 2**21


TOKENS = [
    *"{}[]%|#1a \n",
    "\\",
    "\\x",
    "\\y",
    "\\def",
    "\\newcommand",
    "\\section{S}",
    "\\verb",
    "\\input",
    "{b}",
    "\0",
]
TOKENS += ["\\begin{verbatim}", "\\end{verbatim}", "\\begin{document}", "\\end{document}", "\\appendix", "\\url{a%b}"]


@settings(max_examples=80, deadline=None)
@given(*[st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)] * 2)
def test_whatever_is_written_the_text_has_no_marks_of_ours(main, other):
    made = text_of({"main.tex": f"{PREAMBLE} \\section{{A}} {main}", "b.tex": other})
    assert made is None or "\0" not in made


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["\\x", "\\z", " ", "a", "\\\\", "\\alpha", "\\xy", "1", "{", "}", "\\%"]), max_size=30
    ).map("".join)
)
def test_macros_without_arguments_are_replaced_as_commands_are_read(text):
    bodies = {"x": "<X>", "z": "\\beta+"}
    wanted = re.sub(r"\\([a-z]+|.)", lambda match: bodies.get(match[1], match[0]), text)
    definitions = "".join(f"\\def\\{name}{{{value}}}" for name, value in bodies.items())
    assert body(f"{text};", definitions) == f"{wanted};"


def test_many_files_that_take_in_many_files_come_in_once():
    inputs = "".join(f"\\input{{{n}}}" for n in range(100))
    files = {f"{n}.tex": f"\\documentclass{{a}} {n} {inputs}" for n in range(100)}
    made = text_of({"main.tex": document(f"\\section{{S}} {inputs}"), **files})
    assert len(made) < 2 * sum(map(len, files.values()))


def test_a_paper_comes_through_the_stage(tmp_path):
    files = {"main.tex": document("\\section{A} \\input{b}"), "b.tex": "50\\% b % c"}
    rows, _ = run(tmp_path, {"2101/2101.00001.gz": paper(files)})
    assert rows == [
        {"text": "\\section{A} 50\\% b", "id": "2101.00001", "file_name": "arXiv_src_2101_001.tar"},
    ]
    assert tar({})  # an archive of nothing is one
