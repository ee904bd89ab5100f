"""How fast images of a list of URLs arrive, beside img2dataset or a plain pool of threads with requests.

Run: python benchmarks/image_download.py [URLS] [--img2dataset-python PATH]. A server on this machine, in processes of
its own, answers after 20 ms with JPEGs of some kilobytes. All write the bytes that came, in one process, with as many
connections. img2dataset is run by the Python of an environment that has it, for it pins packages that others want
newer. URLs per second of wall time, and CPU per URL, which does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

LATENCY_S = 0.02
SERVERS = 2

OURS = """
from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.image.download import ImageDownloadStage

stage = ImageDownloadStage(
    path, folder, images_per_tar=1000, connections=connections, connections_per_host=connections, decode=decode,
    allow_private_addresses=True,
)
pipeline = Pipeline("download", stages=[stage])
pipeline.run(LocalExecutor(num_workers=0))
done = pipeline.last_run.stages[-1].rows_out
"""

IMG2DATASET = """
import glob, json
from img2dataset import download

download(
    url_list=path, input_format="parquet", url_col="url", caption_col="text", output_folder=folder,
    output_format="webdataset", processes_count=1, thread_count=connections, number_sample_per_shard=1000,
    resize_mode="no", disable_all_reencoding=True, compute_hash="sha256",
)
done = sum(json.load(open(one))["successes"] for one in glob.glob(f"{folder}/*_stats.json"))
"""

REQUESTS = """
import hashlib, os
from concurrent.futures import ThreadPoolExecutor
import pyarrow.parquet as pq, requests
from requests.adapters import HTTPAdapter

session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=connections))
os.makedirs(folder)

def fetch(row):
    at, url = row
    answer = session.get(url, timeout=10)
    answer.raise_for_status()
    hashlib.sha256(answer.content).hexdigest()
    with open(f"{folder}/{at}.jpg", "wb") as file:
        file.write(answer.content)

with ThreadPoolExecutor(connections) as pool:
    done = len(list(pool.map(fetch, enumerate(pq.read_table(path).column("url").to_pylist()))))
"""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, images: list[bytes]) -> None:
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(LATENCY_S)
            data = images[hash(request.split(b" ", 2)[1]) % len(images)]
            keep = b"close" if b"onnection: close" in request else b"keep-alive"
            head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n"
            writer.write(head % (len(data), keep) + data)
            if keep == b"close":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def serve(ports: multiprocessing.SimpleQueue, images: list[bytes]) -> None:
    """Answer requests until the process is ended."""

    async def run() -> None:
        server = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, images), "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def make_images() -> list[bytes]:
    rng = np.random.default_rng(0)
    images = []
    for _ in range(20):
        coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8)).resize((320, 240))
        sink = io.BytesIO()
        coarse.save(sink, "JPEG", quality=90)
        images.append(sink.getvalue())
    print(f"JPEGs of {np.mean([len(one) for one in images]) / 1000:.1f} kB, {LATENCY_S * 1000:.0f} ms latency")
    return images


def run(name: str, python: str, code: str, count: int, **values: object) -> tuple[float, float]:
    """Run a way in a process of its own; returns seconds of wall time and of CPU without those of starting up."""
    before = "import resource, sys, time\n" + "".join(f"{key} = {value!r}\n" for key, value in values.items())
    after = textwrap.dedent("""
        if done != count:
            sys.exit(f"{done} of {count} images arrived")
    """)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "way.py")
        body = f"{before}folder = {folder + '/out'!r}\ncount = {count}\n{code}{after}"
        script.write_text(f"if __name__ == '__main__':\n{textwrap.indent(body, '    ')}")
        start, used = time.perf_counter(), _cpu_of_children()
        done = subprocess.run(
            [python, str(script)], capture_output=True, text=True, env={**os.environ, "NO_PROXY": "*"}
        )
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return time.perf_counter() - start, _cpu_of_children() - used


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", type=int, nargs="?", default=5000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2, help="of which the best counts")
    parser.add_argument("--img2dataset-python", help="a Python that can import img2dataset")
    args = parser.parse_args()
    images, ports = make_images(), multiprocessing.SimpleQueue()
    servers = [multiprocessing.Process(target=serve, args=(ports, images), daemon=True) for _ in range(SERVERS)]
    for server in servers:
        server.start()
    places = [ports.get() for _ in servers]
    ways = {"ImageDownloadStage": (sys.executable, OURS, {"decode": False})}
    ways["ImageDownloadStage(decode=True)"] = (sys.executable, OURS, {"decode": True})
    if args.img2dataset_python:
        ways["img2dataset"] = (args.img2dataset_python, IMG2DATASET, {})
    ways["requests in threads, loose files"] = (sys.executable, REQUESTS, {})
    with tempfile.TemporaryDirectory() as folder:
        lists = {}
        for count in (20, args.urls):
            urls = [f"http://127.0.0.1:{places[at % SERVERS]}/{at}.jpg" for at in range(count)]
            lists[count] = f"{folder}/{count}.parquet"
            pq.write_table(pa.table({"url": urls, "text": [f"caption {at}" for at in range(count)]}), lists[count])
        results = {}
        for name, (python, code, more) in ways.items():
            taken = [
                [
                    run(name, python, code, count, path=path, connections=args.connections, **more)
                    for _ in range(args.repeats)
                ]
                for count, path in lists.items()
            ]
            first, best = ([min(column) for column in zip(*times)] for times in taken)
            # less what a run over a handful of URLs takes: starting up, and waiting for processes
            results[name] = [(best[at] - first[at]) / (args.urls - 20) for at in range(2)]
            print(json.dumps({"way": name, "startup_s": round(first[0], 2)}), flush=True)
    cpu = results["ImageDownloadStage"][1]
    for name, (wall, used) in results.items():
        print(f"{name:34} {1 / wall:7,.0f} URLs/s  {used * 1000:6.2f} ms of CPU per URL  {used / cpu:5.1f} x")
    for server in servers:
        server.terminate()


if __name__ == "__main__":
    main()
