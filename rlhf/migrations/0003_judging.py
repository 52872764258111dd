"""Blind comparisons by people, and who promoted which policy by what figures."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotator", "0005_what_is_asked_and_of_whom"),
        ("rlhf", "0002_live_heads"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BlindComparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("old", models.JSONField(help_text="Ids of the completions that the old policy wrote.")),
                ("new", models.JSONField()),
                ("comparison", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="annotator.comparison")),
                ("evaluation", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="blind", to="rlhf.evaluation")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("evaluation", "comparison"), name="blind_once_per_evaluation")],
            },
        ),
        migrations.CreateModel(
            name="Promotion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("figures", models.JSONField(default=dict, help_text="The evaluation's, as they were seen then.")),
                ("promoted_at", models.DateTimeField()),
                ("checkpoint", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="promotions", to="rlhf.checkpoint")),
                ("evaluation", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="promotions", to="rlhf.evaluation")),
                ("former", models.ForeignKey(help_text="Which wrote before.", on_delete=django.db.models.deletion.PROTECT, related_name="+", to="rlhf.checkpoint")),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="promotions", to="annotator.project")),
                ("promoted_by", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
    ]
