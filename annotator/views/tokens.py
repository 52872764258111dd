"""One's personal tokens: the list, a new one (shown this once), revoking."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from annotator import tokens as personal
from annotator.models import Scope, Token
from annotator.requests import PersonRequest
from annotator.token_form import TokenForm

SHOWN = 50


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@sensitive_variables("text")
def tokens(request: PersonRequest) -> HttpResponse:
    """The list; a POST makes one, whose text is in this answer and nowhere else."""
    form = TokenForm(request.POST or None, owner=request.user)
    text, made = "", None
    if form.is_valid():
        try:
            made, text = personal.make(
                owner=request.user,
                name=form.cleaned_data["name"],
                scopes=form.chosen,
                project=form.cleaned_data["project"],
                lasts=form.lasts,
            )
        except personal.TooMany:
            form.add_error(None, _("You have %(most)d tokens. Revoke one first.") % {"most": personal.MOST})
        else:
            form = TokenForm(owner=request.user)
    labels = dict(Scope.choices)
    rows = [
        (token, [labels[scope] for scope in token.scopes], token.state)
        for token in Token.objects.filter(owner=request.user).select_related("project")[:SHOWN]
    ]
    context = {"form": form, "rows": rows, "text": text, "made": made}
    status = 400 if form.errors and not request.htmx else 200  # htmx leaves a page as it is on a 400
    return render(request, "registration/tokens.html", context, status=status)


@require_POST
@login_required
def token_revoke(request: PersonRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(Token, owner=request.user, pk=token_id)
    personal.revoke(token)
    messages.success(request, _("“%(name)s” opens nothing any more.") % {"name": token.name})
    return redirect("tokens")
