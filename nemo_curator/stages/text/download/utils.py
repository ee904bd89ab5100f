"""From bytes to text, and from text to the name of its language."""

from __future__ import annotations

import codecs
import re
import shutil

from nemo_curator.errors import need

UNKNOWN = "UNKNOWN"
"""What `detect_language` returns for a text of no language that it knows."""
PRESCANNED = 1024
"""Bytes in which browsers look for a declaration."""
MOST_BROKEN = 0.05
"""Share of a page's characters beyond ASCII that may be damaged before another encoding is tried."""

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_LABEL = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_MARKUP = re.compile(rb"<[^<>]*>")
_SHIFTED = (b"\x1b$B", b"\x1b$@")
"""How Japanese begins in ISO-2022-JP."""
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859_11": "cp874",
}
"""What the web means by the name of an encoding, where Python takes it by the letter."""
_LAST_OF_PLANES = "".join(chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
"""No characters, by definition."""
_CONTROL = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef{_LAST_OF_PLANES}]")
_BINARY = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def decode_html(html_bytes: bytes, content_type: str | None = None) -> str | None:
    """Decode a page; None if it is no text in any encoding.

    In this order: a byte order mark, UTF-16 by its zeros, UTF-8 if it is valid, what the HTTP header says, what the
    page says, what the bytes look like. A declaration that does not fit is not believed; of one that nearly fits, the
    damaged characters become U+FFFD.
    """
    for mark, encoding in _BOMS:
        if html_bytes.startswith(mark):
            return _text(html_bytes[len(mark) :].decode(encoding, "replace"))
    if (wide := _wide(html_bytes)) is not None:
        return _text(html_bytes.decode(wide, "replace"))
    # Japanese in ISO-2022-JP is ASCII, and hence valid UTF-8
    shifted = ["iso2022_jp"] if any(escape in html_bytes for escape in _SHIFTED) else []
    if not shifted:
        try:
            return _text(html_bytes.decode())
        except UnicodeDecodeError:
            pass
    for encoding in dict.fromkeys([*shifted, *_declared(html_bytes, content_type), "utf-8"]):
        text = html_bytes.decode(encoding, "replace")
        if _broken_share(text, html_bytes) <= MOST_BROKEN:
            return _text(text)
    return _text(html_bytes.decode(_looks_like(html_bytes), "replace"))


def detect_language(html: str) -> str:
    """Return the main language of a page as CLD2 names it, in upper case; `UNKNOWN` where there is too little text.

    Tags, scripts and styles are skipped; plain text does as well.
    """
    cld2 = need("pycld2", extra="text")
    try:
        found = cld2.detect(html.encode("utf-8", "replace"))
    except cld2.error:  # it takes control characters for invalid UTF-8
        found = cld2.detect(remove_control_characters(html).encode("utf-8", "replace"))
    return found[2][0][0].upper()


lang_detect = detect_language


def remove_control_characters(text: str) -> str:
    """Remove control characters other than tabs and line ends, and code points that are no characters."""
    return _CONTROL.sub("", text)


def check_s5cmd_installed() -> bool:
    """Whether the program s5cmd is on the path."""
    return shutil.which("s5cmd") is not None


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: of markup, every other byte is zero."""
    head = data[: 2 * PRESCANNED]
    half = len(head) // 2
    even, odd = head[::2].count(0), head[1::2].count(0)
    if half < 4 or even + odd < 0.2 * half:
        return None
    return "utf-16-le" if odd > 4 * even else "utf-16-be" if even > 4 * odd else None


def _declared(data: bytes, content_type: str | None) -> list[str]:
    """Encodings that the header and the page name, as browsers understand the names."""
    head = _COMMENT.sub(b"", data[:PRESCANNED])
    header = _LABEL.search((content_type or "").encode("utf-8", "replace"))
    in_page = _META.search(head) or _XML.search(head)
    names = [found[1].decode("ascii", "replace") for found in (header, in_page) if found]
    rename = need("resiliparse.parse.encoding", extra="text").map_encoding_to_html5
    known = [encoding for name in names if (encoding := rename(name, fallback_utf8=False))]
    # a page whose declaration could be read as ASCII is no UTF-16
    return ["utf-8" if encoding.startswith("utf-16") else _widest(encoding) for encoding in known]


def _widest(encoding: str) -> str:
    name = codecs.lookup(encoding).name.replace("-", "_")
    return _WIDER.get(name, encoding)


def _broken_share(text: str, data: bytes) -> float:
    broken = text.count("\ufffd") - data.count("\ufffd".encode())
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return broken / foreign if foreign else 0.0


def _looks_like(data: bytes) -> str:
    # tags are ASCII in which the few bytes that tell would drown
    visible = _MARKUP.sub(b" ", data)
    library = need("resiliparse.parse.encoding", extra="text")
    found: str | None = library.detect_encoding(visible, html5_compatible=False)
    if found is None or found == "utf-8":
        return "windows-1252"
    return _widest(library.map_encoding_to_html5(found, fallback_utf8=False) or found)


def _text(decoded: str) -> str | None:
    """Text, unless it is binary data that some encoding gave characters to."""
    sample = decoded[: 2**13]
    strange = len(_BINARY.findall(sample)) + sample.count("\ufffd")
    return None if strange > 0.1 * len(sample) else decoded
