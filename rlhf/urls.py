"""URLs of the model side."""

from django.urls import include, path

from rlhf.views import comparing, models, overview, runs

urlpatterns = [
    path("api/", include("rlhf.api.urls")),
    path("projects/<slug:slug>/", overview.project, name="project"),
    path("projects/<slug:slug>/runs/", runs.index, name="runs"),
    path("projects/<slug:slug>/runs/start/<slug:kind>/", runs.start, name="run-start"),
    path("projects/<slug:slug>/runs/compare/", comparing.compare, name="runs-compare"),
    path("projects/<slug:slug>/runs/<int:run_id>/", runs.run, name="run"),
    path("projects/<slug:slug>/runs/<int:run_id>/data/", runs.data, name="run-data"),
    path("projects/<slug:slug>/runs/<int:run_id>/log/", runs.log, name="run-log"),
    path("projects/<slug:slug>/runs/<int:run_id>/tables/<slug:table>/", runs.table, name="run-table"),
    path("projects/<slug:slug>/runs/<int:run_id>/cancel/", runs.cancel, name="run-cancel"),
    path("projects/<slug:slug>/runs/<int:run_id>/resume/", runs.resume, name="run-resume"),
    path("projects/<slug:slug>/runs/<int:run_id>/ask/", runs.ask, name="evaluation-ask"),
    path("projects/<slug:slug>/models/", models.index, name="models"),
    path("projects/<slug:slug>/models/data/", models.data, name="models-data"),
    path("projects/<slug:slug>/models/leaderboard/", models.leaderboard, name="leaderboard"),
    path("projects/<slug:slug>/models/refits/", models.refits, name="refits"),
    path("projects/<slug:slug>/models/<int:checkpoint_id>/promote/", models.promote, name="promote"),
]
