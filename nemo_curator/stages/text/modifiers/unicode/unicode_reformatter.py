"""Repair text with ftfy."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, fields
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np

from nemo_curator.kernels.mojibake import find_suspects, may_change, scan_tables
from nemo_curator.stages.text.modifiers.doc_modifier import DocumentModifier
from nemo_curator.stages.text.rows import change_rows
from nemo_curator.tasks.text_column import TextColumn

if TYPE_CHECKING:
    from ftfy import TextFixerConfig


@dataclass
class UnicodeReformatter(DocumentModifier):
    """Repair wrongly decoded characters, HTML entities and control characters as `ftfy.fix_text` does.

    The parameters are those of `ftfy.TextFixerConfig`; a `config` replaces them all. Unlike in ftfy, ligatures, widths,
    curly quotes, line breaks and the Unicode normal form stay as they are unless you ask. Only documents that a scan of
    the column cannot show to be in order are given to ftfy.

    Example:
        >>> UnicodeReformatter().modify_document("&lt;3 schÃ¶n")
        '<3 schön'
    """

    config: TextFixerConfig | None = None
    unescape_html: str | bool = "auto"
    remove_terminal_escapes: bool = True
    fix_encoding: bool = True
    restore_byte_a0: bool = True
    replace_lossy_sequences: bool = True
    decode_inconsistent_utf8: bool = True
    fix_c1_controls: bool = True
    fix_latin_ligatures: bool = False
    fix_character_width: bool = False
    uncurl_quotes: bool = False
    fix_line_breaks: bool = False
    fix_surrogates: bool = True
    remove_control_chars: bool = True
    normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None
    max_decode_length: int = 1000000
    explain: bool = True

    def modify_document(self, text: str) -> str:
        import ftfy

        return ftfy.fix_text(text, self._settings())

    def modify_texts(self, texts: TextColumn) -> TextColumn:
        return change_rows(texts, self._suspects(texts), self._repaired)

    def _repaired(self, texts: list[str]) -> list[str]:
        """Give ftfy only the lines that need it: it treats lines by themselves, but for markup that it has seen."""
        import ftfy

        settings = self._settings()
        lines = [_lines(text) for text in texts]
        suspects = iter(self._suspects(TextColumn([line for some in lines for line in some])))
        repaired = []
        for text, some in zip(texts, lines):
            flags = list(islice(suspects, len(some)))
            if max(map(len, some)) > settings.max_decode_length:
                repaired.append(ftfy.fix_text(text, settings))
                continue
            one = settings
            for at, line in enumerate(some):
                if one.unescape_html == "auto" and "<" in line:
                    one = one._replace(unescape_html=False)
                if flags[at]:
                    some[at] = ftfy.fix_text(line, one)
            repaired.append("".join(some))
        return repaired

    def _suspects(self, texts: TextColumn) -> np.ndarray:
        settings = self._settings()
        suspects = texts.measure(
            lambda *buffers: find_suspects(*buffers, *scan_tables(settings)), may_change, dtype=np.bool_
        )
        if settings.normalization is not None:
            normal = (unicodedata.is_normalized(settings.normalization, text) for text in texts.texts())
            suspects |= ~np.fromiter(normal, np.bool_, count=len(texts))
        return suspects

    def _settings(self) -> TextFixerConfig:
        from ftfy import TextFixerConfig

        if self.config is not None:
            return self.config
        names = [each.name for each in fields(self) if each.name != "config"]
        return TextFixerConfig(**{name: getattr(self, name) for name in names})


def _lines(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]
