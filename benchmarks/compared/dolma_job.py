"""The jobs of compare.py by Dolma: `dolma_job.py filter INPUT OUTPUT WORKERS`. It has no MinHash.

pip install dolma boto3==1.28.17 aiobotocore==2.5.4   # pip searches for an hour without the two versions
"""

import json
import subprocess
import sys
from pathlib import Path

TOP = {2: 0.20, 3: 0.18, 4: 0.16}
DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def main(job: str, source: str, output: str, workers: str) -> None:
    if job != "filter":
        raise SystemExit("Dolma removes duplicates by a Bloom filter of whole texts and paragraphs, and has no MinHash")
    documents = Path(output, "documents")
    documents.symlink_to(source)  # it writes attributes beside the folder of this name
    files = f"{documents}/*.jsonl.gz"
    dolma("tag", "--documents", files, "--taggers", "gopher_v2", "--experiment", "rules", "--processes", workers)
    stream = {
        "name": "kept",
        "documents": [files],
        "attributes": ["rules"],
        "output": {"path": f"{output}/kept", "max_size_in_bytes": 2**40},
        "filter": {"syntax": "jq", "exclude": [rule(*each) for each in rules()]},
    }
    settings = Path(output, "mix.json")
    settings.write_text(json.dumps({"streams": [stream], "processes": int(workers)}))
    dolma("-c", str(settings), "mix")


def rules():
    """Names of attributes, how they are compared, and the bound beyond which a document goes."""
    yield "word_count", "<", 50
    yield "word_count", ">", 100_000
    yield "median_word_length", "<", 3
    yield "median_word_length", ">", 10
    yield "symbol_to_word_ratio", ">", 0.1
    yield "fraction_of_lines_starting_with_bullet_point", ">", 0.9
    yield "fraction_of_lines_ending_with_ellipsis", ">", 0.3
    yield "fraction_of_words_with_alpha_character", "<", 0.8
    yield "required_word_count", "<", 2
    yield "fraction_of_duplicate_lines", ">", 0.3
    yield "fraction_of_characters_in_duplicate_lines", ">", 0.2
    for n, most in TOP.items():
        yield f"fraction_of_characters_in_most_common_{n}grams", ">", most
    for n, most in DUPLICATE.items():
        yield f"fraction_of_characters_in_duplicate_{n}grams", ">", most


def rule(name: str, sign: str, bound: float) -> str:
    attribute = f".attributes.rules__gopher_v2__{name}"
    return f"{attribute} != null and {attribute} != [] and {attribute}[0][2] {sign} {bound}"


def dolma(*arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name("dolma")), *arguments], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
