"""URLs of the API, its OpenAPI schema, and the pages that show it."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from annotator.api import deciding, exports, notes, projects, ranking

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path(
        "docs/",
        # The split view, and a template without inline style: the Content-Security-Policy allows neither.
        SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="annotator/api_docs.html"),
        name="api-docs",
    ),
    path("projects/", projects.ProjectList.as_view(), name="api-projects"),
    path("projects/<slug:slug>/", projects.ProjectDetail.as_view(), name="api-project"),
    path("projects/<slug:slug>/prompts/", projects.PromptList.as_view(), name="api-prompts"),
    path("projects/<slug:slug>/prompts/<int:prompt_id>/", projects.PromptDetail.as_view(), name="api-prompt"),
    path("projects/<slug:slug>/comparisons/", projects.ComparisonList.as_view(), name="api-comparisons"),
    path(
        "projects/<slug:slug>/comparisons/<int:comparison_id>/adjudicate/",
        deciding.Adjudicate.as_view(),
        name="api-adjudicate",
    ),
    path(
        "projects/<slug:slug>/comparisons/<int:comparison_id>/withdraw/",
        deciding.Withdraw.as_view(),
        name="api-withdraw",
    ),
    path(
        "projects/<slug:slug>/comparisons/<int:comparison_id>/gold/",
        deciding.GoldMake.as_view(),
        name="api-gold-make",
    ),
    path("projects/<slug:slug>/gold/", deciding.GoldList.as_view(), name="api-gold"),
    path(
        "projects/<slug:slug>/gold/<int:comparison_id>/retire/",
        deciding.GoldRetire.as_view(),
        name="api-gold-retire",
    ),
    path(
        "projects/<slug:slug>/gold/<int:comparison_id>/bring-back/",
        deciding.GoldBringBack.as_view(),
        name="api-gold-bring-back",
    ),
    path("projects/<slug:slug>/notes/", notes.NoteList.as_view(), name="api-notes"),
    path("projects/<slug:slug>/notes/<int:note_id>/done/", notes.NoteDone.as_view(), name="api-note-done"),
    path("projects/<slug:slug>/claim/", ranking.Claim.as_view(), name="api-claim"),
    path("projects/<slug:slug>/renew/", ranking.Renew.as_view(), name="api-renew"),
    path("projects/<slug:slug>/submit/", ranking.Submit.as_view(), name="api-submit"),
    path("projects/<slug:slug>/skip/", ranking.Skip.as_view(), name="api-skip"),
    path("projects/<slug:slug>/undo/", ranking.Undo.as_view(), name="api-undo"),
    path("projects/<slug:slug>/exports/", exports.ExportList.as_view(), name="api-exports"),
    path(
        "projects/<slug:slug>/exports/<int:export_id>/",
        exports.ExportDetail.as_view(),
        name="api-saved-export",
    ),
    path(
        "projects/<slug:slug>/exports/<int:export_id>/repeat/",
        exports.ExportRepeat.as_view(),
        name="api-export-repeat",
    ),
    path(
        "projects/<slug:slug>/exports/<int:export_id>/cancel/",
        exports.ExportCancel.as_view(),
        name="api-export-cancel",
    ),
    path(
        "projects/<slug:slug>/exports/<int:export_id>/files/<path:name>",
        exports.ExportFile.as_view(),
        name="api-export-file",
    ),
    path(
        "projects/<slug:slug>/exports/<slug:format_name>/",
        exports.ExportDownload.as_view(),
        name="api-export",
    ),
]
