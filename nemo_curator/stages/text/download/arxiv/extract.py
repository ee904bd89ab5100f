"""From the LaTeX files of a paper to one text."""

from __future__ import annotations

from typing import Any

from nemo_curator.stages.text.download.arxiv.latex import (
    Verbatim,
    flatten,
    main_part,
    roots,
    with_sections,
    without_comments,
)
from nemo_curator.stages.text.download.arxiv.macros import Macros
from nemo_curator.stages.text.download.base import DocumentExtractor

_IGNORED = "%auto-ignore"
"""How files begin that arXiv does not typeset, such as that of a paper which was withdrawn."""


class ArxivExtractor(DocumentExtractor):
    r"""Makes one text of the LaTeX files of a paper; the text is LaTeX still.

    The files that the main file takes in are put in their places. Comments are taken out, and macros that the paper
    defines are replaced by what they stand for. The text begins with the first section, or in a paper that has none
    with the abstract, and ends before the appendix and the bibliography. A paper of which nothing is left is dropped
    (`withdrawn`, `no_text`).

    Example:
        >>> source = r"\def\vec{\mathbf{v}} \begin{document} \section{One} Let $\vec$ % which?" "\n be."
        >>> ArxivExtractor().extract({"content": [source]})
        {'text': '\\section{One} Let $\\mathbf{v}$ \n be.'}
    """

    def extract(self, record: dict[str, Any]) -> dict[str, Any] | None:
        content = record["content"]
        names = record.get("filenames") or list(map(str, range(len(content))))
        verbatim, macros = Verbatim(), Macros(sum(map(len, content)))
        files = {
            name: without_comments(text, verbatim)
            for name, text in zip(names, content, strict=True)
            if not text.lstrip().startswith(_IGNORED)
        }
        for text in files.values():
            macros.collect(text)
        mains = roots(files) if record.get("filenames") else with_sections(files) or roots(files)
        used: set[str] = set()
        texts = [
            main_part(macros.inline(flatten(name, files, used, macros.inline))) for name in mains if name not in used
        ]
        if not any(texts):
            texts = [main_part(macros.inline(files[name])) for name in with_sections(files)]
        text = verbatim.restore("\n".join(filter(None, texts)))
        if not text:
            self.drop_reason = "withdrawn" if content and not files else "no_text"
            return None
        return {"text": text, **({"id": record["id"]} if "id" in record else {})}

    def input_columns(self) -> list[str]:
        return ["content"]

    def output_columns(self) -> list[str]:
        return ["text", "id"]
