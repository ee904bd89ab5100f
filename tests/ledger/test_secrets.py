import pytest

from nemo_curator.ledger.secrets import open_command, without_login

SECRET = "a-secret"


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (f"hf_token={SECRET} {SECRET}", "'hf_token=…'"),
        (f"+reader.storage_options.key={SECRET}", "'+reader.storage_options.key=…'"),
        (f"reader.storage_options={{key: {SECRET}}}", "'reader.storage_options=…'"),
        (f"Judge(api_key='{SECRET}', model='m')", "'Judge(api_key=…, model='\"'\"'m'\"'\"')'"),
        (f"s3://me:{SECRET}@host/data", "s3://host/data"),
        ("reader.max_tokens=512", "reader.max_tokens=512"),
        ("WordCountFilter(min_words=80)", "'WordCountFilter(min_words=80)'"),
    ],
)
def test_a_command_is_kept_without_its_secrets(word, shown):
    assert open_command(["curator", "run", word]) == f"curator run {shown}"


@pytest.mark.parametrize(
    "name", ["sig", "X-Amz-Signature", "X-Goog-Signature", "X-Goog-Credential", "access_token", "hf_token", "api_key"]
)
def test_a_url_is_kept_without_what_signs_it(name):
    assert without_login(f"https://host/a?page=2&{name}={SECRET}&x=1") == f"https://host/a?page=2&{name}=…&x=1"
    assert without_login("https://host/a?author=me&keys=3") == "https://host/a?author=me&keys=3"
