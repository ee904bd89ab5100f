"""Why documents were removed: tables of clusters below `<output_path>/clusters`, and what can be asked of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nemo_curator.errors import InputError
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.stages.text.io.writer.base import absolute
from nemo_curator.tasks.file_group import FileGroupTask
from nemo_curator.utils.storage import ask, locate, open_bytes
from nemo_curator.utils.whole_files import put

CLUSTERS_SUBDIR = "clusters"
SOURCES_FILE = "sources.parquet"
MEASURED = ("exact", "jaccard", "estimate", "cosine")
"""How the similarity of a document to its survivor is known."""
MEMBERS = 4
"""How many of the documents that were removed a summary names, of each of the largest clusters."""

_SOURCES = pa.schema([("first_id", pa.int64()), ("num_rows", pa.int64()), ("path", pa.string())])
_HOW = {
    "exact": "their texts are the same",
    "jaccard": "their Jaccard similarity is {similarity:.4f}, measured",
    "estimate": "their Jaccard similarity is about {similarity:.2f}, estimated from signatures",
    "cosine": "the cosine similarity of their embeddings is {similarity:.4f}",
}

Id = int | str


@dataclass(frozen=True)
class Cluster:
    """Documents of which one stayed. The size counts it, too.

    Some of them are `members`, the one that stayed first: `id`, `source` as `file, row N` where ids are row numbers,
    and of the others `similarity` and how it was `measured`.
    """

    cluster_id: Id
    size: int
    min_similarity: float
    members: list[dict[str, Any]] = field(default_factory=list, repr=False, compare=False)


@dataclass(frozen=True)
class ClusterSummary:
    """What a report says about the clusters of a run. `sizes` are ranges of sizes and how many clusters are in each."""

    clusters: int = 0
    removed: int = 0
    measured: dict[str, int] = field(default_factory=dict)
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    largest: list[Cluster] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Explanation:
    """What became of one document. `str` of it says so in words.

    Of a document that was removed there are its survivor and how similar they are; of one that stays, how many were
    removed for it, and some of them. Places are `file, row N` where the ids are row numbers.
    """

    document_id: Id
    survivor_id: Id | None = None
    similarity: float | None = None
    measured: str | None = None
    removed_for_it: int = 0
    members: tuple[Id, ...] = ()
    places: dict[Id, str] = field(default_factory=dict)

    @property
    def was_removed(self) -> bool:
        return self.survivor_id is not None

    def __str__(self) -> str:
        if self.survivor_id is not None:
            how = _HOW[str(self.measured)].format(similarity=self.similarity)
            lines = [f"document {self.document_id} was removed, and {self.survivor_id} stayed: {how}"]
        elif self.removed_for_it:
            others = ", ".join(map(str, self.members)) + (", …" if self.removed_for_it > len(self.members) else "")
            verb = "was" if self.removed_for_it == 1 else "were"
            lines = [f"document {self.document_id} stayed, and {self.removed_for_it} {verb} removed for it: {others}"]
        else:
            lines = [f"document {self.document_id} stayed: it is like no other, or is not of this data set"]
        return "\n".join([*lines, *(f"  {id_} is {place}" for id_, place in self.places.items())])


def cluster_table(
    survivor_ids: Any, member_ids: Any, similarity: Any = 1.0, measured: Any = "exact", *, cluster_ids: Any = None
) -> pa.Table:
    """Make the rows of a cluster table, one for each document that was removed, in the order of cluster and member.

    Similarity and how it was measured are one value for all or one for each. A cluster is named after its survivor
    unless `cluster_ids` are given.
    """
    survivors, members = _ids(survivor_ids), _ids(member_ids)
    rows = len(members)
    is_one = isinstance(measured, str)
    for one in {measured} if is_one else set(pa.array(measured).unique().to_pylist()):
        if one not in MEASURED:
            raise ValueError(f"measured is {one!r}; wanted one of {MEASURED}")
    columns = {
        "cluster_id": survivors if cluster_ids is None else _ids(cluster_ids),
        "survivor_id": survivors,
        "member_id": members,
        "similarity": pa.array(np.broadcast_to(np.asarray(similarity, np.float64), rows)),
        "measured": pa.array([measured] * rows if is_one else measured, pa.string()),
    }
    return pa.table(columns).sort_by([("cluster_id", "ascending"), ("member_id", "ascending")])


def write_clusters(
    output_path: str, part: int | str, table: pa.Table, storage_options: dict[str, Any] | None = None
) -> str:
    """Write `clusters/part.<part>.parquet` in place of the one that was there; returns its path.

    All rows of a cluster go into one file: that is what lets clusters be counted file by file.
    """
    path = f"{absolute(output_path)}/{CLUSTERS_SUBDIR}/part.{part}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["measured"], row_group_size=2**16)
    put(*locate(path, storage_options), sink.getvalue().to_pybytes())
    return path


def read_clusters(output_path: str, storage_options: dict[str, Any] | None = None) -> Iterator[pa.Table]:
    """Yield the tables of clusters that a workflow has written, file by file."""
    for path in _files(output_path, storage_options):
        yield _read(path, storage_options)


def largest_clusters(output_path: str, n: int = 10, storage_options: dict[str, Any] | None = None) -> list[Cluster]:
    """The clusters with the most documents, largest first."""
    return summarize_clusters(output_path, n, storage_options).largest


def summarize_clusters(output_path: str, n: int = 10, storage_options: dict[str, Any] | None = None) -> ClusterSummary:
    """Count clusters and the documents that were removed, and list the largest, reading one file at a time."""
    clusters, measured, powers = 0, Counter[str](), Counter[int]()
    largest: list[Cluster] = []
    place: dict[Id, str] = {}
    for path in _files(output_path, storage_options):
        table = _read(path, storage_options)
        groups = table.group_by("cluster_id").aggregate([("member_id", "count"), ("similarity", "min")])
        clusters += len(groups)
        powers.update(np.ceil(np.log2(groups["member_id_count"].to_numpy() + 1)).astype(int).tolist())
        top = groups.sort_by([("member_id_count", "descending"), ("cluster_id", "ascending")]).slice(0, n)
        largest += [
            Cluster(row["cluster_id"], row["member_id_count"] + 1, row["similarity_min"]) for row in top.to_pylist()
        ]
        largest = sorted(largest, key=lambda cluster: (-cluster.size, cluster.cluster_id))[:n]
        place |= dict.fromkeys(top["cluster_id"].to_pylist(), path)
        for pair in table["measured"].value_counts().to_pylist():
            measured[pair["values"]] += pair["counts"]
    sizes = [(2 ** (power - 1) + 1, 2**power, powers[power]) for power in sorted(powers)]
    rows: dict[Id, list[dict[str, Any]]] = {}
    for path in {place[one.cluster_id] for one in largest}:
        table = _read(path, storage_options)
        for id_ in (one.cluster_id for one in largest if place[one.cluster_id] == path):
            rows[id_] = table.filter(pc.equal(table["cluster_id"], id_)).slice(0, MEMBERS).to_pylist()
    ids = [row[name] for some in rows.values() for row in some for name in ("survivor_id", "member_id")]
    places = places_of(output_path, ids, storage_options)
    shown = [replace(one, members=_members(rows[one.cluster_id], places)) for one in largest]
    return ClusterSummary(clusters, measured.total(), dict(sorted(measured.items())), sizes, shown)


def explain(output_path: str, document_id: Id, storage_options: dict[str, Any] | None = None) -> Explanation:
    """Say why a document was removed, or which were removed for it. `print` what it returns."""
    files = _files(output_path, storage_options)
    for path in files:
        if len(table := _matching(path, "member_id", document_id, storage_options)):
            row = table.slice(0, 1).to_pylist()[0]
            places = places_of(output_path, [document_id, row["survivor_id"]], storage_options)
            return Explanation(document_id, row["survivor_id"], row["similarity"], row["measured"], places=places)
    tables = [_matching(path, "survivor_id", document_id, storage_options) for path in files]
    members = [id_ for table in tables for id_ in table["member_id"].slice(0, 10).to_pylist()][:10]
    places = places_of(output_path, [document_id, *members], storage_options)
    return Explanation(document_id, removed_for_it=sum(map(len, tables)), members=tuple(members), places=places)


def write_sources(
    folder: str,
    tasks: Iterable[FileGroupTask],
    earlier: Iterable[str] = (),
    storage_options: dict[str, Any] | None = None,
) -> str:
    """Write which ids the rows of which files have, by tasks that are numbered, and by such tables in other folders."""
    rows: dict[str, list[int]] = {}
    for task in tasks:
        for path, (first, stop) in zip(map(str, task.data), task._metadata[ROW_NUMBERS]):
            known = rows.get(path, [first, stop])
            rows[path] = [min(first, known[0]), max(stop, known[1])]
    found = [{"first_id": first, "num_rows": stop - first, "path": path} for path, (first, stop) in rows.items()]
    tables = [_sources_in(one, storage_options) for one in earlier]
    table = pa.concat_tables([*tables, pa.Table.from_pylist(found, schema=_SOURCES)]).sort_by("first_id")
    path = f"{absolute(folder)}/{SOURCES_FILE}"
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    put(*locate(path, storage_options), sink.getvalue().to_pybytes())
    return path


def places_of(output_path: str, ids: list[Id], storage_options: dict[str, Any] | None = None) -> dict[Id, str]:
    """Where these ids come from, as `file, row N` with rows counted from 0; those that are not known are left out."""
    table = _sources_in(output_path, storage_options)
    starts, counts = table["first_id"].to_numpy(), table["num_rows"].to_numpy()
    found: dict[Id, str] = {}
    for id_ in ids:
        if isinstance(id_, str):
            continue
        at = int(np.searchsorted(starts, id_, "right")) - 1
        if at >= 0 and id_ < starts[at] + counts[at]:
            found[id_] = f"{table['path'][at]}, row {id_ - starts[at]}"
    return found


def _sources_in(folder: str, storage_options: dict[str, Any] | None) -> pa.Table:
    """The table of a folder; one without rows where ids are those of the user."""
    path = f"{absolute(folder)}/{SOURCES_FILE}"
    fs, place = locate(path, storage_options)
    return _read(path, storage_options) if ask(fs, "exists", place) else _SOURCES.empty_table()


def _members(rows: list[dict[str, Any]], places: dict[Id, str]) -> list[dict[str, Any]]:
    """The document that stayed, then those that were removed for it, as reports have them."""
    stays = [{"id": row["survivor_id"]} for row in rows[:1]]
    gone = [{"id": row["member_id"], "similarity": row["similarity"], "measured": row["measured"]} for row in rows]
    return [{**one, "source": places.get(one["id"])} for one in (*stays, *gone)]


def _ids(values: Any) -> pa.Array:
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    if pa.types.is_null(array.type):
        return array.cast(pa.int64())
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    return array.cast(pa.string())


def _files(output_path: str, storage_options: dict[str, Any] | None) -> list[str]:
    path = f"{absolute(output_path)}/{CLUSTERS_SUBDIR}"
    fs, place = locate(path, storage_options)
    fs.invalidate_cache()
    names = sorted(name.rpartition("/")[2] for name in ask(fs, "find", place))
    files = [f"{path}/{name}" for name in names if name.startswith("part.") and name.endswith(".parquet")]
    if not files:
        raise InputError(f"there are no clusters in {path}; give the output_path of a deduplication that has ended")
    return files


def _read(path: str, storage_options: dict[str, Any] | None) -> pa.Table:
    with open_bytes(path, storage_options) as file:
        return pq.read_table(file, use_threads=False)


def _matching(path: str, column: str, value: Id, storage_options: dict[str, Any] | None) -> pa.Table:
    """The rows with an id in a column. A number is no text: ids of the other kind match nothing."""
    with open_bytes(path, storage_options) as file:
        kind = pq.read_schema(file).field(column).type
        if pa.types.is_integer(kind) != isinstance(value, int):
            return pq.read_schema(file).empty_table()
        return pq.read_table(file, filters=pc.field(column) == pa.scalar(value, kind), use_threads=False)
