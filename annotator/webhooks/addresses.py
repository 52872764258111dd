"""Which addresses a webhook may have, and how one connects to them.

A manager names an address, and this site's own network must not be reached by it. So the host must be
allowed (settings.WEBHOOK_HOSTS); its name is resolved once, each address that it has must be public, and the
connection goes to the address that was looked at: a name that resolves otherwise a moment later leads nowhere
else. Redirects are not followed. Only a host that is allowed by its very name may be private or without TLS.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

LONGEST = 500


class NotAllowed(ValueError):
    """Nothing is sent there; the message says why."""


@dataclass(frozen=True)
class Address:
    """A looked-at URL: `path` is what is asked for, `named` whether its host is allowed by its very name."""

    secure: bool
    host: str
    port: int
    path: str
    named: bool


def check(url: str) -> Address:
    """Take a URL apart. Raises NotAllowed unless its form and its host are allowed. Resolves nothing."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        ascii_host = host.encode("idna").decode() if not host.isascii() else host
    except (ValueError, UnicodeError) as error:
        raise NotAllowed(_("This is no address that something can be sent to.")) from error
    if parts.scheme not in ("http", "https") or not host or len(url) > LONGEST or _odd(url):
        raise NotAllowed(_("This is no address that something can be sent to."))
    if parts.username is not None or parts.password is not None:
        raise NotAllowed(_("An address must not carry a name or a password."))
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    named = any(_same(entry, ascii_host, port) for entry in settings.WEBHOOK_HOSTS)
    if not named and not any(_covers(entry, ascii_host) for entry in settings.WEBHOOK_HOSTS):
        raise NotAllowed(
            _("The administrator of this site does not allow %(host)s (WEBHOOK_HOSTS).") % {"host": host[:80]}
        )
    if not secure and not named:
        raise NotAllowed(_("The address must begin with https://."))
    path = parts.path or "/"
    return Address(secure, ascii_host, port, f"{path}?{parts.query}" if parts.query else path, named)


def resolve(address: Address) -> str:
    """An IP address of the host. Raises NotAllowed where one is not public, OSError where there is none."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    numbers = [str(info[4][0]) for info in found]
    if not address.named:
        for number in numbers:
            if not is_public(number):
                raise NotAllowed(f"{address.host} leads to {number}, which is not a public address.")
    return numbers[0]


def is_public(number: str) -> bool:
    """Whether an IP address is one of the open internet; of a mapped or tunnelled one, what is in it."""
    ip = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def connection(address: Address, number: str, timeout: float) -> http.client.HTTPConnection:
    """A connection to this IP address, which asks for the host by its name, in TLS too."""
    if address.secure:
        return _Secure(address.host, number, address.port, timeout)
    plain = http.client.HTTPConnection(number, address.port, timeout=timeout)
    return plain


class _Secure(http.client.HTTPSConnection):
    """TLS to a number, with the certificate of the name."""

    def __init__(self, host: str, number: str, port: int, timeout: float) -> None:
        self._context = ssl.create_default_context()
        super().__init__(number, port, timeout=timeout, context=self._context)
        self._name = host

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._name)


def _odd(url: str) -> bool:
    return any(ord(char) <= 32 or ord(char) == 127 or char == "\\" for char in url)


def _same(entry: str, host: str, port: int) -> bool:
    """Whether an entry of the list is this host, or this host and port."""
    name, _colon, number = entry.rpartition(":") if entry.rpartition(":")[2].isdigit() else (entry, "", "")
    return (name or entry).strip("[]").lower() == host.lower() and (not number or int(number) == port)


def _covers(entry: str, host: str) -> bool:
    """`*` covers every public host, `*.example.org` those under it."""
    return entry == "*" or (entry.startswith("*.") and host.lower().endswith(entry[1:].lower()))
