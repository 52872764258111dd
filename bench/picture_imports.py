"""Imports in every state, for pictures: a dirty file, answers with votes, images, a file of no tasks."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone
from picture_data import make_project
from PIL import Image, ImageDraw

from annotator.models import PromptImport, User
from annotator.prompts import importing, undoing
from annotator.prompts.preparing import PreparationOptions
from annotator.ranking import queue
from annotator.ranking.submit import Judgment, submit

SLUG = "imported"
State = PromptImport.State

TOPICS = [
    "parcels",
    "invoices",
    "passwords",
    "opening hours",
    "warranties",
    "refunds",
    "vouchers",
    "spare parts",
]
ASKS = [
    "A customer writes about {topic}. Sort the message by urgency.",
    "Summarise a complaint about {topic} for a colleague who takes over, so that nothing is asked twice.",
    "Draft the first answer to somebody who asks about {topic} and seems to be in a hurry. Say what "
    "happens next, who does it, and until when; promise nothing that the rules do not allow.",
    "Which department should answer a message about {topic}?",
]


def numbers() -> dict[str, Any]:
    """What stands in the addresses of pages: the imports by their state."""
    rows = PromptImport.objects.filter(project__slug=SLUG).order_by("pk")
    return {f"import_{key}": pk for key, pk in zip(KEYS, rows.values_list("pk", flat=True), strict=True)}


KEYS = ["done", "undo_used", "failed", "undone", "waiting", "inspecting", "ready", "votes", "pictures"]


def fill() -> None:
    """A project with an import in every state."""
    people = {user.username: user for user in User.objects.all()}
    alice = people["alice"]
    project = make_project(people, name="Mail of a shop", slug=SLUG, gold_rate=0.0, repeat_rate=0.0)

    def start(name: str, content: bytes, **options: Any) -> PromptImport:
        return importing.create_import(
            project=project,
            name=name,
            file=ContentFile(content, name=name),
            user=alice,
            default_domain="customer-service",
            options=PreparationOptions(**options),
            send=False,
        )

    def ready(name: str, content: bytes, **options: Any) -> PromptImport:
        batch = start(name, content, **options)
        importing.run_import(batch.pk)
        batch.refresh_from_db()
        return batch

    importing.import_now(start("seed-tasks.jsonl", lines(tasks("the shop")[:12])))
    judged = importing.import_now(start("pairs.tsv", PAIRS.encode()))
    claimed = queue.claim_next(annotator=people["bob"], project=project)
    if claimed is None:
        raise RuntimeError("the imported pairs are not in the queue")
    ranks = dict(zip(claimed.order, (1, 2), strict=True))
    submit(assignment=claimed, judgment=Judgment(ranks=ranks), idempotency_key="picture")
    assert judged.state == State.DONE
    ready("scan-of-the-guidelines.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    undone = importing.import_now(start("wrong-file.jsonl", lines(tasks("another shop")[:5])))
    undoing.undo(undone, alice)
    start("waiting.jsonl", lines(tasks("x")))
    inspecting = start(
        "a-very-long-name-of-a-file-that-somebody-exported-from-a-ticket-system-2026-11.jsonl", b"x"
    )
    PromptImport.objects.filter(pk=inspecting.pk).update(
        state=State.INSPECTING,
        claim="picture",
        beaten_at=timezone.now(),
        progress={"done": 31400, "total": 100000},
    )
    ready("tickets-november.jsonl", dirty(), strip_html=True, near_duplicates=True)
    ready("votes.jsonl", votes())
    ready("signs.zip", zipped())


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def tasks(where: str) -> list[dict[str, Any]]:
    return [{"text": ask.format(topic=f"{topic} of {where}")} for topic in TOPICS for ask in ASKS]


def dirty() -> bytes:
    """What a ticket system gives: damage, markup, repeats, addresses, lines that are none."""
    rows: list[Any] = tasks("the branch in Lyon")
    rows += [
        {
            "text": "Translate the menu of the cafÃ© â€œBelle Ã‰toileâ€\x9d for guests.",
            "domain": "writing",
        },
        {"text": "<p>Explain the <b>return rules</b> to a new colleague.</p>"},
        {"text": "Answer Ms Weber (anna.weber@example.org), who wants a call at +49 170 5550123."},
        {"text": "请把顾客的来信归入一个部门：售后、财务或物流。", "domain": "customer-service"},
        {"text": "顾客的包裹没有送到，请写一封道歉信，并说明下一步会发生什么。"},
        {"text": "请用一句话总结这条评论。"},
        {"text": "Résume la plainte du client pour un collègue qui prend la suite du dossier."},
        {"text": ASKS[0].format(topic="parcels of the branch in Lyon")},
        {"text": ASKS[2].format(topic="refunds of the branch in Lyon") + "!"},
        {"text": 17},
        {"text": "Sort the message.", "domain": "sales and marketing"},
        {"text": "Count the stars.", "examples": [{"input": "***"}]},
    ]
    rows[5]["examples"] = [
        {"input": "Where is TK-48213?", "output": "TK-48213"},
        {"input": "TK-11 came broken.", "output": "TK-11"},
        {"input": "No number here.", "output": "none"},
    ]
    return lines(rows) + b'{"text": "cut off in the mid\n'


def votes() -> bytes:
    """Answers side by side, each judged by three people."""
    asked = ["How long may I keep the shoes?", "My voucher does not work.", "The lamp flickers."]
    rows = [
        {
            "instruction": "Answer the customer.",
            "input": text,
            "response1": "You can send it back within 30 days. Would you like a label?",
            "response2": "Please see our rules.",
            "annotator1": 1,
            "annotator2": number % 3,
            "annotator3": 1,
        }
        for number, text in enumerate(asked)
    ]
    return lines(rows)


def zipped() -> bytes:
    """Signs in a street, with a table that describes them; one file is no image."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        table = "image,description,instruction\n"
        for name, colour, words in (
            ("stop", "#b3261e", "STOP"),
            ("exit", "#18713f", "EXIT"),
            ("wait", "#1f5bc4", "WAIT"),
        ):
            picture = Image.new("RGB", (320, 160), colour)
            ImageDraw.Draw(picture).text((120, 60), words, fill="white", font_size=36)
            content = io.BytesIO()
            picture.save(content, "PNG")
            archive.writestr(f"signs/{name}.png", content.getvalue())
            table += f"{name}.png,A sign that says {words},Say in one word what the sign asks for\n"
        archive.writestr("signs/broken.png", b"not a picture")
        table += "broken.png,A sign that nobody can read,Say what it asks for\n"
        archive.writestr("signs/table.csv", table)
    return out.getvalue()


PAIRS = "\n".join(
    f"{instruction}\t{task}"
    for task in ("Sort incoming letters", "Shorten a product's description")
    for instruction in ("Name the department in one word.", "Say what the letter is about.", "Do it.")
)
