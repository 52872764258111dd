"""Which site the admin is: a module without models, since it is read before there are any."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class SiteAdminConfig(AdminConfig):
    default_site = "annotator.site.admin_site.Site"
