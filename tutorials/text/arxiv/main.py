"""Download archives of arXiv, make a document of each paper, keep those with enough text, and write JSONL."""

import argparse
from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import ArxivDownloadExtractStage
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.io.writer import JsonlWriter


def main(args: argparse.Namespace) -> None:
    place = {} if args.url_prefix is None else {"url_prefix": args.url_prefix}
    pipeline = Pipeline(
        name="arxiv",
        stages=[
            ArxivDownloadExtractStage(
                download_dir=str(Path(args.data_root, "raw")),
                url_limit=args.url_limit,
                record_limit=args.record_limit,
                **place,
            ),
            ScoreFilter(filter_obj=WordCountFilter(min_words=args.min_words)),
            JsonlWriter(str(Path(args.data_root, "papers"))),
        ],
    )
    # of some millions of papers some are always damaged; they are named in the account
    written = pipeline.run(LocalExecutor(), max_failed_fraction=0.01)
    print(pipeline.last_run.table())
    for task in written:
        print(*task.data, sep="\n")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_root", default=str(Path(__file__).parent / "data"), help="where raw/ and papers/ go")
    parser.add_argument("--url_prefix", help="a folder or URL with archives, instead of arXiv's bucket")
    parser.add_argument("--url_limit", type=int, default=1, help="how many archives; one has about 500 MB")
    parser.add_argument("--record_limit", type=int, help="how many papers of each archive")
    parser.add_argument("--min_words", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
