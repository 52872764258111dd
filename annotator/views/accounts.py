"""One's own account: signing in and up, name, language, password."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from annotator.account_forms import AccountForm, SignUpForm
from annotator.models import User
from annotator.requests import PersonRequest

BACKEND = "annotator.site.backends.Backend"
"""What a new account is signed in by: its password has just been set."""


class SignIn(LoginView):
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(open_sign_up=settings.OPEN_SIGN_UP, **kwargs)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
@never_cache
def sign_up(request: HttpRequest) -> HttpResponse:
    """An account for anybody, where the site is open to everybody."""
    if not settings.OPEN_SIGN_UP:
        raise Http404
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request.POST or None)
    if form.is_valid():
        login(request, form.save(), backend=BACKEND)
        return redirect("home")
    status = 400 if form.errors else 200
    return render(request, "registration/sign_up.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def account(request: PersonRequest) -> HttpResponse:
    form = AccountForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    if form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("account")
    context = {"form": form, "languages": settings.LANGUAGES}
    return render(request, "registration/account.html", context, status=400 if form.errors else 200)


class PasswordChange(PasswordChangeView):
    """Django's own: asks for the old one, keeps this session and ends all others."""

    template_name = "registration/password.html"
    success_url = reverse_lazy("account")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, _("The new password counts. Other devices have been signed out."))
        return super().form_valid(form)
