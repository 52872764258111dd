"""Root URLs: the human side at the root, the model side under each project, the API, the admin."""

from django.contrib import admin
from django.urls import include, path, re_path

from annotator.api import problems

urlpatterns = [
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("annotator.urls")),
    path("", include("rlhf.urls")),
    re_path(r"^api/", problems.unknown_address),
]
handler400 = "annotator.api.problems.bad_request"
handler500 = "annotator.api.problems.server_error"
