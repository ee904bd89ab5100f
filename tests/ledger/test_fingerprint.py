import pytest

from nemo_curator.ledger.fingerprint import describe_stage, stable_text
from nemo_curator.stages.text.io.reader import JsonlReader
from nemo_curator.stages.text.io.writer import JsonlWriter

SECRET = "a-secret-nobody-may-see"


class Client:
    """Something a stage holds that knows secrets."""

    def __init__(self):
        self.url, self.api_key, self.hf_token, self.max_tokens = f"https://me:{SECRET}@host/path", SECRET, SECRET, 512


def test_what_describes_a_stage_holds_no_secrets():
    options = {"storage_options": {"key": SECRET, "secret": SECRET, "client_kwargs": {"endpoint_url": SECRET}}}
    stages = [
        *JsonlReader("in", read_kwargs={**options, "nrows": 3}).decompose(),
        JsonlWriter("out", write_kwargs=options),
    ]
    stages[-1].client = Client()
    texts = [str(describe_stage(stage)) for stage in stages]
    assert SECRET not in "".join(texts)
    assert "nrows" in texts[1]
    assert "'max_tokens': 512" in texts[2]
    assert "https://host/path" in texts[2]


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "secret",
        "client_secret",
        "token",
        "hf_token",
        "session_token",
        "api_key",
        "access_key",
        "aws_secret_access_key",
        "account_key",
        "credentials",
        "Authorization",
        "connection_string",
        "storage_options",
    ],
)
def test_settings_that_are_secrets_are_left_out(name):
    assert stable_text({name: SECRET}) == "{}"


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "pad_token", "token_field", "tokenizer", "key_field", "id_key", "secretary", "keys", "author"],
)
def test_settings_that_only_sound_like_secrets_stay(name):
    assert stable_text({name: 1}) != stable_text({name: 2})
