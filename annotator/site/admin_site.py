"""The admin's site: who gets in, its look, its side bar, and the rules of content it needs.

Its theme (unfold) evaluates expressions (Alpine) and writes styles into its pages, which the product's own
pages do not: the admin's views alone are allowed both. Inline scripts are forbidden here as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.sites import UnfoldAdminSite

with_theme = csp_update({"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]})


class Site(UnfoldAdminSite):
    site_title = site_header = "PrefLoop"
    index_title = gettext_lazy("Administration")

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        wrapped: Callable[..., Any] = with_theme(super().admin_view(view, cacheable))
        return wrapped

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The product's own page, with its lock after many attempts; who is no staff is told so."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied(_("The administration is for the site's staff."))
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"), settings.LOGIN_URL)


def side_bar(request: HttpRequest) -> list[dict[str, Any]]:
    """Every registered model that this person may see, under the heading that its admin names."""
    from django.contrib import admin

    from annotator.admin.base import Group

    groups: dict[Group, list[dict[str, Any]]] = {group: [] for group in Group}
    for model, model_admin in admin.site._registry.items():
        if not model_admin.has_view_or_change_permission(request):
            continue
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        link = reverse(name)
        item = {
            "title": str(model._meta.verbose_name_plural)[:1].upper()
            + str(model._meta.verbose_name_plural)[1:],
            "icon": getattr(model_admin, "icon", "table_rows"),
            "link": link,
            "active": request.path.startswith(link),
        }
        groups[getattr(model_admin, "group", Group.OTHER)].append(item)
    start = {"title": _("Dashboard"), "icon": "dashboard", "link": reverse("admin:index")}
    return [{"title": "", "items": [start]}, *_headed(groups.items())]


def _headed(groups: Iterable[tuple[Any, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    return [{"title": group.value, "items": items, "collapsible": False} for group, items in groups if items]


def theme(request: HttpRequest) -> str | None:
    """As chosen on the product's pages; None: as the system has it."""
    chosen = request.COOKIES.get("theme")
    return chosen if chosen in ("dark", "light") else None
