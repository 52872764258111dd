"""The Python client against a server that breaks off, refuses and is slow; then against the site itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from annotator import tokens
from annotator.models import Scope
from tests.factories import make_comparison, make_prompt, make_ranking

FILE = Path(__file__).resolve().parents[2] / "clients" / "python" / "prefloop.py"
spec = importlib.util.spec_from_file_location("prefloop", FILE)
assert spec and spec.loader
prefloop = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prefloop)

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def server() -> Iterator[Any]:
    """Answers with what `answers` says, one after another; keeps what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.got.append((self.command, self.path, dict(self.headers.items()), body))
            made.answers.pop(0)(self)

        do_GET = do_POST = do

        def log_message(self, *_: Any) -> None:
            """Not among the tests' output."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.answers, made.got = [], []  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def client(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that does not really wait; `client.waited` says how long it would have."""
    made = prefloop.Client(f"http://127.0.0.1:{server.server_address[1]}", "pl_x", retries=3, timeout=5)
    made.waited = []
    monkeypatch.setattr(prefloop.time, "sleep", made.waited.append)
    return made


def says(status: int, data: Any = None, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = b"" if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def test_a_write_is_repeated_with_its_key(server: Any, client: Any) -> None:
    server.answers = [breaks_off, says(503, {}, Retry_After="7"), says(201, {"id": 1})]
    assert client.post("projects/", {"name": "A"}) == {"id": 1}
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in server.got]
    assert len(keys) == 3 and len(set(keys)) == 1 and len(keys[0]) == 32
    assert {body for *_, body in server.got} == {b'{"name": "A"}'}
    assert client.waited[0] <= 0.5 and client.waited[1] == 7
    server.answers = [says(201, {})]
    client.post("projects/", {"name": "B"})
    assert server.got[-1][2]["Idempotency-Key"] != keys[0]


def test_it_gives_up_and_says_what_was_refused(server: Any, client: Any) -> None:
    server.answers = [says(429, {"code": "throttled"})] * 4
    with pytest.raises(prefloop.Problem, match="429 throttled"):
        client.get("me/")
    assert len(server.got) == 4
    server.answers = [
        says(422, {"code": "cannot_start", "detail": "No rankings.", "errors": [{"pointer": "/a"}]})
    ]
    with pytest.raises(prefloop.Problem) as refused:
        client.post("x/")
    found = refused.value
    assert (found.status, found.code, found.detail) == (422, "cannot_start", "No rankings.")
    assert found.errors == [{"pointer": "/a"}] and len(server.got) == 5, "a refusal is not repeated"


def test_pages_are_followed_and_only_on_the_site(server: Any, client: Any) -> None:
    more = f"{client.url}/api/projects/?cursor=2"
    server.answers = [says(200, {"results": [1, 2], "next": more}), says(200, {"results": [3], "next": None})]
    assert list(client.pages("projects/", domain="code", open=True, language=None)) == [1, 2, 3]
    assert server.got[0][1] == "/api/projects/?domain=code&open=true&page_size=1000"
    server.answers = [says(200, {"results": [], "next": "http://evil.example.org/"})]
    with pytest.raises(ValueError, match="the token is for"):
        list(client.pages("projects/"))
    server.answers = [says(302, b"", Location="http://evil.example.org/")]
    with pytest.raises(prefloop.Problem):
        client.get("me/")
    with pytest.raises(ValueError, match="https"):
        prefloop.Client("file:///etc", "pl_x")


CONTENT = bytes(range(256)) * 5000


