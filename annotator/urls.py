"""URLs of the human side."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path

from annotator.views import (
    accounts,
    comparisons,
    deciding,
    exports,
    home,
    imports,
    invitations,
    members,
    notes,
    projects,
    prompts,
    quality,
    ranking,
    second_thoughts,
)

in_project: list[URLPattern | URLResolver] = [
    path("rank/", ranking.rank, name="rank"),
    path("rank/next/", ranking.rank_next, name="rank-next"),
    path("rank/submit/", ranking.rank_submit, name="rank-submit"),
    path("rank/undo/", second_thoughts.rank_undo, name="rank-undo"),
    path("rank/latest/", second_thoughts.rank_latest, name="rank-latest"),
    path("rank/progress/", second_thoughts.rank_progress, name="rank-progress"),
    path("rank/note/", second_thoughts.rank_note, name="rank-note"),
    path("rank/skip/", ranking.rank_skip, name="rank-skip"),
    path("rank/renew/", ranking.rank_renew, name="rank-renew"),
    path("guidelines/", projects.guidelines, name="guidelines"),
    path("settings/", projects.settings, name="settings"),
    path("prompts/", prompts.prompts, name="prompts"),
    path("prompts/<int:prompt_id>/", prompts.prompt, name="prompt"),
    path("import/", imports.import_, name="import"),
    path("import/<int:import_id>/", imports.import_detail, name="import-detail"),
    path("import/<int:import_id>/cancel/", imports.import_cancel, name="import-cancel"),
    path("comparisons/", comparisons.comparisons, name="comparisons"),
    path("comparisons/<int:comparison_id>/", comparisons.comparison, name="comparison"),
    path("comparisons/<int:comparison_id>/close/", comparisons.comparison_close, name="comparison-close"),
    path(
        "comparisons/<int:comparison_id>/adjudicate/",
        deciding.comparison_adjudicate,
        name="comparison-adjudicate",
    ),
    path(
        "comparisons/<int:comparison_id>/withdraw/", deciding.comparison_withdraw, name="comparison-withdraw"
    ),
    path("comparisons/<int:comparison_id>/gold/", deciding.comparison_gold, name="comparison-gold"),
    path("quality/gold/", deciding.gold, name="gold"),
    path("quality/gold/<int:comparison_id>/retire/", deciding.gold_retire, name="gold-retire"),
    path("notes/", notes.notes, name="notes"),
    path("notes/<int:note_id>/done/", notes.note_done, name="note-done"),
    path("members/", members.members, name="members"),
    path("members/invite/", invitations.invite, name="invite"),
    path("members/invitations/<int:invitation_id>/revoke/", invitations.revoke, name="invitation-revoke"),
    path("members/<int:member_id>/", members.member, name="member"),
    path("members/<int:member_id>/change/", members.member_change, name="member-change"),
    path("members/<int:member_id>/remove/", members.member_remove, name="member-remove"),
    path("quality/", quality.quality, name="quality"),
    path("quality/annotators/", quality.quality_annotators, name="quality-annotators"),
    path("quality/refresh/", quality.quality_refresh, name="quality-refresh"),
    path("quality/state/", quality.quality_state, name="quality-state"),
    path("quality/<slug:table>.csv", quality.quality_csv, name="quality-csv"),
    path("exports/", exports.exports, name="exports"),
    path("exports/<slug:format_name>/", exports.export_download, name="export-download"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("api/", include("annotator.api.urls")),
    path("account/", accounts.account, name="account"),
    path("account/password/", accounts.PasswordChange.as_view(), name="password-change"),
    path("join/<str:secret>/", invitations.join, name="join"),
    path("login/", accounts.SignIn.as_view(), name="login"),
    path("sign-up/", accounts.sign_up, name="sign-up"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("projects/new/", projects.project_create, name="project-create"),
    path("projects/<slug:slug>/", include(in_project)),
]
