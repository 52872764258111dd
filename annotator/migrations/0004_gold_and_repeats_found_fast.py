from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("annotator", "0003_ranking_by_day"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="comparison",
            index=models.Index(
                condition=models.Q(("is_queued", False), ("reserved_for__isnull", True)),
                fields=["project", "id"],
                name="comparison_gold",
            ),
        ),
        migrations.AddIndex(
            model_name="comparison",
            index=models.Index(
                condition=models.Q(
                    ("is_closed", False),
                    ("is_queued", False),
                    ("judgments_taken__lt", models.F("judgments_wanted")),
                    ("reserved_for__isnull", False),
                ),
                fields=["reserved_for", "id"],
                name="comparison_repeat_waiting",
            ),
        ),
    ]
