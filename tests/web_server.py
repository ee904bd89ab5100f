"""A web server on loopback that misbehaves as told."""

import hashlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """How to answer one request. By default the file is sent, or the part of it that was asked for."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"<html>an error page</html>"
    cut_after: int | None = None
    stall: bool = False
    drop: bool = False
    delay: float = 0.0
    ranges: bool = True
    if_range: bool = True
    etag: str | None = None
    shift: int = 0
    part: int | None = None
    length: bool = True
    claimed: int | None = None
    drip: float | None = None
    slow_head: bool = False
    endless: bool = False


class Server:
    """`files` maps paths to bytes; `script` maps a path to the answers of its first requests; `asked` is the log.

    `times` has the moments and the user agents of requests by their path, `most_at_once` how many there were together.
    """

    def __init__(self, port: int):
        self.listening: ThreadingHTTPServer | None = None
        self.url = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.script: dict[str, deque[Answer]] = defaultdict(deque)
        self.always: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.times: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self.at_once = self.most_at_once = 0
        self.heads: list[Message] = []
        self.sent = 0
        self.hurry = threading.Event()

    def put(self, path: str, data: bytes, *answers: Answer, always: Answer | None = None) -> str:
        self.files[path] = data
        self.script[path] = deque(answers)
        if always is not None:
            self.always[path] = always
        return f"{self.url}{path}"

    def answer(self, path: str) -> Answer:
        return self.script[path].popleft() if self.script[path] else self.always.get(path, Answer())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site: Server = self.server.site
        site.times[self.path].append((time.monotonic(), self.headers.get("User-Agent", "")))
        site.heads.append(self.headers)
        site.at_once += 1
        site.most_at_once = max(site.most_at_once, site.at_once)
        try:
            self._answer(site)
        finally:
            site.at_once -= 1

    def _answer(self, site: Server) -> None:
        site.asked.append((self.path, self.headers.get("Range")))
        answer = site.answer(self.path)
        time.sleep(answer.delay)
        if answer.drop:
            self.close_connection = True
        elif answer.status is not None:
            self._send(answer.status, answer.headers, answer.body, answer)
        elif self.path not in site.files:
            self._send(404, {}, answer.body, answer)
        else:
            self._send_file(site.files[self.path], answer)

    def _send_file(self, data: bytes, answer: Answer) -> None:
        etag = answer.etag or f'"{hashlib.md5(data).hexdigest()}"'
        headers = {"ETag": etag, **answer.headers}
        asked = self.headers.get("Range")
        is_same = not answer.if_range or self.headers.get("If-Range", etag) == etag
        if not (asked and answer.ranges and is_same):
            self._send(200, headers, data, answer)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1 if last else len(data)
        if start >= len(data):
            self._send(416, {**headers, "Content-Range": f"bytes */{len(data)}"}, b"", answer)
            return
        start += answer.shift
        part = data[start : stop + answer.shift][: answer.part]
        span = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        self._send(206, {**headers, "Content-Range": span}, part, answer)

    def _send(self, status: int, headers: dict[str, str], body: bytes, answer: Answer) -> None:
        if answer.slow_head:
            self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000, 0.05)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.length:
            self.send_header("Content-Length", str(len(body) if answer.claimed is None else answer.claimed))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        part = body if answer.cut_after is None else body[: answer.cut_after]
        if answer.cut_after is not None or not answer.length:
            self.close_connection = True
        self.server.site.sent += len(part)
        if answer.drip is not None:
            self._drip(part, answer.drip)
            return
        self.wfile.write(part)
        while answer.endless:
            self.server.site.sent += len(part)
            self.wfile.write(part)
        if answer.stall:
            self.server.site.hurry.wait(60)

    def _drip(self, data: bytes, seconds: float) -> None:
        self.close_connection = True
        for at in range(len(data)):
            self.wfile.write(data[at : at + 1])
            if self.server.site.hurry.wait(seconds):
                return

    def log_message(self, *_: object) -> None:
        pass


class _Listener(ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the play."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server while it is used."""
    listening = _Listener(("127.0.0.1", 0), _Handler)
    listening.site = Server(listening.server_port)
    listening.site.listening = listening
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield listening.site
    finally:
        listening.site.hurry.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
