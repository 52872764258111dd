"""URLs of the model side of the API."""

from django.urls import path

from rlhf.api import models, runs, scoring

PROJECT = "projects/<slug:slug>/"
RUN = PROJECT + "runs/<int:run_id>/"
CHECKPOINT = PROJECT + "checkpoints/<int:checkpoint_id>/"

urlpatterns = [
    path("score/", scoring.Score.as_view(), name="api-score"),
    path(PROJECT + "score/", scoring.ScoreProject.as_view(), name="api-score-project"),
    path(PROJECT + "runs/", runs.RunList.as_view(), name="api-runs"),
    path(RUN, runs.RunDetail.as_view(), name="api-run"),
    path(RUN + "results/", runs.RunResults.as_view(), name="api-run-results"),
    path(RUN + "records/", runs.RunRecords.as_view(), name="api-run-records"),
    path(RUN + "samples/", runs.RunSamples.as_view(), name="api-run-samples"),
    path(RUN + "log/", runs.RunLog.as_view(), name="api-run-log"),
    path(RUN + "cancel/", runs.RunCancel.as_view(), name="api-run-cancel"),
    path(RUN + "resume/", runs.RunResume.as_view(), name="api-run-resume"),
    path(PROJECT + "checkpoints/", models.CheckpointList.as_view(), name="api-checkpoints"),
    path(PROJECT + "checkpoints/revert/", models.Revert.as_view(), name="api-revert"),
    path(CHECKPOINT, models.CheckpointDetail.as_view(), name="api-checkpoint"),
    path(CHECKPOINT + "promote/", models.CheckpointPromote.as_view(), name="api-promote"),
    path(PROJECT + "promotions/", models.PromotionList.as_view(), name="api-promotions"),
    path(PROJECT + "evaluations/", models.EvaluationList.as_view(), name="api-evaluations"),
    path(PROJECT + "snapshots/", models.SnapshotList.as_view(), name="api-snapshots"),
    path(PROJECT + "leaderboards/", models.Leaderboards.as_view(), name="api-leaderboards"),
    path(PROJECT + "scores/", models.Scores.as_view(), name="api-scores"),
    path(PROJECT + "refits/", models.Refits.as_view(), name="api-refits"),
]
