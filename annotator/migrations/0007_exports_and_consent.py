"""Saved exports; annotators' withdrawals of their judgments."""


import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotator', '0006_import_steps'),
    ]

    operations = [
        migrations.CreateModel(
            name='Export',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('recipe', models.JSONField(default=dict, help_text='Format, filters, splits, kind of file.')),
                ('frozen', models.JSONField(default=dict, help_text='The point in time that it shows.')),
                ('state', models.CharField(choices=[('queued', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('read', models.PositiveBigIntegerField(default=0, help_text='Judgments read so far.')),
                ('of', models.PositiveBigIntegerField(default=0, help_text='Of so many.')),
                ('attempts', models.PositiveSmallIntegerField(default=0, help_text='How often a worker has begun it.')),
                ('error', models.TextField(blank=True)),
                ('manifest', models.JSONField(blank=True, default=dict)),
                ('files', models.JSONField(blank=True, default=list, help_text='[{"name", "bytes", "sha256", "lines"}]')),
                ('sha256', models.CharField(blank=True, help_text='Of all its data files.', max_length=64)),
                ('files_deleted_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('consent_at', models.DateTimeField(blank=True, help_text='When it was looked up who had withdrawn: before the first line.', null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='exports', to='annotator.project')),
                ('repeats', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='repeated_by', to='annotator.export')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('state__in', ['queued', 'running'])), fields=['state', 'claimed_at'], name='export_active')],
            },
        ),
        migrations.CreateModel(
            name='Withdrawal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('taken_back_at', models.DateTimeField(blank=True, help_text='Empty while it is in force.', null=True)),
                ('annotator', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='withdrawals', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='withdrawals', to='annotator.project')),
            ],
            options={
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('taken_back_at__isnull', True)), fields=('project', 'annotator'), name='withdrawal_one_in_force')],
            },
        ),
    ]
