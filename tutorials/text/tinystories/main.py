"""Download TinyStories, clean it, filter it, and write JSONL: the script of the migration guide."""

import argparse
from pathlib import Path

from stages import IncompleteStoryFilter, QuotationUnifier, TinyStoriesDownloadExtractStage

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.core.client import RayClient
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.heuristic import WordCountFilter
from nemo_curator.stages.text.io.writer import JsonlWriter
from nemo_curator.stages.text.modifiers import Modify
from nemo_curator.stages.text.modifiers.unicode import UnicodeReformatter


def main(args: argparse.Namespace) -> None:
    raw_dir = str(Path(args.data_root, "raw"))
    curated_dir = str(Path(args.data_root, "curated"))

    stages = [
        TinyStoriesDownloadExtractStage(raw_dir, split=args.split, url=args.url),
        Modify(modifier_fn=QuotationUnifier()),
        Modify(modifier_fn=UnicodeReformatter()),
        ScoreFilter(filter_obj=WordCountFilter(min_words=80)),
        ScoreFilter(filter_obj=IncompleteStoryFilter()),
        JsonlWriter(curated_dir),
    ]
    pipeline = Pipeline(
        name="tinystories",
        description="Download and curation pipeline for the TinyStories dataset.",
        stages=stages,
    )

    if args.executor == "local":
        written = pipeline.run(make_executor("local"))
    else:
        ray_client = RayClient()
        ray_client.start()
        try:
            written = pipeline.run(make_executor(args.executor))
        finally:
            ray_client.stop()

    print(pipeline.last_run.table())
    for task in written:
        print(*task.data, sep="\n")


def make_executor(name: str) -> BaseExecutor:
    if name == "ray_data":
        from nemo_curator.backends.ray_data import RayDataExecutor

        return RayDataExecutor()
    if name == "ray_actor_pool":
        from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor

        return RayActorPoolExecutor()
    if name == "local":
        from nemo_curator.backends.local import LocalExecutor

        return LocalExecutor()
    from nemo_curator.backends.xenna import XennaExecutor

    return XennaExecutor()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_root", default=str(Path(__file__).parent / "data"), help="where raw/ and curated/ go")
    parser.add_argument("--split", choices=["train", "valid"], default="valid")
    parser.add_argument("--url", help="a URL or a path to read instead of the split")
    parser.add_argument(
        "--executor",
        choices=["xenna", "ray_data", "ray_actor_pool", "local"],
        default="xenna",
        help="local needs no Ray",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
