import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.ledger.counts import StageCount, counting
from nemo_curator.stages.text.io.reader.records import columns_of, joined, parse_lines
from nemo_curator.stages.text.io.writer.jsonl import encode
from nemo_curator.tasks import DocumentBatch
from nemo_curator.tasks.json_column import is_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "é", ""]), VALUES, max_size=4), max_size=6)


def parse(text, count=None, **how):
    data = text if isinstance(text, bytes) else text.encode()
    made = StageCount("reader")
    with counting(made):
        parts = parse_lines(data, count or data.count(b"\n"), lambda byte, line: f"line {line}, byte {byte}", **how)
    return parts, made


def batch(*runs, fields=None):
    return document([part for records in runs for part in columns_of(records, fields)])


def document(parts):
    table, absent = joined(parts).tables()
    return DocumentBatch.from_arrow(table, absent=absent)


def rows(one):
    return [json.loads(line) for line in b"".join(encode(one)).splitlines()]


@settings(deadline=None, max_examples=300)
@given(RECORDS, st.integers(0, 6))
def test_what_is_read_is_written_as_it_came(records, cut):
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    parsed, made = parse(text)
    assert (rows(document(parsed)), made.rows_seen or 0, made.rows_failed) == (records, len(records), 0)
    again = rows(batch(records[:cut], records[cut:]))
    assert [json.dumps(row, sort_keys=True) for row in again] == [json.dumps(row, sort_keys=True) for row in records]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["00123", "2020-01-01", "1e5", "true"], "string"),
        ([1, None, -(2**63), 2**63 - 1], "int64"),
        ([1.5, None, 1e300], "double"),
        ([True, None], "bool"),
        ([None, None], "null"),
        ([["a"], [], None, [None]], "list<item: string>"),
        ([[1], []], "list<item: int64>"),
        ([[], None], "list<item: null>"),
        ([1, 2.5], "json"),
        ([1, "1"], "json"),
        ([2**63], "json"),
        ([2**70, None], "json"),
        ([{"b": 1, "a": [1, "x"]}, None], "json"),
        ([[1, "a"]], "json"),
        ([[[1]]], "json"),
        ([[1, 2**64]], "json"),
        ([True, 1], "json"),
    ],
)
def test_a_column_has_the_type_of_its_values_or_is_json(values, kind):
    one = batch([{"x": value} for value in values])
    found = one.to_pyarrow().schema.field("x").type
    assert ("json" if is_json(found) else str(found).replace("element", "item")) == kind
    back = [row["x"] for row in rows(one)]
    assert [(type(value), value) for value in back] == [(type(value), value) for value in values]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ([1], [None], "int64"),
        ([None], [None], "null"),
        ([[]], [["a"]], "list<item: string>"),
        ([[]], [[["a"]]], "json"),
        ([[]], ["a"], "json"),
        ([1], [1.5], "json"),
        (["a"], [{"b": 1}], "json"),
        ([[1]], [["a"]], "json"),
        ([2**70], [1], "json"),
    ],
)
def test_a_column_whose_type_changes_on_the_way_is_json(one, other, kind):
    made = batch([{"x": value} for value in one], [{"y": 1}], [{"x": value} for value in other])
    found = made.to_pyarrow().schema.field("x").type
    assert is_json(found) if kind == "json" else str(found).replace("element", "item") == kind
    assert rows(made) == [*({"x": value} for value in one), {"y": 1}, *({"x": value} for value in other)]


def test_absent_keys_stay_absent_through_selection_of_rows():
    made = batch([{"a": 1, "b": None}, {"a": None}], [{"b": 2}])
    assert made.absent("a").tolist() == [False, False, True]
    assert made.absent("b").tolist() == [False, True, False]
    assert rows(made.slice(1, 2)) == [{"a": None}, {"b": 2}]
    assert rows(made.with_column("b", [0, 0, 0])) == [{"a": 1, "b": 0}, {"a": None, "b": 0}, {"b": 0}]


def test_objects_without_keys_are_rows():
    assert batch([{}, {}], [{}]).num_items == 3
    assert rows(batch([{}, {}])) == [{}, {}]


def test_fields_are_always_columns_and_what_lacks_them_lacks_them():
    made = batch([{"a": 1, "b": 2}], [{"b": 3}], fields=["c", "a"])
    assert made.get_columns() == ["c", "a"]
    assert rows(made) == [{"a": 1}, {}]


def test_what_other_tools_write_is_read():
    (found,), made = parse(b'{"a": NaN, "b": -Infinity}\r\n\n  \t\r\n{"d": 1, "d": 2}\n{"c": 1e400}')
    assert [str(value) for value in found.columns["a"].to_pylist()] == ["nan", "None", "None"]
    others = {name: found.columns[name].to_pylist() for name in "bcd"}
    assert others == {"b": [-math.inf, None, None], "c": [None, None, math.inf], "d": [None, 2, None]}
    assert (made.rows_seen, made.rows_failed) == (3, 0)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"a": 1', "InputError: not JSON: Expecting ',' delimiter at character 8"),
        (b'{"a": 1} {"b": 2}', "InputError: not JSON: Extra data at character 10"),
        (b"[1]", "InputError: a record is a JSON object; found list"),
        (b"null", "InputError: a record is a JSON object; found NoneType"),
        (b'{"a": "\xff"}', "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 7"),
        (b'{"a": "\\ud800"}', "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800'"),
        (b'{"a": {"b": ["\\udfff"]}}', "UnicodeEncodeError"),
        (b"[" * 100000, "RecursionError"),
        (b'{"a": ' + b"9" * 5000 + b"}", "ValueError: Exceeds the limit"),
    ],
)
def test_a_line_that_is_no_record_is_set_aside_and_named(line, error):
    good = b'{"a": 1}\n'
    parts, made = parse(good + line + b"\n" + good)
    assert rows(document(parts)) == [{"a": 1}, {"a": 1}]
    assert (made.rows_seen, made.rows_failed) == (3, 1)
    (failure,) = made.failures
    assert f"{failure.error}: {failure.message}".startswith(error)
    assert failure.source == f"line 1, byte {len(good)}"
    assert len(failure.record) <= 210


def test_a_record_on_two_lines_is_not_read_as_one():
    parts, made = parse(b'{"c":\n3}\n{"d": 4}\n')
    assert rows(document(parts)) == [{"d": 4}]
    assert (made.rows_seen, made.rows_failed) == (3, 2)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from([b'{"a": 1}', b'{"a": "\\ud800"}', b"[1]", b"{}", b"", b" \t", b'{"a": NaN}', b"\xff", b"\0"])
        | st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")),
        max_size=8,
    )
)
def test_every_line_is_a_row_or_set_aside_whatever_its_bytes(lines):
    parts, made = parse(b"".join(line + b"\n" for line in lines))
    there = [line for line in lines if line and not line.isspace()]
    assert sum(part.rows for part in parts) + made.rows_failed == len(there) == (made.rows_seen or 0)
    assert len(rows(document(parts))) == len(there) - made.rows_failed
