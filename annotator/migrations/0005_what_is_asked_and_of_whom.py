"""Rules of selection that ask what teaches the model most; how reliable a member is, and whether that counts."""

from django.db import migrations, models


def choose_by_the_new_default(apps, schema_editor):
    """Nobody had chosen Thompson: it was the default, and no form named it."""
    projects = apps.get_model("annotator", "Project").objects
    projects.filter(selection_strategy="thompson").update(selection_strategy="d-optimal-heads")


class Migration(migrations.Migration):

    dependencies = [
        ('annotator', '0004_gold_and_repeats_found_fast'),
    ]

    operations = [
        migrations.AddField(
            model_name='membership',
            name='looked_at',
            field=models.DateTimeField(blank=True, help_text='When they last wanted work, where only some are asked at a time.', null=True),
        ),
        migrations.AddField(
            model_name='membership',
            name='reliability',
            field=models.FloatField(blank=True, help_text='η as the newest reward model has it; empty: unknown.', null=True),
        ),
        migrations.AddField(
            model_name='membership',
            name='reliability_error',
            field=models.FloatField(blank=True, help_text='Standard error of its logit.', null=True),
        ),
        migrations.AddField(
            model_name='project',
            name='asks_reliable',
            field=models.BooleanField(default=False, help_text='Only the more reliable half of those present is asked at a time.'),
        ),
        migrations.AlterField(
            model_name='comparison',
            name='rule',
            field=models.CharField(choices=[('random', 'Random'), ('thompson', 'Thompson'), ('bald', 'BALD'), ('d-optimal-heads', 'D-optimal'), ('repeat', 'Repeat'), ('gold', 'Gold question'), ('evaluation', 'Evaluation')], default='random', max_length=16),
        ),
        migrations.AlterField(
            model_name='project',
            name='selection_strategy',
            field=models.CharField(choices=[('d-optimal-heads', 'What teaches the model most, taken together (D-optimal)'), ('bald', 'What teaches the model most, one by one (BALD)'), ('thompson', 'The best against each other (Thompson)'), ('random', 'At random')], default='d-optimal-heads', max_length=32),
        ),
        migrations.RunPython(choose_by_the_new_default, migrations.RunPython.noop),
    ]
