"""Connections over http and https: kept open and used again, to checked addresses, within a time for everything."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.request
from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from nemo_curator.stages.image.download.addresses import Resolver
from nemo_curator.stages.image.download.failures import FetchError

_KEPT_IN_PATHS = "!#$%&'()*+,/:;=?@[]~"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """What a URL asks for, and of whom."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Take a URL apart as browsers do: spaces and letters beyond ASCII are encoded, names and passwords left out.

        >>> Target.of(" https://example.org/a b.jpg#top ")
        Target(scheme='https', host='example.org', port=443, path='/a%20b.jpg')
        """
        try:
            parts = urlsplit(url.strip())
            host = (parts.hostname or "").rstrip(".")
            host = host if host.isascii() else host.encode("idna").decode()
            port = parts.port or _PORTS[parts.scheme]
            path = quote(parts.path or "/", _KEPT_IN_PATHS)
            path += f"?{quote(parts.query, _KEPT_IN_PATHS)}" if parts.query else ""
        except (ValueError, KeyError) as error:
            raise FetchError("bad_url", f"{url[:200]!r} is no URL of http or https") from error
        if not host or any(character <= " " for character in host):
            raise FetchError("bad_url", f"{url[:200]!r} names no host")
        return cls(parts.scheme, host, port, path if path.startswith("/") else f"/{path}")

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Proxy:
    """A server that requests go through, and the headers by which it knows us."""

    target: Target
    headers: dict[str, str]

    @classmethod
    def of(cls, url: str) -> Proxy:
        url = url if "://" in url else f"http://{url}"
        parts = urlsplit(url)
        headers = {}
        if parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        return cls(Target.of(url), headers)


class _Timed(socket.socket):
    """A socket that gives up at a moment, however the bytes drip."""

    deadline = float("inf")

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(time_left(self.deadline))
        return super().recv_into(*arguments)


class _TimedTls(ssl.SSLSocket):
    deadline = float("inf")

    def recv_into(self, *arguments: Any, **settings: Any) -> int:
        self.settimeout(time_left(self.deadline))
        return super().recv_into(*arguments, **settings)


def time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for a URL is over")
    return left


class Connection(http.client.HTTPConnection):
    """A connection to a host, or to the proxy that leads there."""

    def __init__(self, target: Target, proxy: Proxy | None, resolver: Resolver, tls: ssl.SSLContext | None):
        super().__init__(target.host, target.port)
        self.target, self.proxy, self.resolver, self.tls = target, proxy, resolver, tls
        self.deadline = self.connect_deadline = float("inf")
        if proxy and tls:
            self.set_tunnel(target.host, target.port, proxy.headers)

    def connect(self) -> None:
        if self.proxy:
            self.resolver.check_literal(self.target.host)
            self.sock = self._open(Resolver(allow_private_addresses=True), self.proxy.target)
        else:
            self.sock = self._open(self.resolver, self.target)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if getattr(self, "_tunnel_host", None):
            self._tunnel()  # type: ignore[attr-defined]
        if self.tls:
            self.sock.settimeout(time_left(self.deadline))
            self.sock = self.tls.wrap_socket(self.sock, server_hostname=self.target.host)

    def ask(self, headers: dict[str, str], deadline: float, connect_deadline: float) -> http.client.HTTPResponse:
        """Send a request and wait for the head of the answer."""
        self.deadline, self.connect_deadline = deadline, connect_deadline
        if self.sock is None:
            self.connect()
        self.sock.deadline = deadline  # type: ignore[union-attr]
        self.sock.settimeout(time_left(deadline))
        path = self.target.path
        if self.proxy and not self.tls:
            path, headers = self.target.url, {**headers, **self.proxy.headers}
        self.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        self.putheader("Host", self.target.netloc)
        for name, value in headers.items():
            self.putheader(name, value)
        self.endheaders()
        return self.getresponse()

    def _open(self, resolver: Resolver, target: Target) -> _Timed:
        """Connect to the first address that answers."""
        problem: OSError | None = None
        for family, address in resolver.resolve(target.host, target.port):
            timed = _Timed(family, socket.SOCK_STREAM)
            try:
                timed.settimeout(time_left(min(self.connect_deadline, self.deadline)))
                timed.connect(address)
                timed.deadline = self.deadline
                return timed
            except OSError as error:
                timed.close()
                problem = error
        what = (
            "it took too long" if isinstance(problem, TimeoutError) else getattr(problem, "strerror", None) or problem
        )
        may_pass = not isinstance(problem, ConnectionRefusedError)
        raise FetchError("connect", f"no connection to {target.netloc}: {what}", may_pass=may_pass) from problem


@dataclass
class ConnectionPool:
    """Connections that wait for the next request to the same host. Threads share it; the oldest is closed first."""

    resolver: Resolver
    size: int
    _idle: OrderedDict[tuple[str, str, int], list[Connection]] = field(default_factory=OrderedDict)
    _waiting: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _TimedTls
        found = {scheme: urllib.request.getproxies().get(scheme) for scheme in _PORTS}
        self._proxies = {scheme: Proxy.of(url) for scheme, url in found.items() if url}

    def take(self, target: Target) -> tuple[Connection, bool]:
        """A connection to the host of a target, and whether it was used before."""
        with self._lock:
            kept = self._idle.get((target.scheme, target.host, target.port))
            if kept:
                self._waiting -= 1
                connection = kept.pop()
                connection.target = target
                return connection, True
        return self.new(target), False

    def new(self, target: Target) -> Connection:
        proxy = self._proxies.get(target.scheme)
        if proxy and urllib.request.proxy_bypass(target.host):
            proxy = None
        return Connection(target, proxy, self.resolver, self._tls if target.scheme == "https" else None)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose answer was read to its end."""
        target = connection.target
        old: list[Connection] = []
        with self._lock:
            self._idle.setdefault((target.scheme, target.host, target.port), []).append(connection)
            self._idle.move_to_end((target.scheme, target.host, target.port))
            self._waiting += 1
            while self._waiting > self.size:
                _, some = self._idle.popitem(last=False)
                self._waiting -= len(some)
                old += some
        for one in old:
            one.close()

    def close(self) -> None:
        with self._lock:
            kept = [one for some in self._idle.values() for one in some]
            self._idle.clear()
            self._waiting = 0
        for one in kept:
            one.close()
