"""Root URLs: the human side at the root, the model side under each project, the API, the admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("annotator.urls")),
    path("", include("rlhf.urls")),
]
