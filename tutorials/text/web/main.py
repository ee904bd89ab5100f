"""From a web crawl to training text: WARC files to text, language, quality, near duplicates, Parquet.

    python main.py --warc_dir crawl/ --output_dir curated/
    python main.py --snapshot 2025-30 --url_limit 2 --output_dir curated/

The first form reads WARC files that are there, the second downloads the first files of a snapshot of Common Crawl. Each
step says what it kept and what it dropped, and the same is in `<output_dir>/accounts` to be read later.
"""

import argparse
from pathlib import Path

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.workflow import FuzzyDeduplicationWorkflow
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.text.download import CommonCrawlDownloadExtractStage
from nemo_curator.stages.text.download.base import DocumentIterateExtractStage
from nemo_curator.stages.text.download.common_crawl import CommonCrawlHTMLExtractor, CommonCrawlWarcIterator
from nemo_curator.stages.text.filters import Filter, ScoreFilter
from nemo_curator.stages.text.filters.heuristic import (
    BoilerPlateStringFilter,
    MeanWordLengthFilter,
    RepeatedLinesFilter,
    SymbolsToWordsFilter,
    WordCountFilter,
)
from nemo_curator.stages.text.io.writer import ParquetWriter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter

WARC = [".warc", ".warc.gz", ".warc.zst"]


def main(args: argparse.Namespace) -> None:
    output = Path(args.output_dir)
    extract = Pipeline(
        "web text",
        "Text of pages in one language that reads as text",
        [
            *source(args),
            Filter(lambda language: language == args.language, filter_field="language", name="language"),
            Modify(UnicodeReformatter()),
            ScoreFilter(WordCountFilter(min_words=50)),
            ScoreFilter(MeanWordLengthFilter()),
            ScoreFilter(SymbolsToWordsFilter()),
            ScoreFilter(RepeatedLinesFilter()),
            ScoreFilter(BoilerPlateStringFilter()),
            ParquetWriter(str(output / "text")),
        ],
    )
    executor = LocalExecutor(num_workers=args.num_workers)
    extract.run(executor, checkpoint_path=output / "checkpoint" / "text", max_failed_fraction=args.max_failed_fraction)
    extract.last_run.save(output / "accounts" / "text")
    print(extract.last_run.table())

    workflow = FuzzyDeduplicationWorkflow(
        cache_path=str(output / "cache"),
        output_path=str(output / "unique"),
        input_path=str(output / "text"),
        input_filetype="parquet",
        perform_removal=True,
        char_ngrams=args.char_ngrams,
    )
    result = workflow.run(executor=executor, checkpoint_path=output / "checkpoint" / "unique")
    print(f"\n{result.metadata['num_duplicates_removed']} near duplicates are gone; what stays is in {output}/unique")


def source(args: argparse.Namespace) -> list[ProcessingStage]:
    """The stages that make one document of each page."""
    if args.warc_dir:
        return [
            FilePartitioningStage(args.warc_dir, files_per_partition=1, file_extensions=WARC),
            DocumentIterateExtractStage(CommonCrawlWarcIterator(), CommonCrawlHTMLExtractor(args.extractor)),
        ]
    if not args.snapshot:
        raise SystemExit("give --warc_dir, a folder of WARC files, or --snapshot, such as 2025-30")
    stage = CommonCrawlDownloadExtractStage(
        args.snapshot,
        args.snapshot,
        download_dir=f"{args.output_dir}/warc",
        html_extraction=args.extractor,
        url_limit=args.url_limit,
    )
    return [stage]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warc_dir", help="a folder of WARC files")
    parser.add_argument("--snapshot", help="a snapshot of Common Crawl, such as 2025-30")
    parser.add_argument("--url_limit", type=int, default=1, help="how many files of the snapshot")
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--language", default="ENGLISH")
    parser.add_argument("--extractor", choices=["auto", "justext", "resiliparse", "trafilatura"], default="auto")
    parser.add_argument("--char_ngrams", type=int, default=24)
    parser.add_argument("--max_failed_fraction", type=float, default=0.01, help="of damaged pages")
    parser.add_argument("--num_workers", type=int, help="worker processes; by default one for each core")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
