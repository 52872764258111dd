"""An index for an annotator's judgments of today."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotator", "0002_gold_repeats_invitations")]

    operations = [
        migrations.AddIndex(
            model_name="ranking",
            index=models.Index(fields=["annotator", "created_at"], name="ranking_by_day"),
        ),
    ]
