"""Write an archive like those of arXiv into a folder: five made-up papers, of which two are text for a corpus."""

import argparse
import gzip
import io
import tarfile
from pathlib import Path

PLAIN = r"""\documentclass{article}
\newcommand{\kite}{\textsc{Kite}}   % the name of the system
\newcommand{\set}[1]{\left\{#1\right\}}
\title{Flying \kite{} in Little Wind}
\begin{document}
\maketitle
\begin{abstract} We fly \kite. \end{abstract}
\input{sections/flight}
% \section{Old version} nobody shall read this
\bibliography{kites}
\appendix
\section{Strings} All strings were blue.
\end{document}
"""
FLIGHT = r"""\section{Flight}
\kite{} rises when 80\% of the wind comes from one side. % say which
Let $W = \set{w_1, \dots, w_n}$ be the winds of a week, and fly on the day of the strongest.
"""
LETTER = (
    r"\documentclass{revtex4}\begin{document}\begin{abstract}A letter needs no sections.\end{abstract}"
    "\nIt begins with its abstract, and it ends where the references begin. "
    r"Na\"ive readers may miss it: caf" + "\u00e9.\n" + r"\begin{thebibliography}{1}\bibitem{a} A.\end{thebibliography}"
    "\n" + r"\end{document}"
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    several = {"main.tex": PLAIN.encode(), "sections/flight.tex": FLIGHT.encode(), "kite.png": b"\x89PNG\r\n"}
    papers = {
        "2101/2101.00001.gz": gzip.compress(archive(several)),
        "2101/2101.00002.gz": gzip.compress(LETTER.encode("latin-1")),
        "2101/2101.00003.gz": gzip.compress(b"%auto-ignore\nThis paper has been withdrawn.\n"),
        "2101/2101.00004.pdf": b"%PDF-1.5\n",
        "2101/2101.00005.gz": gzip.compress(
            rb"\documentclass{article}\begin{document}\section{A} Short.\end{document}"
        ),
    }
    (folder / "arXiv_src_2101_001.tar").write_bytes(archive(papers))


def archive(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
