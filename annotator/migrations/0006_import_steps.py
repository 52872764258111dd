"""Imports that are looked at before they are stored, and undone; completions and judgments that a file brings."""

import django.db.models.deletion
from django.db import migrations, models


def wait_anew(apps, schema_editor):
    """What a worker was reading is inspected from the beginning, and then waits for its manager."""
    apps.get_model("annotator", "PromptImport").objects.filter(state="running").update(state="queued")


def forget_the_steps(apps, schema_editor):
    """Back to one step: what is not stored yet waits, what was taken back counts as cancelled."""
    imports = apps.get_model("annotator", "PromptImport").objects
    imports.filter(state__in=["inspecting", "ready", "importing"]).update(state="queued")
    imports.filter(state="undone").update(state="cancelled")


class Migration(migrations.Migration):

    dependencies = [
        ('annotator', '0005_what_is_asked_and_of_whom'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='promptimport',
            name='claimed_at',
        ),
        migrations.AddField(
            model_name='completion',
            name='origin',
            field=models.CharField(blank=True, help_text='Where an imported text comes from, as its file says: a model, a person.', max_length=200),
        ),
        migrations.AddField(
            model_name='project',
            name='aside_of',
            field=models.ForeignKey(blank=True, editable=False, help_text="Not a project but the place where an import's rows lie while they come in, or go.", null=True, on_delete=django.db.models.deletion.CASCADE, related_name='asides', to='annotator.promptimport'),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='attempts',
            field=models.PositiveSmallIntegerField(default=0, help_text='Workers that have taken the present step.'),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='beaten_at',
            field=models.DateTimeField(blank=True, help_text="By the database's clock.", null=True),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='claim',
            field=models.CharField(blank=True, editable=False, max_length=32),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='encoding',
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='forced_format',
            field=models.CharField(blank=True, help_text='As a manager says it is. Empty: recognised by its content.', max_length=32),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='options',
            field=models.JSONField(blank=True, default=dict, help_text='The steps of preparation as chosen.'),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='progress',
            field=models.JSONField(blank=True, default=dict, help_text='{"done", "total"} of what a worker does now.'),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='records',
            field=models.FileField(blank=True, help_text='The prepared tasks, until they are imported.', max_length=300, upload_to='imports/'),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='rejects',
            field=models.FileField(blank=True, max_length=300, upload_to='imports/'),
        ),
        migrations.AddField(
            model_name='promptimport',
            name='report',
            field=models.JSONField(blank=True, default=dict, help_text='What each step did, with examples.'),
        ),
        migrations.AddField(
            model_name='ranking',
            name='batch',
            field=models.ForeignKey(blank=True, help_text='The import that brought it; empty: given in this project.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='rankings', to='annotator.promptimport'),
        ),
        migrations.AddField(
            model_name='user',
            name='is_imported',
            field=models.BooleanField(default=False, help_text='Nobody here: stands for who gave the judgments of an imported file.'),
        ),
        migrations.AlterField(
            model_name='comparison',
            name='rule',
            field=models.CharField(choices=[('random', 'Random'), ('thompson', 'Thompson'), ('bald', 'BALD'), ('d-optimal-heads', 'D-optimal'), ('repeat', 'Repeat'), ('gold', 'Gold question'), ('evaluation', 'Evaluation'), ('imported', 'Imported')], default='random', max_length=16),
        ),
        migrations.AlterField(
            model_name='promptimport',
            name='counts',
            field=models.JSONField(blank=True, default=dict, help_text='What it brought.'),
        ),
        migrations.AlterField(
            model_name='promptimport',
            name='state',
            field=models.CharField(choices=[('queued', 'Waiting'), ('inspecting', 'Inspecting'), ('ready', 'Ready to import'), ('importing', 'Importing'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('undone', 'Undone')], default='queued', max_length=16),
        ),
        migrations.RunPython(wait_anew, forget_the_steps),
    ]
