"""Saved exports in every state for pictures, and somebody who has withdrawn."""

from __future__ import annotations

from datetime import timedelta

import picture_judged
from django.utils import timezone

from annotator import consent
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Selection, SplitPlan
from annotator.models import Export, Project, User

State = Export.State


def fill() -> None:
    """In the judged project: done, repeated, recalled, being made, waiting, failed, cancelled."""
    project = Project.objects.get(slug=picture_judged.JUDGED)
    dana, alice, carol = (User.objects.get(username=name) for name in ("dana", "alice", "carol"))

    def make(name: str, recipe: Recipe, user: User = dana) -> Export:
        return jobs.create(project=project, recipe=recipe, user=user, name=name, send_it=False)

    def made(name: str, recipe: Recipe, user: User = dana) -> Export:
        export = make(name, recipe, user)
        jobs.run(export.pk)
        return Export.objects.get(pk=export.pk)

    recalled = made("Judgments, before the summer", Recipe("raw"), alice)
    consent.withdraw(carol, project)
    jobs.run(jobs.repeat(recalled, dana, send_it=False).pk)
    whole = Recipe("trl", splits=SplitPlan(0.8, 0.1, 0.1), gzip=True, license="cc-by-4.0")
    first = made("Preferences for the paper", whole)
    jobs.run(jobs.repeat(first, dana, send_it=False).pk)
    made("一个名字很长的导出：客户服务任务的全部人工偏好，按任务划分，供论文附录使用", Recipe("kto"))
    make("Everything", Recipe("raw"), alice)
    now = timezone.now()
    running = make("A million rankings", Recipe("raw", file_type="parquet"))
    Export.objects.filter(pk=running.pk).update(
        state=State.RUNNING, claimed_at=now + timedelta(days=1), attempts=2, read=412_000, of=1_000_000
    )
    failed = make("Only the simulated", Recipe("raw", selection=Selection(judgments="imported")))
    jobs.run(failed.pk)
    cancelled = make("Not this one", Recipe("trl"))
    jobs.cancel(cancelled)
    Export.objects.filter(name="Everything").update(created_at=now - timedelta(minutes=2))


def numbers() -> dict[str, int | str]:
    """Where the pictures find them."""
    found = {
        "export_recalled": Export.objects.filter(name="Judgments, before the summer").last(),
        "export_changed": Export.objects.filter(name="Judgments, before the summer").first(),
        "export_same": Export.objects.filter(name="Preferences for the paper").first(),
        "export_queued": Export.objects.get(name="Everything"),
        "export_running": Export.objects.get(name="A million rankings"),
        "export_failed": Export.objects.get(name="Only the simulated"),
        "export_cancelled": Export.objects.get(name="Not this one"),
    }
    carol = User.objects.get(username="carol").memberships.get(project__slug=picture_judged.JUDGED)
    return {**{name: export.pk for name, export in found.items() if export}, "withdrew": carol.pk}
