import pytest

from nemo_curator.ledger.fingerprint import describe_stage
from nemo_curator.stages.text.filters import ScoreFilter
from nemo_curator.stages.text.filters.token import TokenCountFilter
from nemo_curator.stages.text.models.encoder import load_tokenizer
from nemo_curator.tasks.text_column import TextColumn
from tests.tiny_models import tokenizer_folder


@pytest.mark.parametrize("text", ["", "the cat", "語 the mat " * 50])
def test_token_count_filter_scores_the_number_of_tokens(text):
    tokenizer = load_tokenizer(tokenizer_folder())
    for one in (TokenCountFilter(tokenizer), TokenCountFilter(hf_model_name=tokenizer_folder())):
        assert one.score_document(text) == len(tokenizer.encode(text))
        assert one.score_texts(TextColumn([text, None])).tolist() == [len(tokenizer.encode(text)), 2]


@pytest.mark.parametrize(("tokens", "stays"), [(1, False), (2, True), (3, True), (4, False)])
def test_token_count_filter_keeps_what_lies_between_its_bounds(tokens, stays):
    one = TokenCountFilter(hf_model_name="x", min_tokens=2, max_tokens=3)
    assert one.keep_document(tokens) is stays
    assert TokenCountFilter(hf_model_name="x").keep_document(10**9)


@pytest.mark.parametrize("given", [{}, {"tokenizer": object(), "hf_model_name": "x"}])
def test_one_tokenizer_must_be_given(given):
    with pytest.raises(ValueError, match="give one of tokenizer and hf_model_name"):
        TokenCountFilter(**given)


def test_loading_changes_no_setting_and_a_password_is_none():
    one = TokenCountFilter(hf_model_name=tokenizer_folder(), hf_token="secret")
    stage = ScoreFilter(one)
    before = describe_stage(stage)
    stage.setup_on_node()
    stage.setup()
    assert describe_stage(stage) == before
    assert "secret" not in f"{before}{one}"
