"""Reward heads that are refitted while people rank, and what they say of completions."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotator", "0004_gold_and_repeats_found_fast"), ("rlhf", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name='LiveHeads',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('every', models.PositiveIntegerField(help_text='Refitted after so many new rankings; 0: never.')),
                ('fresh', models.PositiveIntegerField(default=0, help_text='Rankings that were given since the last refit.')),
                ('counted', models.PositiveBigIntegerField(default=0, help_text='The newest ranking that was counted.')),
                ('rankings', models.PositiveIntegerField(default=0, help_text='How many they were fitted to.')),
                ('refits', models.PositiveIntegerField(default=0)),
                ('refitted_at', models.DateTimeField(blank=True, null=True)),
                ('seconds', models.FloatField(blank=True, help_text='From the claim to the stored scores.', null=True)),
                ('error', models.CharField(blank=True, help_text='Why the last refit came to nothing.', max_length=300)),
                ('sent_at', models.DateTimeField(blank=True, help_text='When it was last put on the broker.', null=True)),
                ('worker', models.CharField(blank=True, help_text='Who refits them now.', max_length=200)),
                ('heartbeat_at', models.DateTimeField(blank=True, null=True)),
                ('checkpoint', models.ForeignKey(blank=True, help_text='Whose heads they are.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='rlhf.checkpoint')),
                ('project', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='live_heads', to='annotator.project')),
            ],
            options={
                'verbose_name_plural': 'live heads',
            },
        ),
        migrations.CreateModel(
            name='LiveScore',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('refit', models.PositiveIntegerField(help_text='The number of the refit, counted by the heads.')),
                ('mean', models.FloatField()),
                ('std', models.FloatField()),
                ('checkpoint', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='rlhf.checkpoint')),
                ('completion', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='live_score', to='annotator.completion')),
                ('heads', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='scores', to='rlhf.liveheads')),
            ],
        ),
    ]
