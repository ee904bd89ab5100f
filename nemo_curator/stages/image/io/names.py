"""Names: how members of archives make samples, and ids that are safe as names of files."""

from __future__ import annotations

import re

from nemo_curator.utils.client_utils import is_remote_url, local_path
from nemo_curator.utils.find_files import has_extension
from nemo_curator.utils.hash_utils import get_deterministic_hash

IMAGE_EXTENSIONS = {"jpg", "jpeg", "jfif", "png", "webp", "gif", "tif", "tiff", "avif", "bmp", "heic", "heif", "jp2"}
IMAGE_EXTENSIONS |= {"pbm", "pgm", "ppm"}
TAR_EXTENSIONS = (".tar", ".tgz", ".tbz2", ".txz", ".tzst")
NAME_BYTES = 100
"""The longest name that is part of an id as it is; of a longer one the end is hashed."""

_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_UNSAFE = re.compile(r"[^\w-]")
_SAFE = re.compile(r"[\w~+=-]+")
_SHORT_AND_SAFE = re.compile(rf"[\w-]{{1,{NAME_BYTES // 4}}}")
_SHORT = {"/": "~", ".": "+"}


def split_key(member: str) -> tuple[str, str] | None:
    """The key of the sample to which a member belongs, and its extension in lower case, as webdataset takes them.

    The extension begins at the first dot of the name. Hidden files, and those without an extension, belong to none.

    >>> split_key("a.b/0001.seg.PNG")
    ('a.b/0001', 'seg.png')
    """
    found = _MEMBER.fullmatch(member.removeprefix("./"))
    return (found[1], found[2].lower()) if found else None


def is_image(path: str) -> bool:
    return path.lower().rpartition(".")[2] in IMAGE_EXTENSIONS


def is_tar(path: str) -> bool:
    return has_extension(path, TAR_EXTENSIONS)


def safe_name(name: str) -> str:
    """A name of letters, digits and `_-~+=`, which no other name becomes.

    >>> safe_name("shards/00.1.tar")
    'shards~00+1+tar'
    """
    if _SHORT_AND_SAFE.fullmatch(name):
        return name
    safe = _UNSAFE.sub(lambda found: _SHORT.get(found[0]) or _in_hex(found[0]), name)
    data = safe.encode(errors="surrogatepass")
    if len(data) <= NAME_BYTES:
        return safe
    return f"{data[:NAME_BYTES].decode(errors='ignore')}={get_deterministic_hash([name])}"


def file_stem(image_id: str) -> str:
    """The name of a file for an image: its id, where that is safe."""
    return image_id if _SAFE.fullmatch(image_id) else safe_name(image_id)


def unused(name: str, taken: set[str]) -> str:
    """A name that was not taken before, made of this one, and take it: a tar may hold a key twice."""
    own, times = name, 1
    while own in taken:
        times += 1
        own = f"{name}~~{times}"
    taken.add(own)
    return own


def container_id(path: str, root: str) -> str:
    """What ids of images in a file begin with: its path as seen from the root, without `.tar`."""
    return safe_name(relative(path, root).removesuffix(".tar"))


def relative(path: str, root: str) -> str:
    """A path as seen from a folder; from nowhere, where it is not in it."""
    path = path if is_remote_url(path) else str(local_path(path))
    if root and path.startswith(f"{root.rstrip('/')}/"):
        return path[len(root.rstrip("/")) + 1 :]
    return path.rpartition("://")[2].lstrip("/")


def _in_hex(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode(errors="surrogatepass"))
