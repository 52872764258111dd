"""A project's webhooks: the list, a new one (its secret is shown this once), and one with its log."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.access import MANAGERS, project_for
from annotator.models import Project, Webhook
from annotator.requests import PersonRequest
from annotator.webhook_form import WebhookForm
from annotator.webhooks import delivering, keeping

PER_PAGE = 25


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def webhooks(request: PersonRequest, slug: str) -> HttpResponse:
    """The list; a POST makes one, whose secret is in this answer and nowhere else."""
    project = project_for(request.user, slug, *MANAGERS)
    form = WebhookForm(request.POST or None)
    secret, made = "", None
    if form.is_valid():
        values = form.cleaned_data
        try:
            made, secret = keeping.make(
                project=project, url=values["url"], wanted=values["events"], by=request.user
            )
        except keeping.TooMany as error:
            form.add_error(None, str(error))
        else:
            form = WebhookForm()
    context = {
        "project": project,
        "form": form,
        "rows": Webhook.objects.filter(project=project),
        "secret": secret,
        "made": made,
        "hosts": settings.WEBHOOK_HOSTS,
    }
    return render(request, "annotator/webhooks.html", context, status=400 if form.errors else 200)


@require_safe
@login_required
def webhook(request: PersonRequest, slug: str, webhook_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    return _page(request, project, _webhook(project, webhook_id))


def _page(request: PersonRequest, project: Project, row: Webhook, secret: str = "") -> HttpResponse:
    deliveries = Paginator(row.deliveries.all(), PER_PAGE).get_page(request.GET.get("page"))
    context = {"project": project, "webhook": row, "page": deliveries, "secret": secret}
    return render(request, "annotator/webhook.html", context)


@require_POST
@never_cache
@login_required
def webhook_change(request: PersonRequest, slug: str, webhook_id: int) -> HttpResponse:
    """One of its buttons: on, off, test, rotate, delete."""
    project = project_for(request.user, slug, *MANAGERS)
    row = _webhook(project, webhook_id)
    wanted = request.POST.get("do", "")
    if wanted in ("on", "off"):
        keeping.change(row, request.user, active=wanted == "on")
        messages.success(request, _("Saved."))
    elif wanted == "test":
        keeping.test(row)
        messages.success(request, _("A test event is on its way."))
    elif wanted == "rotate":
        return _page(request, project, row, keeping.rotate(row, request.user))
    elif wanted == "delete":
        keeping.delete(row, request.user)
        messages.success(request, _("Deleted."))
        return redirect("webhooks", project.slug)
    return redirect("webhook", project.slug, row.pk)


@require_POST
@login_required
def delivery_again(request: PersonRequest, slug: str, webhook_id: int, delivery_id: int) -> HttpResponse:
    project = project_for(request.user, slug, *MANAGERS)
    row = _webhook(project, webhook_id)
    delivering.again(get_object_or_404(row.deliveries, pk=delivery_id))
    messages.success(request, _("It is being sent once more."))
    return redirect("webhook", project.slug, row.pk)


def _webhook(project: Project, webhook_id: int) -> Webhook:
    rows = Webhook.objects.filter(project=project).select_related("project")
    return get_object_or_404(rows, pk=webhook_id)
