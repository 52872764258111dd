"""An index for the admin's filters."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('rlhf', '0003_judging'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(condition=models.Q(('finished', False)), fields=['-id'], name='generation_cut'),
        ),
    ]
