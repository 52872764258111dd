"""URLs of the API, its OpenAPI schema, and the pages that show it. The model side has its own."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation

from annotator.api import (
    comparisons,
    deciding,
    exports,
    imports,
    me,
    members,
    notes,
    projects,
    prompts,
    ranking,
    rankings,
    webhooks,
)

PROJECT = "projects/<slug:slug>/"
WEBHOOK = PROJECT + "webhooks/<int:webhook_id>/"
IMPORT = PROJECT + "imports/<int:import_id>/"
EXPORT = PROJECT + "exports/<int:export_id>/"
COMPARISON = PROJECT + "comparisons/<int:comparison_id>/"

urlpatterns = [
    path("", me.Start.as_view(), name="api-start"),
    path("me/", me.Me.as_view(), name="api-me"),
    path(
        "schema/",
        SpectacularAPIView.as_view(content_negotiation_class=DefaultContentNegotiation),
        name="api-schema",
    ),
    path(
        "docs/",
        # The split view, and a template without inline style: the Content-Security-Policy allows neither.
        SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="annotator/api_docs.html"),
        name="api-docs",
    ),
    path("projects/", projects.ProjectList.as_view(), name="api-projects"),
    path(PROJECT, projects.ProjectDetail.as_view(), name="api-project"),
    path(PROJECT + "settings/", projects.ProjectSettings.as_view(), name="api-settings"),
    path(PROJECT + "guidelines/", projects.GuidelineList.as_view(), name="api-guidelines"),
    path(PROJECT + "progress/", projects.Progress.as_view(), name="api-progress"),
    path(PROJECT + "quality/", projects.Quality.as_view(), name="api-quality"),
    path(PROJECT + "events/", projects.EventList.as_view(), name="api-events"),
    path(PROJECT + "prompts/", prompts.PromptList.as_view(), name="api-prompts"),
    path(PROJECT + "prompts/bulk/", prompts.PromptBulk.as_view(), name="api-prompts-bulk"),
    path(PROJECT + "prompts/<int:prompt_id>/", prompts.PromptDetail.as_view(), name="api-prompt"),
    path(PROJECT + "prompts/<int:prompt_id>/image/", prompts.PromptImage.as_view(), name="api-prompt-image"),
    path(PROJECT + "completions/", prompts.CompletionList.as_view(), name="api-completions"),
    path(PROJECT + "imports/", imports.ImportList.as_view(), name="api-imports"),
    path(IMPORT, imports.ImportDetail.as_view(), name="api-import"),
    path(IMPORT + "report/", imports.ImportReport.as_view(), name="api-import-report"),
    path(IMPORT + "rejects/", imports.ImportRejects.as_view(), name="api-import-rejects"),
    path(IMPORT + "inspect/", imports.ImportInspect.as_view(), name="api-import-inspect"),
    path(IMPORT + "start/", imports.ImportStart.as_view(), name="api-import-start"),
    path(IMPORT + "cancel/", imports.ImportCancel.as_view(), name="api-import-cancel"),
    path(IMPORT + "undo/", imports.ImportUndo.as_view(), name="api-import-undo"),
    path(PROJECT + "comparisons/", comparisons.ComparisonList.as_view(), name="api-comparisons"),
    path(COMPARISON, comparisons.ComparisonDetail.as_view(), name="api-comparison"),
    path(COMPARISON + "close/", comparisons.ComparisonClose.as_view(), name="api-comparison-close"),
    path(COMPARISON + "open/", comparisons.ComparisonOpen.as_view(), name="api-comparison-open"),
    path(COMPARISON + "adjudicate/", deciding.Adjudicate.as_view(), name="api-adjudicate"),
    path(COMPARISON + "withdraw/", deciding.Withdraw.as_view(), name="api-withdraw"),
    path(COMPARISON + "gold/", deciding.GoldMake.as_view(), name="api-gold-make"),
    path(PROJECT + "rankings/", rankings.RankingList.as_view(), name="api-rankings"),
    path(PROJECT + "gold/", deciding.GoldList.as_view(), name="api-gold"),
    path(PROJECT + "gold/<int:comparison_id>/retire/", deciding.GoldRetire.as_view(), name="api-gold-retire"),
    path(
        PROJECT + "gold/<int:comparison_id>/bring-back/",
        deciding.GoldBringBack.as_view(),
        name="api-gold-bring-back",
    ),
    path(PROJECT + "members/", members.MemberList.as_view(), name="api-members"),
    path(PROJECT + "members/<int:member_id>/", members.MemberDetail.as_view(), name="api-member"),
    path(PROJECT + "invitations/", members.InvitationList.as_view(), name="api-invitations"),
    path(
        PROJECT + "invitations/<int:invitation_id>/revoke/",
        members.InvitationRevoke.as_view(),
        name="api-invitation-revoke",
    ),
    path(PROJECT + "notes/", notes.NoteList.as_view(), name="api-notes"),
    path(PROJECT + "notes/<int:note_id>/done/", notes.NoteDone.as_view(), name="api-note-done"),
    path(PROJECT + "claim/", ranking.Claim.as_view(), name="api-claim"),
    path(PROJECT + "renew/", ranking.Renew.as_view(), name="api-renew"),
    path(PROJECT + "submit/", ranking.Submit.as_view(), name="api-submit"),
    path(PROJECT + "skip/", ranking.Skip.as_view(), name="api-skip"),
    path(PROJECT + "undo/", ranking.Undo.as_view(), name="api-undo"),
    path(PROJECT + "webhooks/", webhooks.WebhookList.as_view(), name="api-webhooks"),
    path(WEBHOOK, webhooks.WebhookDetail.as_view(), name="api-webhook"),
    path(WEBHOOK + "rotate/", webhooks.WebhookRotate.as_view(), name="api-webhook-rotate"),
    path(WEBHOOK + "test/", webhooks.WebhookTest.as_view(), name="api-webhook-test"),
    path(WEBHOOK + "deliveries/", webhooks.DeliveryList.as_view(), name="api-deliveries"),
    path(
        WEBHOOK + "deliveries/<int:delivery_id>/again/",
        webhooks.DeliveryAgain.as_view(),
        name="api-delivery-again",
    ),
    path(PROJECT + "exports/", exports.ExportList.as_view(), name="api-exports"),
    path(PROJECT + "exports/formats/", exports.FormatList.as_view(), name="api-export-formats"),
    path(EXPORT, exports.ExportDetail.as_view(), name="api-saved-export"),
    path(EXPORT + "repeat/", exports.ExportRepeat.as_view(), name="api-export-repeat"),
    path(EXPORT + "cancel/", exports.ExportCancel.as_view(), name="api-export-cancel"),
    path(EXPORT + "files/<path:name>", exports.ExportFile.as_view(), name="api-export-file"),
    path(PROJECT + "exports/<slug:format_name>/", exports.ExportDownload.as_view(), name="api-export"),
]
