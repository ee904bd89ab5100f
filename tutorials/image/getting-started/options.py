"""What both scripts can be told."""

import argparse

from nemo_curator.backends.base import BaseExecutor
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.backends.xenna import XennaExecutor


def add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input-wds-dataset-dir", required=True, help="a folder of webdataset tars")
    parser.add_argument("--output-dataset-dir", required=True)
    parser.add_argument("--model-dir", required=True, help="where the weights of the models are, or will be")
    parser.add_argument("--tar-files-per-partition", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--embedding-batch-size", type=int, default=32)
    parser.add_argument("--embedding-gpus-per-worker", type=float, default=0.25)
    parser.add_argument("--images-per-tar", type=int, default=100)
    parser.add_argument("--executor", choices=["local", "xenna"], default="local", help="xenna runs on Ray")
    parser.add_argument("--num-workers", type=int, help="processes of the local executor")
    parser.add_argument("--verbose", action="store_true")


def make_executor(args: argparse.Namespace) -> BaseExecutor:
    return XennaExecutor() if args.executor == "xenna" else LocalExecutor(num_workers=args.num_workers)
