"""Where webhooks may lead, and where they must not."""

import socket

import pytest

from annotator.webhooks import addresses
from annotator.webhooks.addresses import NotAllowed, check, is_public, resolve


@pytest.fixture
def hosts(settings):
    def allow(*names):
        settings.WEBHOOK_HOSTS = list(names)

    return allow


@pytest.fixture
def names(monkeypatch):
    """What names resolve to."""
    known = {}

    def lookup(host, port, **_):
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in known[host]]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", lookup)
    return known


def test_nowhere_unless_allowed(hosts):
    hosts()
    with pytest.raises(NotAllowed, match="does not allow"):
        check("https://hooks.example.org/a")


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ("*", "https://hooks.example.org/a?b=1", True),
        ("*", "http://hooks.example.org/a", False),  # TLS, unless named
        ("*.example.org", "https://hooks.example.org/", True),
        ("*.example.org", "https://example.org/", False),
        ("*.example.org", "https://evil-example.org/", False),
        ("*.example.org", "https://hooks.example.org.evil.net/", False),
        ("hooks.example.org", "https://HOOKS.example.org./", True),
        ("hooks.example.org", "http://hooks.example.org:8080/", True),
        ("hooks.example.org", "https://other.example.org/", False),
        ("localhost:9000", "http://localhost:9000/", True),
        ("localhost:9000", "http://localhost:22/", False),
        ("*", "https://name:password@hooks.example.org/", False),
        ("*", "ftp://hooks.example.org/", False),
        ("*", "file:///etc/passwd", False),
        ("*", "https:///a", False),
        ("*", "https://a.example.org:99999/", False),
        ("*", "https://a.example.org\\@b.example.org/", False),
        ("*", "https://a.example.org/ HTTP/1.1\r\nX: y", False),
        ("*", "https://" + "a" * 500 + ".org/", False),
        ("*", "//hooks.example.org/", False),
        ("*", "", False),
    ],
)
def test_the_list(hosts, entry, url, allowed):
    hosts(entry)
    if allowed:
        assert check(url).host.lower() == ("localhost" if "localhost" in url else "hooks.example.org")
    else:
        with pytest.raises(NotAllowed):
            check(url)


@pytest.mark.parametrize(
    "number",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    ],
)
def test_what_is_not_public(number):
    assert not is_public(number)


@pytest.mark.parametrize(
    "number", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is(number):
    assert is_public(number)


def test_a_name_with_one_private_address_leads_nowhere(hosts, names):
    hosts("*")
    names["hooks.example.org"] = ["93.184.216.34", "10.0.0.1"]
    with pytest.raises(NotAllowed, match=r"10\.0\.0\.1"):
        resolve(check("https://hooks.example.org/"))
    names["hooks.example.org"] = ["93.184.216.34"]
    assert resolve(check("https://hooks.example.org/")) == "93.184.216.34"
    with pytest.raises(OSError, match="not known"):
        resolve(check("https://nowhere.example.org/"))


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "017700000001"])
def test_a_number_is_no_way_around(hosts, host):
    hosts("*")
    try:
        address = check(f"https://{host}/")
        with pytest.raises((NotAllowed, OSError)):
            resolve(address)
    except NotAllowed:
        pass


def test_only_who_is_named_may_be_private(hosts, names):
    names["inside"] = ["10.0.0.1"]
    hosts("inside")
    assert resolve(check("http://inside/")) == "10.0.0.1"
    hosts("*")
    with pytest.raises(NotAllowed):
        resolve(check("https://inside/"))
