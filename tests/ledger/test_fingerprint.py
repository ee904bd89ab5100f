import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nemo_curator.ledger.fingerprint import changed_settings, describe_stage, stable_text
from nemo_curator.stages.base import ProcessingStage
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
        "X-Api-Key",
        "X-Auth-Token",
        "apikey",
        "reader.storage_options",
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


def asks(text, model="small", token=SECRET):
    return text, model, token


def holds(secret):
    return lambda text: (text, secret)


def test_a_function_tells_no_secret_that_it_holds():
    for function in (asks, holds(SECRET), functools.partial(asks, token=SECRET)):
        assert SECRET not in stable_text(function)
    assert "'small'" in stable_text(asks)


def longer(limit):
    return lambda text: len(text) > limit


class Held:
    """Of a script, with a setting that looks private."""

    def __init__(self, number):
        self._number = number

    def more(self, number):
        return number > self._number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Path("a"), Path("b")),
        (longer(1), longer(100)),
        (functools.partial(int, base=2), functools.partial(int, base=8)),
        (re.compile("a"), re.compile("b")),
        (re.compile("a"), re.compile("a", re.IGNORECASE)),
        (Held(1), Held(2)),
        (Held(1).more, Held(2).more),
        (np.arange(3), np.arange(1, 4)),
        (lambda text, limit=1: limit, lambda text, limit=2: limit),
    ],
)
def test_settings_that_differ_have_different_texts(one, other):
    assert stable_text(one) == stable_text(one)
    assert stable_text(one) != stable_text(other)


def test_the_code_of_a_users_stage_is_part_of_it_and_our_own_is_not():
    def stage(process):
        return type("Own", (ProcessingStage,), {"name": "own", "process": process})()

    one, other = stage(lambda self, task: task), stage(lambda self, task: None)
    assert changed_settings([describe_stage(one)], [describe_stage(other)])
    assert "code" not in describe_stage(JsonlWriter("out"))


def test_the_order_of_a_set_in_code_does_not_matter():
    code = (
        "from nemo_curator.ledger.fingerprint import stable_text\n"
        "print(stable_text(lambda text: text in {'en', 'de', 'fr', 'it'}))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
