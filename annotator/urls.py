"""URLs of the human side."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, include, path

from annotator.views import home, ranking

in_project: list[URLPattern | URLResolver] = [
    path("rank/", ranking.rank, name="rank"),
    path("rank/next/", ranking.rank_next, name="rank-next"),
    path("rank/submit/", ranking.rank_submit, name="rank-submit"),
    path("rank/undo/", ranking.rank_undo, name="rank-undo"),
    path("rank/skip/", ranking.rank_skip, name="rank-skip"),
    path("rank/renew/", ranking.rank_renew, name="rank-renew"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("projects/<slug:slug>/", include(in_project)),
]
