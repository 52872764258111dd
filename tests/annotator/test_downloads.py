"""A download that broke goes on where it broke, by HTTP ranges; what is unclear gives the whole file."""

import hashlib

import pytest
from django.test import RequestFactory

from annotator.downloads import OnDisk, send

DATA = bytes(range(256)) * 1000  # 256,000 bytes: several blocks
SHA = hashlib.sha256(DATA).hexdigest()
TAG = f'"{SHA}"'


@pytest.fixture
def get(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)

    def fetch(method="get", **headers):
        request = getattr(RequestFactory(), method)(
            "/", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        return send(request, OnDisk(path), name="数据.jsonl", sha256=SHA, content_type="application/jsonl")

    return fetch


def body(response):
    return b"".join(response.streaming_content) if response.streaming else response.content


def test_the_whole_file(get):
    response = get()
    assert response.status_code == 200
    assert body(response) == DATA
    assert response["Content-Length"] == "256000"
    assert response["Accept-Ranges"] == "bytes"
    assert response["ETag"] == TAG
    assert "no-transform" in response["Cache-Control"] and "private" in response["Cache-Control"]
    assert "filename*=UTF-8''%E6%95%B0%E6%8D%AE.jsonl" in response["Content-Disposition"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100000-", 100_000, 255_999),
        ("bytes=255999-255999", 255_999, 255_999),
        ("bytes=255000-999999", 255_000, 255_999),
        ("bytes=-500", 255_500, 255_999),
        ("bytes=-999999", 0, 255_999),
        ("bytes= 5 - 9 ", 5, 9),
    ],
)
def test_one_range(get, asked, first, last):
    response = get(range=asked)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/256000"
    assert response["Content-Length"] == str(last - first + 1)
    assert body(response) == DATA[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=256000-", "bytes=999999-1000000", "bytes=-0"])
def test_a_range_behind_the_end_is_416(get, asked):
    response = get(range=asked)
    assert response.status_code == 416
    assert response["Content-Range"] == "bytes */256000"
    assert body(response) == b""


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-9",
        "bytes=9-5",
        "bytes=-",
        "bytes=a-b",
        "lines=0-9",
        "bytes=1--9",
        "",
        "bytes=0x1-9",
        "bytes",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_is_no_single_range_gives_the_whole_file(get, asked):
    response = get(range=asked)
    assert response.status_code == 200
    assert body(response) == DATA


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(TAG, 206), (f"W/{TAG}", 200), ('"other"', 200), ("Fri, 27 Nov 2026 11:00:00 GMT", 200)],
)
def test_a_range_of_another_version_gives_the_whole_file(get, if_range, status):
    response = get(range="bytes=100-", if_range=if_range)
    assert response.status_code == status
    assert body(response) == (DATA[100:] if status == 206 else DATA)


def test_head_tells_the_length_and_sends_nothing(get):
    response = get("head")
    assert (response.status_code, response["Content-Length"], body(response)) == (200, "256000", b"")
    assert response["ETag"] == TAG
    assert get("head", range="bytes=5-").status_code == 200  # ranges are for GET


@pytest.mark.parametrize("known", [TAG, f"W/{TAG}", f'"x", {TAG}', "*"])
def test_who_has_it_is_told_so(get, known):
    response = get(if_none_match=known)
    assert response.status_code == 304
    assert response["ETag"] == TAG


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    values = {"name": "empty", "sha256": "0", "content_type": "text/plain"}
    whole = send(RequestFactory().get("/"), OnDisk(path), **values)
    assert (whole.status_code, whole["Content-Length"], body(whole)) == (200, "0", b"")
    request = RequestFactory().get("/", headers={"range": "bytes=0-"})
    assert send(request, OnDisk(path), **values).status_code == 416


def test_a_name_cannot_break_the_header(get, tmp_path):
    path = tmp_path / "x"
    path.touch()
    response = send(
        RequestFactory().get("/"),
        OnDisk(path),
        name='a"; filename="b.exe',
        sha256="0",
        content_type="text/plain",
    )
    assert response["Content-Disposition"].startswith('attachment; filename="a_; filename=_b.exe"; filename*')


@pytest.mark.django_db  # the end of a response is the end of a request's use of the database
def test_it_reads_a_block_at_a_time_and_closes_the_file_when_broken_off(get):
    response = get()
    [close] = response._resource_closers  # what a server calls when the client is gone
    file = close.__self__.file
    assert len(next(iter(response.streaming_content))) == 64 * 1024
    assert file.tell() == 64 * 1024
    response.close()
    assert file.closed


def test_pieces_make_the_same_file(get):
    """As curl -C - does it: ask for the rest, again and again, only of the same version."""
    got = b""
    while len(got) < len(DATA):
        response = get(range=f"bytes={len(got)}-", if_range=TAG)
        assert response.status_code == 206
        part = body(response)
        got += part[:70_001]  # the connection breaks here
    assert hashlib.sha256(got).hexdigest() == SHA
