"""Bytes in the encodings of the web become the text that was encoded, and the language of a page gets its name."""

import random

import pytest

from nemo_curator.stages.text.download.utils import (
    UNKNOWN,
    check_s5cmd_installed,
    decode_html,
    detect_language,
    lang_detect,
    remove_control_characters,
)

RUSSIAN = "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью."
SIMPLIFIED = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"
TRADITIONAL = "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神相對待。"
JAPANESE = (
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。理性と良心とを授けられている。"
)
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 이성과 양심을 부여받았다."
GERMAN = "Alle Menschen sind frei und gleich an Würde und Rechten geboren, für die schöne Brüderlichkeit. Überall."
FRENCH = "Tous les êtres humains naissent libres et égaux en dignité et en droits. L’été à Paris, c’est une idée…"
POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw, obdarzeni rozumem."
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα με λογική."
HEBREW = "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם."
ARABIC = "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا."
THAI = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม"
ENCODED = [
    ("windows-1251", RUSSIAN),
    ("koi8-r", RUSSIAN),
    ("gb2312", SIMPLIFIED),
    ("gbk", SIMPLIFIED),
    ("gb18030", SIMPLIFIED),
    ("big5", TRADITIONAL),
    ("shift_jis", JAPANESE),
    ("euc-jp", JAPANESE),
    ("iso-2022-jp", JAPANESE),
    ("euc-kr", KOREAN),
    ("iso-8859-1", GERMAN),
    ("windows-1252", FRENCH),
    ("iso-8859-2", POLISH),
    ("iso-8859-7", GREEK),
    ("windows-1255", HEBREW),
    ("windows-1256", ARABIC),
    ("tis-620", THAI),
    ("utf-8", POLISH),
    ("utf-8-sig", POLISH),
    ("utf-16", GERMAN),
    ("utf-16-le", GERMAN),
    ("utf-16-be", GERMAN),
]


def page(text, head=""):
    return f"<html><head>{head}</head><body><div class='menu'><a href='/'>Home</a></div><p>{text}</p></body></html>"


@pytest.mark.parametrize(("encoding", "text"), ENCODED)
def test_a_page_that_declares_nothing_is_decoded(encoding, text):
    assert decode_html(page(text).encode(encoding)) == page(text)


@pytest.mark.parametrize(("encoding", "text"), ENCODED)
def test_a_page_that_declares_its_encoding_is_decoded(encoding, text):
    made = page(text, f'<META http-equiv="Content-Type" content="text/html; charset={encoding}">')
    assert decode_html(made.encode(encoding)) == made


@pytest.mark.parametrize(("encoding", "text"), ENCODED)
def test_a_page_whose_header_declares_its_encoding_is_decoded(encoding, text):
    assert decode_html(page(text).encode(encoding), f'text/html; Charset="{encoding}"') == page(text)


@pytest.mark.parametrize(("encoding", "text"), ENCODED)
def test_a_page_that_claims_to_be_utf8_and_is_not_is_decoded(encoding, text):
    made = page(text, '<meta charset="utf-8">')
    assert decode_html(made.encode(encoding), "text/html; charset=utf-8") == made


def test_the_header_counts_more_than_the_page():
    made = page(RUSSIAN, '<meta charset="koi8-r">')
    assert decode_html(made.encode("windows-1251"), "text/html; charset=windows-1251") == made


@pytest.mark.parametrize("said", ["text/html; charset=windows-1251", "text/html; charset=iso-8859-1", "text/html"])
def test_valid_utf8_is_utf8_whatever_is_declared(said):
    assert decode_html(page(FRENCH).encode(), said) == page(FRENCH)


def test_a_declaration_within_a_comment_does_not_count():
    made = page(RUSSIAN, '<!-- <meta charset="koi8-r"> --><meta charset="windows-1251">')
    assert decode_html(made.encode("windows-1251")) == made


@pytest.mark.parametrize("said", ["text/html; charset=bogus", "text/html; charset=", "text/html; charset=utf-7"])
def test_an_encoding_that_nobody_knows_is_as_none(said):
    assert decode_html(page(RUSSIAN).encode("windows-1251"), said) == page(RUSSIAN)


def test_latin_1_means_windows_1252_as_in_browsers():
    assert decode_html(page("“L’été”").encode("windows-1252"), "text/html; charset=iso-8859-1") == page("“L’été”")


def test_a_page_cut_off_within_a_character_stays_utf8():
    assert decode_html(page(RUSSIAN * 3).encode()[:-20]) == page(RUSSIAN * 3)[:-20] + "\ufffd"


def test_a_few_damaged_bytes_cost_those_characters_only():
    damaged = page(GREEK * 3).encode().replace("Όλοι".encode(), b"\xff" + "λοι".encode(), 1)
    assert decode_html(damaged) == page(GREEK * 3).replace("Όλοι", "\ufffdλοι", 1)


BINARY = [random.Random(0).randbytes(2000), bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n" + bytes(3000)]


@pytest.mark.parametrize("data", BINARY)
def test_binary_data_is_no_text(data):
    assert decode_html(data) is None


def test_nothing_is_the_empty_text():
    assert decode_html(b"") == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (RUSSIAN, "RUSSIAN"),
        (SIMPLIFIED, "CHINESE"),
        (TRADITIONAL, "CHINESET"),
        (JAPANESE, "JAPANESE"),
        (KOREAN, "KOREAN"),
        (GERMAN, "GERMAN"),
        (FRENCH, "FRENCH"),
        (POLISH, "POLISH"),
        (GREEK, "GREEK"),
        (HEBREW, "HEBREW"),
        (ARABIC, "ARABIC"),
        (THAI, "THAI"),
        ("", UNKNOWN),
        ("12 34 56", UNKNOWN),
    ],
)
def test_a_language_has_the_name_that_cld2_gives_it(text, language):
    assert detect_language(page(text)) == language
    assert lang_detect(text) == language


def test_scripts_styles_and_attributes_are_not_taken_for_the_language_of_a_page():
    noise = f"<script>/* {RUSSIAN} */</script><style>/* {RUSSIAN} */</style><!-- {RUSSIAN} --><i title='{RUSSIAN}'></i>"
    assert detect_language(page(GERMAN, noise)) == "GERMAN"


def test_control_characters_do_not_keep_a_language_from_being_named():
    assert detect_language(page("\x00\x01\ufffe\U0001fffe\U0010ffff" + GERMAN)) == "GERMAN"


def test_control_characters_are_removed_and_line_ends_stay():
    assert remove_control_characters("a\x00b\tc\r\nd\x7f\x9fe\ufdd0é") == "ab\tc\r\ndeé"


def test_s5cmd_is_looked_for_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not check_s5cmd_installed()
    (tmp_path / "s5cmd").write_text("#!/bin/sh\n")
    (tmp_path / "s5cmd").chmod(0o755)
    assert check_s5cmd_installed()
