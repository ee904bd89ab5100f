"""Where a URL of a list may lead: names resolved once, and only addresses that everybody can reach."""

from __future__ import annotations

import ipaddress
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeAlias

from nemo_curator.stages.image.download.failures import FetchError

Address: TypeAlias = tuple[int, tuple[Any, ...]]
"""The family of a socket and what it connects to."""
REMEMBERED_S = 300.0
MOST_NAMES = 50_000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNKNOWN = {getattr(socket, name, None) for name in ("EAI_NONAME", "EAI_NODATA")}


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not of this machine, a private network or a cloud's own.

    >>> [is_public(address) for address in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1")]
    [True, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            within = ipaddress.IPv4Address(ip.packed[-4:])
        if within is not None:
            return is_public(str(within))
    # `is_global` alone is true of ::127.0.0.1 and of the site-local addresses that IPv6 once had
    is_odd = ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False)
    return ip.is_global and not is_odd


@dataclass
class Resolver:
    """Looks names up, each once in some minutes, and refuses those that lead to private addresses.

    `allow_private_addresses` allows all of them, or those of some networks: `10.1.0.0/16`.

    Connections are made to the address that was checked: a name that answers differently the next time gains nothing.
    """

    allow_private_addresses: bool | tuple[str, ...] = False
    _known: dict[tuple[str, int], tuple[float, list[Address] | FetchError]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a host, of which none is private. Raises FetchError."""
        with self._lock:
            until, found = self._known.get((host, port), (0.0, []))
        if until < time.monotonic():
            try:
                found = self._checked(host, self._ask(host, port))
            except FetchError as error:
                found = error
            with self._lock:
                if len(self._known) >= MOST_NAMES:
                    self._known.clear()
                is_lasting = not isinstance(found, FetchError) or not found.may_pass
                self._known[host, port] = (time.monotonic() + (REMEMBERED_S if is_lasting else 1.0), found)
        if isinstance(found, FetchError):
            raise FetchError(found.status, str(found), may_pass=found.may_pass)
        return found

    def check_literal(self, host: str) -> None:
        """Refuse a private address that a URL names as such: behind a proxy nothing else is known here."""
        with suppress(OSError, UnicodeError):
            host = socket.inet_ntoa(socket.inet_aton(host))  # 127.1 and 0x7f000001 are 127.0.0.1 to many programs
        try:
            is_allowed = self._allows(host)
        except ValueError:
            is_local = host == "localhost" or host.endswith(".localhost")
            is_allowed = not is_local or self._allows("127.0.0.1")
        if not is_allowed:
            raise _private(host, host)

    def _allows(self, address: str) -> bool:
        if self.allow_private_addresses is True or is_public(address):
            return True
        ip = ipaddress.ip_address(address.partition("%")[0])
        return any(ip in ipaddress.ip_network(network) for network in self.allow_private_addresses or ())

    def _ask(self, host: str, port: int) -> list[Address]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise FetchError("dns", f"{host}: {error.strerror}", may_pass=error.errno not in _UNKNOWN) from error
        except (UnicodeError, OSError) as error:
            raise FetchError("dns", f"{host}: {error}") from error
        return [(family, address) for family, _, _, _, address in found]

    def _checked(self, host: str, found: list[Address]) -> list[Address]:
        # one private address among public ones is refused, too: which is taken is not for the list to say
        for _, address in found:
            if not self._allows(str(address[0])):
                raise _private(host, str(address[0]))
        return found


def _private(host: str, address: str) -> FetchError:
    where = "" if host == address else f" ({address})"
    return FetchError(
        "private_address", f"{host}{where} is no address of the open internet; allow_private_addresses=True allows it"
    )
