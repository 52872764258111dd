"""Annotators over HTTP, in a process of their own: each claims and submits in a closed loop.

annotation_load.py starts it. It reads a line of JSON (what to do), signs everybody in, writes `ready`,
waits for a line, works, and writes its result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

DROPPED = (OSError, asyncio.IncompleteReadError, ValueError, IndexError)
GIVE_UP_SECONDS = 60.0


@dataclass
class Result:
    claims: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)
    pairs: list[float] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    empty: int = 0


class Client:
    """One person's browser: a kept connection, cookies, the CSRF token."""

    def __init__(self, plan: dict[str, Any], result: Result) -> None:
        self.plan, self.result = plan, result
        self.cookies: dict[str, str] = {}
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """Send once; raises one of DROPPED when the connection breaks."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.plan["port"])
        reader, writer = self.streams
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nCookie: {cookies}\r\n"
        head += f"X-CSRFToken: {self.cookies.get('csrftoken', '')}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        self.result.requests += 1
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, length, closes = int(lines[0].split()[1]), 0, False
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            name = name.lower()
            if name == "content-length":
                length = int(value)
            elif name == "connection":
                closes = value.lower() == "close"
            elif name == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self.cookies[cookie] = content
        answer = await reader.readexactly(length) if length else b""
        if closes:
            self.drop()
        return status, answer

    def drop(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None

    async def sign_in(self, name: str) -> None:
        await self.request("GET", "/login/", b"", "text/plain")
        form = {"username": name, "password": self.plan["password"], "next": "/"}
        form["csrfmiddlewaretoken"] = self.cookies["csrftoken"]
        sent = urlencode(form).encode()
        status, _ = await self.request("POST", "/login/", sent, "application/x-www-form-urlencoded")
        if status != 302 or "sessionid" not in self.cookies:
            raise RuntimeError(f"{name} could not sign in: {status}")

    async def post(self, path: str, data: dict[str, Any]) -> tuple[int, bytes]:
        """Send until an answer comes; a broken connection is sent again, the same."""
        body, end = json.dumps(data).encode(), time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return await self.request("POST", path, body, "application/json")
            except DROPPED as error:
                self.drop()
                if time.monotonic() > end:
                    return 0, f"no answer: {error!r}".encode()
                if self.plan["kills"]:
                    self.result.retries += 1
                else:
                    self.result.problems.append(f"{path}: {error!r}")
                await asyncio.sleep(0.05)

    async def work(self, end: float) -> None:
        """Claim and submit until `end`; the instruction that was stored first is always better."""
        base, result, page = f"/projects/{self.plan['slug']}/", self.result, self.plan["door"] == "page"
        claim, give = (base + "rank/next/", base + "rank/submit/") if page else ("", "")
        if not page:
            claim, give = f"/api{base}claim/", f"/api{base}submit/"
        while (began := time.monotonic()) < end:
            status, answer = await self.post(claim, {})
            claimed = time.monotonic()
            if status == 204:
                result.empty += 1
                await asyncio.sleep(0.2)
                continue
            if status != 200:
                result.problems.append(f"claim {status}: {answer[:200].decode(errors='replace')}")
                await asyncio.sleep(0.2)
                continue
            assignment, ids = (_of_page if page else _of_api)(answer)
            key = uuid.uuid4().hex
            judgment = {"assignment": assignment, "verdict": "ranked", "seconds": 8.0, "strength": 2}
            judgment["ranks"] = {str(pk): place for place, pk in enumerate(sorted(ids), start=1)}
            judgment["key" if page else "idempotency_key"] = key
            status, answer = await self.post(give, judgment)
            done = time.monotonic()
            if status != 200:
                result.problems.append(f"submit {status}: {answer[:200].decode(errors='replace')}")
                await asyncio.sleep(0.2)
                continue
            result.stored.append(key)
            result.claims.append(claimed - began)
            result.submits.append(done - claimed)
            result.pairs.append(done - began)


def _of_api(answer: bytes) -> tuple[int, list[int]]:
    found = json.loads(answer)
    return found["id"], [completion["id"] for completion in found["completions"]]


def _of_page(answer: bytes) -> tuple[int, list[int]]:
    html = answer.decode()
    assignment = re.search(r'data-assignment="(\d+)"', html)
    ids = {int(pk) for pk in re.findall(r'data-(?:id|completion|instruction)="(\d+)"', html)}
    if assignment is None or len(ids) < 2:
        raise RuntimeError("the page's answer names no assignment or no instructions")
    return int(assignment[1]), sorted(ids)


async def main() -> None:
    plan, result = json.loads(sys.stdin.readline()), Result()
    clients = [Client(plan, result) for _ in plan["names"]]
    for client, name in zip(clients, plan["names"], strict=True):
        await client.sign_in(name)
        client.drop()
    result.requests = 0
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(client.work(began + plan["seconds"]) for client in clients))
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    print(json.dumps({**vars(result), "seconds": seconds, "driver_cpu": cpu}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
