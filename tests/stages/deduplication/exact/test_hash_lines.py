import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_curator.stages.deduplication.exact.hash_documents import HashDocuments
from nemo_curator.stages.deduplication.exact.hash_lines import strict_escapes, text_bytes
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.stages.text.io.reader.row_numbers import ROW_NUMBERS
from nemo_curator.tasks import FileGroupTask

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.text('\\n"\\/tub0é\t\n\r', max_size=12)
TEXTS |= TEXTS.map(lambda text: f"{text}{'é long text ' * 40}{text}")  # escapes are rare in it


@settings(deadline=None)
@given(TEXTS, st.booleans())
def test_the_bytes_of_a_json_text_are_those_of_the_text(text, ascii_only):
    with strict_escapes():
        assert text_bytes(json.dumps(text, ensure_ascii=ascii_only).encode()) == text.encode()
        assert text_bytes(json.dumps(text).replace("/", "\\/").encode()) == text.encode()


@pytest.mark.parametrize("value", [b"null", b"12", b'["a"]', b'"\\x"', b'"\\q"', b'"\\ud800"'])
def test_what_is_no_text_has_no_bytes(value):
    with pytest.raises(ValueError), strict_escapes():
        text_bytes(value)


LINES = st.lists(
    st.builds(lambda text: json.dumps({"text": text}), TEXTS | st.none())
    | st.builds(lambda text: json.dumps({"id": 1, "text": text, "more": {"text": "x"}}, ensure_ascii=False), TEXTS)
    | st.sampled_from(['{"other": 1}', "", "  ", '{"text": "a", "text": "b"}', ' {"text" : "sp\\u00e4t"} ']),
    max_size=8,
)


@settings(deadline=None, max_examples=60)
@given(LINES)
def test_both_ways_find_the_same_hashes_and_ids(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_text("\n".join(lines))
    records = sum(bool(line.strip()) for line in lines)
    task = FileGroupTask(data=[str(path)], _metadata={ROW_NUMBERS: [[5, 5 + records]]})
    fast = HashDocuments(JsonlReaderStage(["text"], _row_numbers=True), "text", "_curator_dedup_id")
    slow = HashDocuments(JsonlReaderStage(["text", "id"], _row_numbers=True), "text", "_curator_dedup_id")
    slow._fast_reader = lambda: slow.reader
    found = [[row for batch in stage.process(task) for row in batch.to_pyarrow().to_pylist()] for stage in (fast, slow)]
    assert found[0] == found[1]
