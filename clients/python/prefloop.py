"""A client of PrefLoop's API in one file, with nothing but Python's own library (3.9 or newer): copy it.

    from prefloop import Client

    project = Client("https://prefloop.example.org", token="pl_…").project("support")
    for task in project.prompts(domain="code"):
        print(task["id"], task["text"])

Every call that writes is safe to repeat: it carries an Idempotency-Key, and is repeated by itself when the
network fails, when there are too many requests (429), or when the server is away for a moment (502 to 504).
What the server refuses is raised as `Problem`, with the fields of its problem details (RFC 9457).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import mimetypes
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Client", "Problem", "Project", "WrongSignature", "verify_webhook"]
__version__ = "0.1.0"

Json = dict[str, Any]
AGAIN = {429, 502, 503, 504}
"""Answers after which a request is repeated."""
WORKING = {"queued", "running", "inspecting", "importing"}
"""States in which something waits for a worker, or a worker is at it."""
LONGEST_WAIT = 60.0
BLOCK = 1 << 18


class Problem(Exception):
    """What the server refused: `status`, `code`, `detail`, and `errors` of fields."""

    def __init__(self, status: int, body: Mapping[str, Any], wait: float | None = None) -> None:
        self.status = status
        self.wait = wait
        """Seconds after which the server says to ask again."""
        self.code = str(body.get("code", ""))
        self.detail = str(body.get("detail", ""))
        self.errors: list[Json] = list(body.get("errors", []))
        super().__init__(f"{status} {self.code}: {self.detail}")


class WrongSignature(ValueError):
    """The request was not sent by the webhook with this secret, or too long ago."""


class Client:
    """The site at `url`, with a personal token. `retries` is how often a call is repeated."""

    def __init__(
        self, url: str, token: str, *, retries: int = 5, timeout: float = 60.0, language: str = "en"
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the address of a site begins with https://, not as {url}")
        self.url = url.rstrip("/")
        self.retries = retries
        self.timeout = timeout
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept-Language": language,
            "User-Agent": f"prefloop-client/{__version__}",
        }

    def me(self) -> Json:
        """Who I am, my roles, what this token may do."""
        return self.get("me/")

    def projects(self) -> Iterator[Json]:
        return self.pages("projects/")

    def project(self, slug: str) -> Project:
        return Project(self, slug)

    def create_project(self, name: str, **settings: Any) -> Project:
        """Found a project. `settings` as in PATCH /api/projects/{slug}/settings/."""
        return Project(self, self.post("projects/", {"name": name, **settings})["slug"])

    # What everything above is made of.

    def get(self, path: str, **query: Any) -> Any:
        return self._json("GET", path, query=query)

    def post(self, path: str, data: Any = None, *, key: str | None = None, **query: Any) -> Any:
        """POST; `key` is the Idempotency-Key, a new one for each call unless given."""
        return self._json("POST", path, data={} if data is None else data, key=key, query=query)

    def patch(self, path: str, data: Any) -> Any:
        return self._json("PATCH", path, data=data)

    def put(self, path: str, data: Any) -> Any:
        return self._json("PUT", path, data=data)

    def delete(self, path: str) -> None:
        self._json("DELETE", path)

    def pages(self, path: str, **query: Any) -> Iterator[Json]:
        """Every row of a list, page after page."""
        query.setdefault("page_size", 1000)
        page = self.get(path, **query)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self.get(page["next"])

    def upload(self, path: str, file: str | os.PathLike[str], **fields: str) -> Any:
        """POST a file as a form does. All of it is read into memory."""
        name, content = Path(file).name, Path(file).read_bytes()
        boundary = uuid.uuid4().hex
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in fields.items()
        ]
        quoted = name.replace("\\", "_").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        parts += [f"{head}Content-Type: {kind}\r\n\r\n".encode(), content, f"\r\n--{boundary}--\r\n".encode()]
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._json("POST", path, body=b"".join(parts), headers=headers)

    def download(self, path: str, file: str | os.PathLike[str]) -> int:
        """Write a file to `file`; its length. After a broken connection it goes on where it was.

        Where the server cannot begin in the middle, it begins anew. Until it is whole it is `file`.part.
        """
        part = Path(f"{os.fspath(file)}.part")
        tag = ""
        for attempt in range(self.retries + 1):
            have = part.stat().st_size if tag and part.exists() else 0
            headers = {"Range": f"bytes={have}-", "If-Range": tag} if have else {}
            try:
                with self._open("GET", path, headers=headers) as answer:
                    tag = answer.headers.get("ETag", "")
                    goes_on = answer.status == 206
                    expected = answer.headers.get("Content-Length")
                    written = 0
                    with part.open("ab" if goes_on else "wb") as out:
                        while block := answer.read(BLOCK):
                            written += out.write(block)
                    if expected is not None and written < int(expected):
                        raise http.client.IncompleteRead(b"", int(expected) - written)
                part.replace(file)
                return Path(file).stat().st_size
            except Problem as problem:
                if problem.status not in AGAIN or attempt == self.retries:
                    raise
                self._wait(attempt, problem.wait)
            except (OSError, http.client.HTTPException):
                if attempt == self.retries:
                    raise
                self._wait(attempt, None)
        raise AssertionError("unreachable")

    def _json(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        body: bytes | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        sent = dict(headers or {})
        if data is not None:
            body = json.dumps(data, ensure_ascii=False).encode()
            sent["Content-Type"] = "application/json"
        if method == "POST":
            sent["Idempotency-Key"] = key or uuid.uuid4().hex
        given = {name: _plain(value) for name, value in (query or {}).items() if value is not None}
        if given:
            path += ("&" if "?" in path else "?") + urllib.parse.urlencode(given)
        for attempt in range(self.retries + 1):
            try:
                with self._open(method, path, body=body, headers=sent) as answer:
                    content = answer.read()
                return json.loads(content) if content else None
            except Problem as problem:
                if problem.status not in AGAIN or attempt == self.retries:
                    raise
                self._wait(attempt, problem.wait)
            except (OSError, http.client.HTTPException):
                if attempt == self.retries:
                    raise
                self._wait(attempt, None)
        raise AssertionError("unreachable")

    def _open(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """One request; its answer, still open. Raises Problem."""
        url = path if path.startswith(("http://", "https://")) else f"{self.url}/api/{path.lstrip('/')}"
        if urllib.parse.urlsplit(url)[:2] != urllib.parse.urlsplit(self.url)[:2]:
            raise ValueError(f"the token is for {self.url} alone, not for {url}")
        request = urllib.request.Request(
            url, data=body, method=method, headers={**self._headers, **(headers or {})}
        )
        try:
            return _OPENER.open(request, timeout=self.timeout)  # http and https alone
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(error) from None

    def _wait(self, attempt: int, told: float | None) -> None:
        """As long as the server says; else twice as long each time, with some chance in it."""
        time.sleep(min(LONGEST_WAIT, told if told is not None else 0.5 * 2**attempt * random.uniform(0.5, 1)))


class Project:
    """One project. Rows are dictionaries, as the API's pages describe them."""

    def __init__(self, client: Client, slug: str) -> None:
        self.client = client
        self.slug = slug
        self.path = f"projects/{urllib.parse.quote(slug)}/"

    def settings(self) -> Json:
        return self.client.get(self.path + "settings/")

    def change(self, **settings: Any) -> Json:
        return self.client.patch(self.path + "settings/", settings)

    # Tasks, instructions, comparisons.

    def prompts(self, **filters: Any) -> Iterator[Json]:
        return self.client.pages(self.path + "prompts/", **filters)

    def add_prompts(self, prompts: Iterable[Json]) -> list[int]:
        """Add tasks, 1000 in a request; their ids. What is there already is left as it is."""
        ids: list[int] = []
        batch: list[Json] = []
        for prompt in prompts:
            batch.append(prompt)
            if len(batch) == 1000:
                ids += self.client.post(self.path + "prompts/bulk/", {"prompts": batch})["ids"]
                batch = []
        if batch:
            ids += self.client.post(self.path + "prompts/bulk/", {"prompts": batch})["ids"]
        return ids

    def completions(self, **filters: Any) -> Iterator[Json]:
        return self.client.pages(self.path + "completions/", **filters)

    def add_completions(self, prompt: int, texts: Sequence[str]) -> list[Json]:
        data = {"prompt": prompt, "texts": list(texts)}
        return self.client.post(self.path + "completions/", data)["completions"]

    def comparisons(self, **filters: Any) -> Iterator[Json]:
        return self.client.pages(self.path + "comparisons/", **filters)

    def add_comparisons(self, comparisons: Sequence[Json]) -> int:
        """Put comparisons ({"prompt", "completions", "priority"}) into the queue; how many are new."""
        data = {"comparisons": list(comparisons)}
        return self.client.post(self.path + "comparisons/", data)["created"]

    def upload(self, file: str | os.PathLike[str], **steps: Any) -> Json:
        """Upload a file of tasks; a worker inspects it, and nothing is stored yet (see `import_file`)."""
        fields = {name: str(_plain(value)) for name, value in steps.items()}
        return self.client.upload(self.path + "imports/", file, **fields)

    def wait_for_import(self, import_id: int, *, timeout: float = 3600.0, every: float = 2.0) -> Json:
        """The import when no worker is at it: `ready` to start, or ended."""
        return self._wait(f"imports/{import_id}/", timeout, every)

    def start_import(self, import_id: int) -> Json:
        """Store what the inspection found."""
        return self.client.post(self.path + f"imports/{import_id}/start/")

    def import_file(self, file: str | os.PathLike[str], **steps: Any) -> Json:
        """Upload a file of tasks, wait for its inspection, start it, and wait for its end."""
        row = self.wait_for_import(self.upload(file, **steps)["id"])
        if row["state"] != "ready":
            return row
        self.start_import(row["id"])
        return self.wait_for_import(row["id"])

    # Judging.

    def claim(self, holding: Sequence[int] = ()) -> Json | None:
        """My next comparison; None if there is none."""
        return self.client.post(self.path + "claim/", {"holding": list(holding)})

    def submit(self, assignment: int, verdict: str = "ranked", **judgment: Any) -> Json:
        key = judgment.pop("idempotency_key", None) or uuid.uuid4().hex
        data = {"assignment": assignment, "verdict": verdict, "idempotency_key": key, **judgment}
        return self.client.post(self.path + "submit/", data)

    def rankings(self, **filters: Any) -> Iterator[Json]:
        return self.client.pages(self.path + "rankings/", **filters)

    # Runs and models.

    def runs(self, **filters: Any) -> Iterator[Json]:
        return self.client.pages(self.path + "runs/", **filters)

    def start_run(self, kind: str, config: Json | None = None, **asked: Any) -> Json:
        """Start a run: generation, reward, policy, evaluation or scoring."""
        return self.client.post(self.path + "runs/", {"kind": kind, "config": config or {}, **asked})

    def wait_for_run(self, run_id: int, *, timeout: float = 86400.0, every: float = 5.0) -> Json:
        """The run when it has ended, however it has; see its `state`. Raises TimeoutError."""
        return self._wait(f"runs/{run_id}/", timeout, every)

    def records(self, run_id: int, *, after: int | None = None) -> Iterator[Json]:
        """The numbers of each step."""
        return self.client.pages(self.path + f"runs/{run_id}/records/", after=after)

    def checkpoints(self, **filters: Any) -> Iterator[Json]:
        return self.client.pages(self.path + "checkpoints/", **filters)

    def promote(self, checkpoint: int, *, unevaluated: bool = False) -> Json:
        return self.client.post(
            self.path + f"checkpoints/{checkpoint}/promote/", {"unevaluated": unevaluated}
        )

    def score(
        self,
        texts: Sequence[str],
        *,
        prompts: Sequence[str] = (),
        labels: Sequence[Any] = (),
        **query: Any,
    ) -> Json:
        """Scores by the reward model. `labels` may be ids of tasks; `pessimism`, `checkpoint`, `live` too."""
        data = {"query": list(texts), "prompts": list(prompts), "labels": list(labels)}
        return self.client.post(self.path + "score/", data, **query)

    # Data out.

    def formats(self) -> list[str]:
        return [row["format"] for row in self.client.get(self.path + "exports/formats/")]

    def export(self, format: str, file: str | os.PathLike[str]) -> int:
        """Download everything there is now in a format; its length in bytes."""
        return self.client.download(self.path + f"exports/{format}/", file)

    def save_export(self, format: str, *, name: str = "", **recipe: Any) -> Json:
        """Have an export made and kept: filtered, split, with a manifest; repeated it has the same bytes."""
        body = {"name": name, "recipe": {"format": format, **recipe}}
        row = self.client.post(self.path + "exports/", body)
        return self._wait(f"exports/{row['id']}/", 86400.0, 2.0)

    def download_export(self, export_id: int, folder: str | os.PathLike[str]) -> list[Path]:
        """Download the files of a saved export; what breaks off goes on. Checks their SHA-256."""
        row = self.client.get(self.path + f"exports/{export_id}/")
        paths = []
        for file in row["files"]:
            path = Path(folder) / file["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client.download(self.path + f"exports/{export_id}/files/{file['name']}", path)
            if hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
                raise OSError(f"{path} is not what the site has")
            paths.append(path)
        return paths

    def _wait(self, path: str, timeout: float, every: float) -> Json:
        end = time.monotonic() + timeout
        while True:
            row: Json = self.client.get(self.path + path)
            if row["state"] not in WORKING:
                return row
            if time.monotonic() > end:
                raise TimeoutError(f"{path} is still {row['state']} after {timeout:.0f} s")
            time.sleep(every)


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes | str, *, tolerance: float = 300.0
) -> Json:
    """The event of a webhook's request, if it is signed by `secret` (whsec_…). Raises WrongSignature.

    `headers` may have any case. `body` is what came, before anything has read it. `tolerance` is in seconds.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, at, given = (lower[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        seconds = int(at)
    except (KeyError, ValueError):
        raise WrongSignature("the request is not signed") from None
    if abs(time.time() - seconds) > tolerance:
        raise WrongSignature("the request was signed too long ago")
    content = body.encode() if isinstance(body, str) else body
    key = base64.b64decode(secret[len("whsec_") :] if secret.startswith("whsec_") else secret)
    right = base64.b64encode(
        hmac.new(key, f"{event_id}.{at}.".encode() + content, hashlib.sha256).digest()
    ).decode()
    # While a secret is being changed there are two signatures.
    if not any(hmac.compare_digest(f"v1,{right}", one) for one in given.split(" ")):
        raise WrongSignature("the signature is not this secret's")
    event: Json = json.loads(content)
    return event


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token must not follow to another place."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _problem(error: urllib.error.HTTPError) -> Problem:
    try:
        body = json.loads(error.read())
    except ValueError:
        body = {"detail": error.reason}
    wait = error.headers.get("Retry-After", "")
    seconds = float(wait) if wait.isdigit() else None
    return Problem(error.code, body if isinstance(body, dict) else {}, seconds)


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
