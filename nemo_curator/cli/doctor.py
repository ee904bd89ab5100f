"""`curator doctor`: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from nemo_curator import __package_name__, __version__
from nemo_curator.backends.cards import find_cards
from nemo_curator.backends.local import count_cpus
from nemo_curator.cli.output import print_json, print_table
from nemo_curator.kernels.compile import kept
from nemo_curator.utils.user_cache import user_cache

GOOD, MISSING, BROKEN = "ok", "missing", "broken"

ADDS = {
    "audio": "reading audio",
    "cjk": "words of Chinese, Japanese and Thai",
    "huggingface": "data sets of Hugging Face",
    "image": "reading images",
    "s3": "files on S3",
    "semantic": "embeddings of texts, and deduplication by meaning",
    "text": "languages, tokens and other models of text",
    "video": "reading video",
}
"""What an extra adds."""


@dataclass(frozen=True)
class Finding:
    """Something that was looked at: its state, what was found, and what to do about it."""

    what: str
    state: str
    found: str
    remedy: str = ""


def examine(*, as_json: bool) -> int:
    """Look at everything. What is missing may be wanted that way; what is broken is exit code 1."""
    findings = [_curator(), _python(), _machine(), *_base(), *_extras(), _cards(), _ray(), *_folders(), _kernels()]
    if as_json:
        print_json([asdict(one) for one in findings])
    else:
        rows = [(one.what, one.state, one.found, one.remedy) for one in findings]
        print_table("What this machine has", ("what", "state", "found", "remedy"), rows)
    return 1 if any(one.state == BROKEN for one in findings) else 0


def requirements() -> dict[str, list[str]]:
    """The packages that each extra of the installed package asks for; those of the package itself under ''."""
    try:
        lines = requires(__package_name__) or []
    except PackageNotFoundError:  # run from its sources
        return {}
    found: dict[str, list[str]] = {}
    for line in lines:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if name != __package_name__ and _is_for_here(line):
            found.setdefault(extra[1] if extra else "", []).append(name)
    return found


def _is_for_here(line: str) -> bool:
    wanted = re.search(r"sys_platform == ['\"]([^'\"]+)['\"]", line)
    return wanted is None or wanted[1] == sys.platform


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _curator() -> Finding:
    folder = Path(__file__).parents[1]
    if _version(__package_name__) is None:
        return Finding("curator", GOOD, f"{__version__}, from its sources in {folder}")
    return Finding("curator", GOOD, f"{__version__} in {folder}")


def _python() -> Finding:
    found = f"{platform.python_version()} in {sys.prefix}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", GOOD, found)
    return Finding("python", BROKEN, found, "use Python 3.11, 3.12 or 3.13")


def _machine() -> Finding:
    return Finding("machine", GOOD, f"{platform.system()} {platform.machine()}, {count_cpus()} CPUs")


def _base() -> list[Finding]:
    packages = requirements().get("", [])
    missing = [name for name in packages if _version(name) is None]
    if missing:
        return [Finding("dependencies", BROKEN, f"without {', '.join(missing)}", f"pip install {__package_name__}")]
    return [Finding("dependencies", GOOD, f"{len(packages)} packages")] if packages else []


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in sorted(requirements().items()):
        if extra in ("", "all"):
            continue
        missing = [name for name in packages if _version(name) is None]
        adds = ADDS.get(extra, extra)
        if missing:
            others = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
            found = f"{adds}; without {', '.join(missing[:2])}{others}"
            findings.append(Finding(f"extra {extra}", MISSING, found, f"pip install '{__package_name__}[{extra}]'"))
        else:
            findings.append(Finding(f"extra {extra}", GOOD, adds))
    return findings


def _cards() -> Finding:
    cards, torch = find_cards(), _version("torch")
    found = f"{len(cards)} GPUs, torch {torch}" if torch else f"{len(cards)} GPUs, no torch"
    if not cards:
        return Finding("GPU", MISSING, f"{found}; everything works without")
    if torch is None:
        return Finding("GPU", MISSING, found, f"pip install '{__package_name__}[semantic]'")
    if torch.endswith("+cpu"):
        return Finding("GPU", MISSING, f"{found}, which is built without CUDA", "install torch with CUDA")
    return Finding("GPU", GOOD, found)


def _ray() -> Finding:
    found = _version("ray")
    if found is None:
        return Finding("ray", MISSING, "pipelines run on this machine's processes", "pip install 'ray[data,default]'")
    address = os.environ.get("RAY_ADDRESS")
    return Finding(
        "ray", GOOD, f"{found}, {f'cluster at {address}' if address else 'no cluster: RAY_ADDRESS is not set'}"
    )


def _folders() -> list[Finding]:
    wanted = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nemo_curator"
    cache = user_cache("doctor").parent
    findings = [_folder("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder that can be written")]
    if cache != wanted:
        remedy = "set XDG_CACHE_HOME to a folder that can be written"
        return [
            *findings,
            Finding("cache", MISSING, f"{wanted} cannot be written; what is fetched is not kept", remedy),
        ]
    return [*findings, _folder("cache", cache, "")]


def _folder(what: str, folder: Path, remedy: str) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(what, BROKEN, f"{folder}: {error.strerror}", remedy)
    return Finding(what, GOOD, f"{folder}, {free / 1e9:.0f} GB free")


def _kernels() -> Finding:
    state = kept()
    compiled = sum(state.values())
    if compiled == len(state):
        return Finding("kernels", GOOD, f"all {compiled} are compiled")
    return Finding(
        "kernels", MISSING, f"{compiled} of {len(state)} are compiled; the others when needed", "curator warmup"
    )
