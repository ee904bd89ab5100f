"""The jobs of compare.py by Data-Juicer: `data_juicer_job.py filter|minhash INPUT OUTPUT WORKERS`.

pip install py-data-juicer aiohttp scipy   # the two it imports without saying so

It has no filters of Gopher's rules; these are those of its own that come nearest and need no download.
"""

import json
import subprocess
import sys
from pathlib import Path

FILTERS = [
    {"words_num_filter": {"min_num": 50, "max_num": 100_000}},
    {"alphanumeric_filter": {"min_ratio": 0.6}},
    {"special_characters_filter": {"max_ratio": 0.4}},
    {"average_line_length_filter": {"min_len": 10}},
    {"character_repetition_filter": {"rep_len": 10, "max_ratio": 0.2}},
    {"word_repetition_filter": {"rep_len": 10, "max_ratio": 0.1}},
]
MINHASH = {
    "document_minhash_deduplicator": {
        "tokenization": "space",
        "window_size": 5,
        "num_permutations": 112,
        "num_bands": 14,
        "num_rows_per_band": 8,
    }
}


def main(job: str, source: str, output: str, workers: str) -> None:
    config = {
        "project_name": job,
        "dataset_path": source,
        "export_path": f"{output}/kept/kept.jsonl",
        "np": int(workers),
        "process": FILTERS if job == "filter" else [MINHASH],
        "open_tracer": False,
        "use_cache": False,
        "work_dir": f"{output}/work",
    }
    settings = Path(output, "config.yaml")
    settings.write_text(json.dumps(config))  # JSON is YAML
    process = str(Path(sys.executable).with_name("dj-process"))
    subprocess.run([process, "--config", str(settings)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
