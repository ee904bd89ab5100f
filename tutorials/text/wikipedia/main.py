"""Download a dump of Wikipedia, keep the articles that are long enough, and write JSONL or Parquet."""

import argparse
from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import WikipediaDownloadExtractStage
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.io.writer import JsonlWriter, ParquetWriter


def main(args: argparse.Namespace) -> None:
    download = WikipediaDownloadExtractStage(
        language=args.language,
        download_dir=str(Path(args.data_root, "dumps")),
        dump_date=args.dump_date,
        wikidumps_index_prefix=args.index_prefix,
        url_limit=args.url_limit,
        record_limit=args.record_limit,
    )
    writer = ParquetWriter if args.format == "parquet" else JsonlWriter
    pipeline = Pipeline(
        name="wikipedia",
        stages=[
            download,
            ScoreFilter(filter_obj=WordCountFilter(min_words=args.min_words, lang=args.language)),
            writer(str(Path(args.data_root, "articles"))),
        ],
    )
    written = pipeline.run(LocalExecutor())
    print(pipeline.last_run.table())
    for task in written:
        print(*task.data, sep="\n")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data_root", default=str(Path(__file__).parent / "data"), help="where dumps/ and articles/ go"
    )
    parser.add_argument("--language", default="simple", help="the code of a Wikipedia")
    parser.add_argument("--dump_date", help="YYYYMMDD; by default the newest complete dump")
    parser.add_argument("--index_prefix", default="https://dumps.wikimedia.org", help="the server, or a mirror of it")
    parser.add_argument("--url_limit", type=int, help="at most so many files")
    parser.add_argument("--record_limit", type=int, help="at most so many articles of each file")
    parser.add_argument("--min_words", type=int, default=50)
    parser.add_argument("--format", choices=["jsonl", "parquet"], default="jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
