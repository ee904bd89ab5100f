import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_curator.stages.text.filters.heuristic.code.comments import (
    SYNTAXES,
    UnfinishedCommentError,
    find_comments,
    syntax_of,
)

CASES = [
    ("text/x-c++", '// hi\nint main() { /* body */ return 0; }\nchar *s = "// no /* no */";', [" hi", " body "]),
    ("text/x-c++", 'auto s = R"x(// no)" )x"; int n = 1\'000; // yes\nchar c = \'"\'; // too', [" yes", " too"]),
    ("text/x-c", "char q = '\\''; // yes\nchar b = '\\\\'; /* a\nb */", [" yes", " a\nb "]),
    ("text/x-java", 'String s = """\n// no "quoted"\n"""; // yes', [" yes"]),
    ("text/x-csharp", '@"C:\\" /* yes */ + "\\" // no"', [" yes "]),
    ("text/x-go", "s := `// no\n\"`; r := '`' // yes", [" yes"]),
    ("text/x-rust", "fn f<'a>(x: &'a str) { /* a /* b */ c */ r#\"// no\"# } // yes", [" a /* b */ c ", " yes"]),
    ("text/x-scala", "/* a /* b */ c */ val x = 1 // d", [" a /* b */ c ", " d"]),
    (
        "application/javascript",
        "let u = `http://x`, r = /[/\"'`]\\/\\//; // yes\nlet q = a / b; // too",
        [" yes", " too"],
    ),
    ("text/x-php", "<?php # one\n// two\n#[Attribute]\n/* three */ $u = 'http://x';", [" one", " two", " three "]),
    ("text/css", 'a { b: url("/*"); /* yes */ }', [" yes "]),
    ("text/x-scss", "a { b: url(http://x); } // yes", [" yes"]),
    ("text/x-sql", "select '--no', 'it''s -- no' -- yes\n/* and */", [" yes", " and "]),
    ("text/x-lua", 's = "--no" t = [==[ --no ]==] -- yes\n--[[ a\nb ]] --[=[ ]] c ]=]', [" yes", " a\nb ", " ]] c "]),
    ("text/x-haskell", 'f\' x --> y {- a {- b -} c -} -- yes\ng = "--no" |-- no', [" a {- b -} c ", " yes"]),
    ("text/html", '<p title="<!-- -- -->"><!-- yes\n--></p>', [" -- ", " yes\n"]),
    ("application/xml", "<a># // no</a><!--yes-->", ["yes"]),
    ("text/x-python", "s = '# no' # yes\nt = \"\"\"\n# no '\n\"\"\"\nu = r'\\' # no'", [" yes"]),
    ("text/x-shellscript", "#!/bin/sh\necho '# no' \"\n# no\" $# ${#a} \\# a#b # yes", ["!/bin/sh", " yes"]),
    ("text/x-yaml", 'a: b#c "# no" # yes', [" yes"]),
    ("text/x-ruby", '=begin\nlong\n=end\nx = "#{y} # no" # yes', ["\nlong\n", " yes"]),
    ("text/x-perl", "$#a; \\#; # yes\n=pod\nlong\n=cut\n1;", [" yes", "\nlong\n"]),
    ("text/x-julia", 'f\' # yes\n#= a #= b =# c =# "# no"', [" yes", " a #= b =# c "]),
    ("text/x-powershell", "<# a\nb #> 'it''s # no' `# # yes", [" a\nb ", " yes"]),
    ("text/x-common-lisp", '#| a #| b |# |# "; no" #\\; ; yes', [" a #| b |# ", " yes"]),
    ("text/x-erlang", '$%, "% no" % yes', [" yes"]),
    ("text/x-tex", "50\\% % yes", [" yes"]),
    ("text/x-matlab", "%{\nlong\n%}\nx = a' % yes", ["\nlong\n", " yes"]),
    ("text/x-fortran", "print *, '! no' ! yes", [" yes"]),
    ("text/x-pascal", "{ a } (* b *) s := '{ no }'; // yes", [" a ", " b ", " yes"]),
    ("text/x-ocaml", '(* a (* b *) c *) "(* no *)"', [" a (* b *) c "]),
    ("text/x-ada", "C : Character := '\"'; -- yes", [" yes"]),
    ("text/x-vb", "x = \"it's\" ' yes", [" yes"]),
]


@pytest.mark.parametrize(("language", "source", "comments"), CASES)
def test_comments_are_found_and_strings_are_left_alone(language, source, comments):
    assert find_comments(source, syntax_of(language)) == comments


@pytest.mark.parametrize(
    ("language", "source"), [("text/x-c", "/* a"), ("text/x-rust", "/* /* */"), ("text/xml", "<!--")]
)
def test_a_comment_that_never_ends_is_an_error(language, source):
    with pytest.raises(UnfinishedCommentError, match="never ends"):
        find_comments(source, syntax_of(language))


def test_a_language_is_known_by_any_of_its_mime_types():
    assert syntax_of("text/x-javascript") is syntax_of("application/javascript") is syntax_of("TEXT/JavaScript")
    with pytest.raises(ValueError, match=r"no comments are known for 'text/x-brainfuck'; known are .*haskell"):
        syntax_of("text/x-brainfuck")
    with pytest.raises(ValueError, match="no comments are known for 'python'"):
        syntax_of("python")


@given(st.text("/*-#\"'`\\[]={}()<>!%;R ra\n", max_size=40))
def test_what_was_found_stands_in_the_source(source):
    for syntax in SYNTAXES.values():
        with contextlib.suppress(UnfinishedCommentError):
            assert all(comment in source for comment in find_comments(source, syntax))


@pytest.mark.parametrize(
    "piece", ['R"(', "'''", '"\\', "/*", "{-", "--[[", 'r#"', "= /[", "[=[", "`", "= ", "<!-- >", "'a"]
)
def test_time_grows_with_the_length_of_a_source_and_no_faster(piece):
    start = time.process_time()
    for syntax in set(SYNTAXES.values()):
        with contextlib.suppress(UnfinishedCommentError):
            find_comments(piece * 20_000, syntax)
    assert time.process_time() - start < 20
