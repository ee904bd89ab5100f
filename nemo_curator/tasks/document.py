"""A batch of documents: an Arrow table inside, a pandas frame for those who ask for one."""

from __future__ import annotations

import hashlib
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nemo_curator.errors import ContractError, MissingExtraError
from nemo_curator.tasks.html import documents_html
from nemo_curator.tasks.json_column import decoded, is_json
from nemo_curator.tasks.tables import Values, holds_structs, json_as_text, objects, table_of, to_array
from nemo_curator.tasks.tasks import Task
from nemo_curator.tasks.text_column import TextColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


class DocumentBatch(Task["pa.Table | pd.DataFrame"]):
    """Documents as rows.

    `data` returns the table of Arrow or the frame of pandas that the batch was built with, and a table where it was
    built of a list of dicts, or of whatever else has `__arrow_c_stream__`, as a frame of polars; such libraries take a
    batch in return. After a built-in reader it is a frame of pandas, made when first touched. From then on the frame is
    the truth and may be changed in place. Built-in stages use `text`, `column`, `with_column` and `filter`, which leave
    the batch alone and return a new one that keeps what was counted.
    """

    def __init__(
        self,
        dataset_name: str = "",
        data: Any = None,
        _stage_perf: list | None = None,
        _metadata: dict[str, Any] | None = None,
        *,
        task_id: str = "",
    ):
        self._texts: dict[str, TextColumn] = {}
        self._absent: pa.Table | None = None
        self._table: Any = None
        self._frame: pd.DataFrame | None = None
        self._outside = "table"
        super().__init__(dataset_name, data, _stage_perf or [], _metadata or {}, task_id=task_id)

    @classmethod
    def from_arrow(
        cls, table: pa.Table, *, dataset_name: str = "", metadata: dict[str, Any] | None = None, absent: Any = None
    ) -> DocumentBatch:
        """Make a batch as the readers do: Arrow inside, pandas outside.

        `absent` is a table of booleans, one column for each key that some records lack.
        """
        batch = cls(dataset_name, table, _metadata=metadata)
        batch._outside = "frame"
        batch._absent = absent
        return batch

    @property
    def data(self) -> pa.Table | pd.DataFrame:
        if self._frame is None and self._outside == "frame":
            self._frame = _to_frame(self._table)
            self._table = self._absent = None
            self._texts.clear()
        return self._table if self._frame is None else self._frame

    @data.setter
    def data(self, data: Any) -> None:
        self._texts, self._absent, self._table, self._frame, self._outside = {}, None, None, None, "table"
        if data is None:
            self._table = pa.table({})
        elif hasattr(data, "iloc"):
            self._frame, self._outside = data, "frame"
        else:
            self._table, self._absent = table_of(data)

    @property
    def num_items(self) -> int:
        return self._table.num_rows if self._frame is None else len(self._frame)

    @property
    def nbytes(self) -> int:
        """Bytes of the Arrow buffers; of a frame, what pandas reports without looking into objects."""
        return self._table.nbytes if self._frame is None else int(self._frame.memory_usage(index=False).sum())

    def get_columns(self) -> list[str]:
        """Names of the columns; nothing is made to find them out."""
        return self._table.column_names if self._frame is None else [str(name) for name in self._frame.columns]

    def validate(self) -> bool:
        return self.num_items > 0 and bool(self.get_columns())

    def to_pyarrow(self) -> pa.Table:
        """The documents as an Arrow table; without a copy where no frame has been made."""
        return self._table if self._frame is None else _to_table(self._frame)

    def to_pandas(self) -> pd.DataFrame:
        """The documents as a pandas frame; `data` stays what it was."""
        return _to_frame(self._table) if self._frame is None else self._frame

    def to_polars(self) -> Any:
        """A frame of polars, which must be installed. What travels as JSON is text there."""
        try:
            import polars
        except ModuleNotFoundError as error:
            raise MissingExtraError("polars is not installed; get it with: pip install polars") from error
        return polars.DataFrame(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return json_as_text(self.to_pyarrow()).__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        return documents_html(self)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column as Arrow has it."""
        if self._frame is None:
            return self._table.column(name)
        return _to_table(self._frame[[name]]).column(0)

    def scalar(self, name: str, row: int) -> pa.Scalar:
        """One value as Arrow has it; of a frame no more than that is converted."""
        if self._frame is None:
            return self._table.column(name)[row]
        return _to_table(self._frame[[name]].iloc[row : row + 1]).column(0)[0]

    def values(self, name: str) -> list[Any]:
        """One column as Python values; nested and mixed ones as what their JSON text says."""
        column = self.column(name)
        return decoded(column) if is_json(column.type) else column.to_pylist()

    def holds_text(self, name: str) -> bool:
        """Whether a column is one of texts, or of values some of which may be: `text` takes it."""
        kind = self.column(name).type
        return is_json(kind) or pa.types.is_null(kind) or _is_text(kind)

    def text(self, name: str) -> TextColumn:
        """One column as text. What is counted about it is remembered for the stages that follow."""
        if self._frame is not None:
            return _text(self.column(name), name)
        if name not in self._texts:
            self._texts[name] = _text(self._table.column(name), name)
        return self._texts[name]

    def with_column(self, name: str, values: Values) -> DocumentBatch:
        """Add or replace a column."""
        if self._frame is not None:
            return self._like(self._frame.assign(**{name: _for_frame(values)}))
        new = self._like(None)
        array = to_array(values)
        at = self._table.schema.get_field_index(name)
        new._table = self._table.append_column(name, array) if at < 0 else self._table.set_column(at, name, array)
        if self._absent is not None and name in self._absent.column_names:
            new._absent = self._absent.drop_columns([name])
        new._texts = {other: text for other, text in self._texts.items() if other != name}
        if isinstance(values, TextColumn):
            new._texts[name] = values
        return new

    def filter(self, keep: np.ndarray) -> DocumentBatch:
        """Keep the rows where the boolean array `keep` is true."""
        if self._frame is not None:
            return self._like(self._frame.loc[np.asarray(keep, dtype=bool)])
        mask = pa.array(keep, pa.bool_())
        return self._rows(lambda table: table.filter(mask), lambda text, array: text.filter(keep, array))

    def slice(self, start: int, length: int) -> DocumentBatch:
        if self._frame is not None:
            return self._like(self._frame.iloc[start : start + length])
        return self._rows(lambda table: table.slice(start, length), lambda text, _: text.slice(start, length))

    def take(self, rows: np.ndarray) -> DocumentBatch:
        """The rows at these places, in this order; a row may come several times."""
        if self._frame is not None:
            return self._like(self._frame.iloc[rows].reset_index(drop=True))
        places = pa.array(rows)
        return self._rows(lambda table: table.take(places), lambda text, array: text.take(rows, array))

    def select(self, names: list[str]) -> DocumentBatch:
        """Keep these columns, in this order."""
        if self._frame is not None:
            return self._like(self._frame[names])
        new = self._like(None)
        new._table = self._table.select(names)
        if self._absent is not None:
            new._absent = self._absent.select([name for name in self._absent.column_names if name in names])
        new._texts = {name: text for name, text in self._texts.items() if name in names}
        return new

    def absent(self, name: str) -> np.ndarray | None:
        """Which rows lack this key altogether, or None if every row has it."""
        if self._absent is None or name not in self._absent.column_names:
            return None
        return self._absent.column(name).to_numpy()

    def digest(self) -> str:
        """The same for the same documents."""
        return hashlib.sha256(_to_ipc(self.to_pyarrow()) or b"").hexdigest()

    def copy(self) -> DocumentBatch:
        """The same documents, to be changed in place without changing these."""
        new = self._twin()
        new._texts, new._metadata, new._stage_perf = dict(self._texts), dict(self._metadata), list(self._stage_perf)
        if self._frame is not None:
            new._frame = self._frame.copy(deep=not _copies_on_write())
        return new

    def on_disk(self, folder: str | None = None) -> DocumentBatch:
        """The same batch with its data in a file that is mapped into memory, and gone when nobody uses it any more."""
        if self._frame is not None:
            return self
        new = self._twin()
        new._texts = {}
        new._table = _mapped(self._table, folder)
        return new

    def _twin(self) -> DocumentBatch:
        # not copy.copy, which would put the table into the form in which it travels and back
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def _rows(self, of_table: Callable[[pa.Table], pa.Table], of_text: Callable) -> DocumentBatch:
        new = self._like(None)
        new._table = of_table(self._table)
        new._absent = of_table(self._absent) if self._absent is not None else None
        columns = {name: new._table.column(name) for name in self._texts}
        # of a column of JSON the text is decoded, and is no part of the table
        arrays = {name: None if is_json(column.type) else column for name, column in columns.items()}
        new._texts = {name: of_text(text, arrays[name]) for name, text in self._texts.items()}
        return new

    def _like(self, data: pd.DataFrame | None) -> DocumentBatch:
        new = type(self)(self.dataset_name, data, list(self._stage_perf), dict(self._metadata), task_id=self.task_id)
        new._source_id, new._elided = self._source_id, self._elided
        new._outside, new._absent = self._outside, self._absent
        return new

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__, _texts={})
        # a pickled slice carries the buffers of the whole table; an IPC stream carries the slice
        state["_table"], state["_absent"] = _to_ipc(self._table), _to_ipc(self._absent)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["_table"], state["_absent"] = _from_ipc(state["_table"]), _from_ipc(state["_absent"])
        self.__dict__.update(state)


def _copies_on_write() -> bool:
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3


def concat_batches(batches: list[DocumentBatch]) -> DocumentBatch:
    """Put the rows of several batches with the same columns behind each other."""
    first = batches[0]
    if len(batches) == 1:
        return first
    if first._frame is not None or any(batch._frame is not None for batch in batches):
        import pandas as pd

        return first._like(pd.concat([batch.to_pandas() for batch in batches], ignore_index=True))
    new = first._like(None)
    new._table = pa.concat_tables([batch._table for batch in batches], promote_options="permissive")
    new._absent = _concat_absent(batches)
    return new


def _concat_absent(batches: list[DocumentBatch]) -> pa.Table | None:
    tables = [batch._absent for batch in batches]
    names = sorted({name for table in tables if table is not None for name in table.column_names})
    none = {batch.num_items: np.zeros(batch.num_items, bool) for batch in batches}
    masks = {name: [batch.absent(name) for batch in batches] for name in names}
    columns = {
        name: np.concatenate([none[batch.num_items] if mask is None else mask for batch, mask in zip(batches, parts)])
        for name, parts in masks.items()
    }
    return pa.table(columns) if columns else None


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _text(column: pa.ChunkedArray, name: str) -> TextColumn:
    try:
        return TextColumn(_texts_in_json(column, name) if is_json(column.type) else column)
    except TypeError as error:
        raise ContractError(f"column {name!r} holds {column.type}, not text") from error


def _texts_in_json(column: pa.ChunkedArray, name: str) -> pa.Array:
    """The texts of a column in which some value is, or was, none. That value fails, and the rows beside it do not."""
    values = decoded(column)
    for value in values:
        if not isinstance(value, str | None):
            raise ValueError(f"column {name!r} holds {value!r}, which is not text")
    return pa.array(values, pa.string())


def _to_frame(table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    nullable = {pa.bool_(): pd.BooleanDtype()} | {
        getattr(pa, f"{sign}int{bits}")(): getattr(pd, f"{sign.upper()}Int{bits}Dtype")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    }
    # numpy integers and booleans cannot hold a null: without this 2**53 + 1 would come back rounded
    with_nulls = {field.type for field in table.schema if table.column(field.name).null_count}
    python: dict[str, list] = {}
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if is_json(field.type) or pa.types.is_struct(field.type) or _lists_null_integers(column):
            python[field.name] = decoded(column) if is_json(field.type) else column.to_pylist()
            table = table.set_column(at, field.name, pa.nulls(len(table)))
    frame = table.to_pandas(types_mapper=lambda kind: nullable.get(kind) if kind in with_nulls else None)
    for name, values in python.items():
        frame[name] = pd.Series(values, dtype=object, index=frame.index)
    return frame


def _lists_null_integers(column: pa.ChunkedArray) -> bool:
    """Whether there are nulls beside integers in the lists of a column: numpy would make floats of both."""
    if not _is_list(column.type):
        return False
    while _is_list(column.type):
        column = pc.list_flatten(column)
    return pa.types.is_integer(column.type) and column.null_count > 0


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _to_table(frame: pd.DataFrame) -> pa.Table:
    names = [str(name) for name in frame.columns]
    return pa.table([_series_to_array(frame.iloc[:, at]) for at in range(len(names))], names=names)


def _series_to_array(series: pd.Series) -> pa.Array | pa.ChunkedArray:
    if series.dtype == object and any(isinstance(value, dict) for value in series):
        return _objects(series)
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return to_array(series.tolist())
    is_nested = series.dtype == object and holds_structs(array.type)
    return _objects(series) if is_nested and any(isinstance(value, list) for value in series) else array


def _objects(series: pd.Series) -> pa.Array:
    """Objects as their JSON text: a struct would give each the keys of all the others."""
    # NaN is what pandas may put where there is none
    return objects(None if value is None or value != value else value for value in series)


def _for_frame(values: Values) -> Any:
    if isinstance(values, TextColumn):
        values = values.array
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.to_pandas().to_numpy()
    return values


def _mapped(table: pa.Table, folder: str | None) -> pa.Table:
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".arrow") as file:
        with pa.ipc.new_file(file, table.schema) as stream:
            stream.write_table(table)
        file.flush()
        return pa.ipc.open_file(pa.memory_map(file.name)).read_all()


def _to_ipc(table: pa.Table | None) -> bytes | pa.Buffer | None:
    if table is None:
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _from_ipc(buffer: pa.Buffer | None) -> pa.Table | None:
    return None if buffer is None else pa.ipc.open_stream(buffer).read_all()
