"""What URLs ask for, which addresses are private, and connections that nobody else can read."""

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nemo_curator.stages.image.download.addresses import Resolver, is_public
from nemo_curator.stages.image.download.connections import Target
from nemo_curator.stages.image.download.failures import FetchError
from tests.stages.image.download.lists import download, rows, write_list
from tests.stages.image.io.images import picture
from tests.web_server import Answer


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("http://example.org", "example.org", "/"),
        ("HTTP://Example.ORG./a?b#c", "example.org", "/a?b"),
        ("http://user:secret@example.org/a", "example.org", "/a"),
        ("http://bücher.example/ü ü.jpg", "xn--bcher-kva.example", "/%C3%BC%20%C3%BC.jpg"),
        ("http://example.org/%7Ea%20b?q=[1]|x", "example.org", "/%7Ea%20b?q=[1]%7Cx"),
        ("http://[2001:db8::1]/", "2001:db8::1", "/"),
        ("http://example.org?a=/b", "example.org", "/?a=/b"),
    ],
)
def test_urls_are_read_as_browsers_read_them(url, host, path):
    target = Target.of(url)
    assert (target.host, target.port, target.path) == (host, 80, path)


@pytest.mark.parametrize(
    "url", ["", "a.jpg", "//example.org/", "http:///a", "http://a b/", "file:///a", "http://x:y/", "http://a/\ud800"]
)
def test_what_is_no_url_of_the_web_is_refused(url):
    with pytest.raises(FetchError, match=r"is no URL|names no host"):
        Target.of(url)


PRIVATE = """
127.0.0.1 10.9.8.7 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 :: ::1
fe80::1%eth0 fc00::1 ff02::1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 2001:0:4136:e378:8000:63bf:80ff:fffe
fec0::1 ::127.0.0.1 64:ff9b:1::7f00:1
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_of_private_networks_are_known_in_every_dress(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "017700000001", "a.localhost", "::1"]
)
def test_a_proxy_is_not_asked_for_this_machine_however_it_is_written(host):
    with pytest.raises(FetchError, match="no address of the open internet"):
        Resolver().check_literal(host)


def test_a_proxy_is_asked_for_other_names_and_for_what_is_allowed():
    Resolver().check_literal("example.org")
    Resolver().check_literal("8.8.8.8")
    Resolver(allow_private_addresses=("127.0.0.0/8",)).check_literal("127.1")


def certificate(folder):
    """A certificate of 127.0.0.1 that it signed itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    signed = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "here.pem").write_bytes(signed.public_bytes(pem) + private)
    return folder / "here.pem"


def test_https_is_spoken_with_servers_that_can_be_trusted(tmp_path, server, monkeypatch):
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listening = server.listening
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    secure = server.url.replace("http:", "https:")
    server.put("/slow.jpg", picture(2), always=Answer(drip=0.05))
    for number in range(3):
        server.put(f"/{number}.jpg", picture(number))
    path = write_list(tmp_path / "list.parquet", [f"{secure}/{name}.jpg" for name in (0, 1, 2, "slow", "missing")])
    download(path, tmp_path / "wary", retries=0, timeout=2)
    assert {row["status"] for row in rows(tmp_path / "wary")} == {"tls"}
    assert "self-signed" in rows(tmp_path / "wary")[0]["error"].replace("self signed", "self-signed")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    download(path, tmp_path / "trusting", retries=0, timeout=1)
    assert [row["status"] for row in rows(tmp_path / "trusting")] == ["success"] * 3 + ["timeout", "http_404"]
