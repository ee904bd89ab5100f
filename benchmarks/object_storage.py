"""s3fs and obstore, both as fsspec file systems, before moto's S3 on this machine.

    python benchmarks/object_storage.py [--runs 3] [--megabytes 200] [--keys 5000]

Seconds, the median of alternated runs; moto takes most of them, the same for both. What is not installed is left out
(moto and s3fs are development dependencies; obstore is none: `pip install obstore`).
"""

import argparse
import importlib.util
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

SMALL = 100


@contextmanager
def moto() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def s3fs_of(url: str) -> Any:
    options = {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": url}}
    return fsspec.filesystem("s3", **options, use_listings_cache=False)


def obstore_of(url: str) -> Any:
    from obstore.fsspec import FsspecStore

    config = {"access_key_id": "a", "secret_access_key": "b", "endpoint": url, "region": "us-east-1"}
    return FsspecStore("s3", **config, client_options={"allow_http": True, "timeout": "120s"})


def seconds(do: Callable[[], Any]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def measured(fs: Any, megabytes: int, keys: int) -> dict[str, float]:
    """Times of one round; what was read is checked."""
    large = bytes(2**20) * megabytes
    small = [f"s3://bench/small/{number}" for number in range(SMALL)]
    found = {
        f"{SMALL} puts of 1 kB": seconds(lambda: [fs.pipe_file(name, b"x" * 1000) for name in small]),
        f"{SMALL} gets of 1 kB": seconds(lambda: [fs.cat_file(name) for name in small]),
        f"put {megabytes} MB": seconds(lambda: fs.pipe_file("s3://bench/large", large)),
        f"get {megabytes} MB": seconds(lambda: fs.cat_file("s3://bench/large")),
        f"list {keys} keys": seconds(lambda: fs.find("s3://bench/keys")),
    }
    if len(fs.find("s3://bench/keys")) != keys or len(fs.cat_file("s3://bench/large")) != len(large):
        raise SystemExit("what was read is not what was written")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--keys", type=int, default=5000)
    given = parser.parse_args()
    if missing := [name for name in ("moto", "s3fs") if importlib.util.find_spec(name) is None]:
        print(f"left out: {', '.join(missing)} not installed")
        return
    makers = {"s3fs": s3fs_of}
    if importlib.util.find_spec("obstore"):
        makers["obstore"] = obstore_of
    with moto() as url:
        setup = s3fs_of(url)
        setup.mkdir("bench")
        setup.pipe({f"bench/keys/{number}": b"x" for number in range(given.keys)})
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in makers}
        for _ in range(given.runs):
            for name, make in makers.items():
                rounds[name].append(measured(make(url), given.megabytes, given.keys))
    print(f"{'':20}" + "".join(f"{name:>10}" for name in makers))
    for what in next(iter(rounds.values()))[0]:
        medians = [statistics.median(one[what] for one in some) for some in rounds.values()]
        print(f"{what:20}" + "".join(f"{median:10.2f}" for median in medians))


if __name__ == "__main__":
    main()
