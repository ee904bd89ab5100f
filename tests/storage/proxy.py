"""A proxy on loopback that stands between a client and an object store and makes trouble as it is told."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

ANSWER = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>'
CODES = {
    "403": (b"SignatureDoesNotMatch", b"The request signature we calculated does not match."),
    "500": (b"InternalError", b"We encountered an internal error. Please try again."),
    "503": (b"SlowDown", b"Please reduce your request rate."),
}


@dataclass
class Trouble:
    """What goes wrong: shares of the requests by kind, drawn from a seed, or always for what is about some keys.

    `500` and `503` answer so; `cut` ends the connection in the middle of the body, `drop` before the answer; `slow`
    waits a little. A path that holds one of `persistent` always answers 500, once `after` requests for
    such have passed; one who signs with a key of `refused`
    gets what S3 answers to a wrong signature.
    """

    shares: dict[str, float] = field(default_factory=dict)
    persistent: tuple[str, ...] = ()
    after: int = 0
    refused: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    seed: int = 0


class Proxy:
    """Forwards requests to a port of loopback, with trouble. Counts what it did."""

    def __init__(self, port: int):
        self.trouble = Trouble()
        self.counts: Counter[str] = Counter()
        self.seen: list[str] = []
        self._random = random.Random(0)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self, "to": port}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def make(self, **trouble: Any) -> None:
        with self._lock:
            self.trouble = Trouble(**trouble)
            self._random.seed(self.trouble.seed)
            self.counts.clear()
            self.seen.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def choose(self, method: str, path: str, signed: str) -> str | None:
        with self._lock:
            self.seen.append(f"{method} {unquote(path)}")
            self.counts["requests"] += 1
            kind = self._kind(method, unquote(path), signed)
            if kind:
                self.counts[kind] += 1
            return kind

    def _kind(self, method: str, path: str, signed: str) -> str | None:
        if any(f"Credential={key}/" in signed for key in self.trouble.refused):
            return "403"
        if method not in self.trouble.methods:
            return None
        if any(key in path for key in self.trouble.persistent):
            self.counts["persistent"] += 1
            return "500" if self.counts["persistent"] > self.trouble.after else None
        drawn = self._random.random()
        for kind, share in self.trouble.shares.items():
            if drawn < share:
                return kind
            drawn -= share
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    to: int

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("x-amz-request-payer") == "requester":
            self.proxy.counts["requester pays"] += 1
        kind = self.proxy.choose(self.command, self.path, self.headers.get("Authorization", ""))
        if kind == "drop":
            self.close_connection = True
        elif kind in CODES:
            self._answer(int(kind), {}, ANSWER % CODES[kind])
        else:
            if kind == "slow":
                time.sleep(0.3)
            self._forward(body, cut=kind == "cut")

    def _forward(self, body: bytes, *, cut: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.to, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOPS}
            self._answer(answer.status, headers, data, len(data) // 2 if cut else None)
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], data: bytes, only: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers}:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:only])
            self.proxy.counts["bytes"] += len(data)
        if only is not None:
            self.close_connection = True


for method in ("HEAD", "PUT", "POST", "DELETE"):
    setattr(_Handler, f"do_{method}", _Handler.do_GET)

_HOPS = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