def half(handler: BaseHTTPRequestHandler) -> None:
    """Begins the file, and breaks off after 700,000 bytes."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.send_header("ETag", '"v1"')
    handler.end_headers()
    handler.wfile.write(CONTENT[:700_000])
    handler.wfile.flush()
    breaks_off(handler)


def rest(handler: BaseHTTPRequestHandler) -> None:
    start = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
    assert handler.headers["If-Range"] == '"v1"' and 0 < start <= 700_000
    says(206, CONTENT[start:], Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}", ETag='"v1"')(
        handler
    )


@pytest.mark.parametrize("then", [rest, says(200, CONTENT)], ids=["goes on", "begins anew"])
def test_a_broken_download_goes_on(server: Any, client: Any, tmp_path: Path, then: Answer) -> None:
    server.answers = [half, then]
    assert client.download("x/", tmp_path / "data") == len(CONTENT)
    assert (tmp_path / "data").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_download_that_fails_leaves_no_file_of_that_name(server: Any, client: Any, tmp_path: Path) -> None:
    server.answers = [says(404, {"code": "not_found"})]
    with pytest.raises(prefloop.Problem):
        client.download("x/", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_an_upload_is_a_form(server: Any, client: Any, tmp_path: Path) -> None:
    file = tmp_path / 'ta"sks.tsv'
    file.write_bytes(b"A\tB\n\xe6\x96\x87\r\n")
    server.answers = [says(201, {"id": 1})]
    client.project("support").upload(file, default_domain="code", nfkc=True)
    _, path, headers, body = server.got[0]
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    assert path == "/api/projects/support/imports/" and headers["Idempotency-Key"]
    parts = body.split(b"--" + boundary)
    assert b'name="default_domain"\r\n\r\ncode\r\n' in parts[1]
    assert b'name="nfkc"\r\n\r\ntrue\r\n' in parts[2]
    assert b'filename="ta%22sks.tsv"' in parts[3] and parts[3].endswith(b"\r\n\r\nA\tB\n\xe6\x96\x87\r\n\r\n")
    assert parts[4] == b"--\r\n"


def test_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    key = b"k" * 32
    body, at = b'{"type": "run.finished"}', str(int(time.time()))
    right = base64.b64encode(hmac.new(key, f"evt_1.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = {"Webhook-Id": "evt_1", "Webhook-Timestamp": at, "Webhook-Signature": f"v1,old v1,{right}"}
    assert prefloop.verify_webhook(secret, headers, body) == {"type": "run.finished"}
    for wrong in (
        {**headers, "Webhook-Signature": "v1,old"},
        {**headers, "Webhook-Id": "evt_2"},
        {**headers, "Webhook-Timestamp": "now"},
        {},
    ):
        with pytest.raises(prefloop.WrongSignature):
            prefloop.verify_webhook(secret, wrong, body)
    with pytest.raises(prefloop.WrongSignature):
        prefloop.verify_webhook(secret, headers, body + b" ")
    monkeypatch.setattr(prefloop.time, "time", lambda: float(at) + 301)
    with pytest.raises(prefloop.WrongSignature, match="too long ago"):
        prefloop.verify_webhook(secret, headers, body)


@pytest.mark.django_db(transaction=True)
def test_against_the_site(live_server: Any, project: Any, alice: Any, bob: Any, tmp_path: Path) -> None:
    _, text = tokens.make(owner=alice, name="client", scopes=list(Scope))
    site = prefloop.Client(live_server.url, text, retries=0)
    assert [row["slug"] for row in site.projects()] == ["support"]
    mine = site.project("support")
    ids = mine.add_prompts({"text": f"Task {n}", "completions": ["One.", "Two."]} for n in range(1003))
    assert len(set(ids)) == 1003 and len(list(mine.prompts())) == 1003
    texts = [row["id"] for row in mine.completions(prompt=ids[0])]
    assert mine.add_comparisons([{"prompt": ids[0], "completions": texts}]) == 1
    held = mine.claim()
    said = mine.submit(held["id"], ranks={texts[0]: 1, texts[1]: 2})
    assert said["is_live"] and mine.claim() is None
    make_comparison(project, make_prompt(project))
    make_ranking(project, bob)
    assert [row["username"] for row in mine.rankings()] == ["alice", "bob"]
    assert mine.change(judgments_wanted=3)["judgments_wanted"] == 3
    mine.export("raw", tmp_path / "raw.jsonl")
    assert len((tmp_path / "raw.jsonl").read_text().splitlines()) == 2
    with pytest.raises(prefloop.Problem, match="cannot_start"):
        mine.start_run("policy", {"steps": -1})
