"""Archives made for tests: records with known pages, in each way in which they can be compressed."""

import gzip
import zlib

import zstandard


def page(number, size=3000):
    """A page that does not compress to nothing, so that damage finds something to hit."""
    words = " ".join(f"{(number * 7919 + i) * 2654435761 % 2**32:x}" for i in range(size // 9))
    return f"<html><p>page {number} {words}</p></html>".encode()


def http(body, *headers, status="HTTP/1.1 200 OK"):
    lines = [status, "Content-Type: text/html; charset=utf-8", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def record(kind, number, block, *headers):
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012}>",
        f"WARC-Target-URI: http://example.com/{number}",
        "WARC-Date: 2024-03-01T00:00:00Z",
        f"Content-Length: {len(block)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def responses(count, **settings):
    return [record("response", number, http(page(number, **settings))) for number in range(count)]


def zstd_frame(data):
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


COMPRESSIONS = {
    "plain": b"".join,
    "gzip": lambda records: b"".join(gzip.compress(one, mtime=0) for one in records),
    "zstd": lambda records: b"".join(map(zstd_frame, records)),
    "gzip_whole": lambda records: gzip.compress(b"".join(records), mtime=0),
    "zstd_whole": lambda records: zstd_frame(b"".join(records)),
}

SUFFIXES = {
    "plain": ".warc",
    "gzip": ".warc.gz",
    "gzip_whole": ".warc.gz",
    "zstd": ".warc.zst",
    "zstd_whole": ".warc.zst",
}


def deflated(body):
    return zlib.compress(body)


def raw_deflated(body):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


def chunked(body, size=1000):
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
