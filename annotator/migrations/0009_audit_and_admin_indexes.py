"""The audit log, a pause of whole projects, and indexes for the admin's filters.

The triggers that guard the audit log are put up after every migrate (annotator/audit_guard.py).
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotator', '0008_tokens_and_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True, verbose_name='when')),
                ('actor', models.ForeignKey(blank=True, db_constraint=False, db_index=False, help_text='Empty: the site itself, or somebody without an account.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='who')),
                ('actor_name', models.CharField(blank=True, max_length=150, verbose_name='name then')),
                ('source', models.CharField(choices=[('page', 'Page'), ('admin', 'Administration'), ('api', 'API'), ('command', 'Command'), ('worker', 'Worker')], max_length=16, verbose_name='by way of')),
                ('action', models.CharField(max_length=64, verbose_name='action')),
                ('project', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='annotator.project', verbose_name='project')),
                ('object_type', models.CharField(blank=True, help_text='app.model', max_length=64, verbose_name='kind of object')),
                ('object_id', models.CharField(blank=True, max_length=64, verbose_name='number of the object')),
                ('object_name', models.CharField(blank=True, max_length=300, verbose_name='object')),
                ('changes', models.JSONField(blank=True, default=dict, help_text='{field: [before, after]}', verbose_name='changes')),
                ('details', models.JSONField(blank=True, default=dict, verbose_name='details')),
                ('address', models.GenericIPAddressField(blank=True, null=True, verbose_name='address')),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit log',
                'ordering': ['-id'],
            },
        ),
        migrations.AddField(
            model_name='project',
            name='paused_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='Since then nobody is given comparisons.', null=True),
        ),
        migrations.AddIndex(
            model_name='assignment',
            index=models.Index(condition=models.Q(models.Q(('state', 'leased'), _negated=True), models.Q(('state', 'submitted'), _negated=True)), fields=['state', '-id'], name='assignment_come_to_nothing'),
        ),
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(fields=['rule', '-id'], name='comparison_by_rule'),
        ),
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(condition=models.Q(('is_closed', True)), fields=['-id'], name='comparison_closed'),
        ),
        migrations.AddIndex(
            model_name='comparison',
            index=models.Index(condition=models.Q(('is_adjudicated', True)), fields=['-id'], name='comparison_adjudicated'),
        ),
        migrations.AddIndex(
            model_name='completion',
            index=models.Index(condition=models.Q(('source', 'model'), _negated=True), fields=['source', '-id'], name='completion_not_by_model'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(fields=['verb', '-id'], name='event_by_verb'),
        ),
        migrations.AddIndex(
            model_name='prompt',
            index=models.Index(fields=['domain', '-id'], name='prompt_by_domain'),
        ),
        migrations.AddIndex(
            model_name='prompt',
            index=models.Index(fields=['language', '-id'], name='prompt_by_language'),
        ),
        migrations.AddIndex(
            model_name='ranking',
            index=models.Index(condition=models.Q(('verdict', 'ranked'), _negated=True), fields=['verdict', '-id'], name='ranking_not_ranked'),
        ),
        migrations.AddIndex(
            model_name='ranking',
            index=models.Index(condition=models.Q(('is_live', False)), fields=['-id'], name='ranking_superseded'),
        ),
        migrations.AddIndex(
            model_name='ranking',
            index=models.Index(condition=models.Q(('is_adjudication', True)), fields=['-id'], name='ranking_adjudication'),
        ),
        migrations.AddIndex(
            model_name='ranking',
            index=models.Index(condition=models.Q(('is_simulated', True)), fields=['-id'], name='ranking_simulated'),
        ),
        migrations.AddIndex(
            model_name='ranking',
            index=models.Index(condition=models.Q(('batch__isnull', False)), fields=['-id'], name='ranking_imported'),
        ),
        migrations.AddIndex(
            model_name='ranking',
            index=models.Index(condition=models.Q(('gold_score__isnull', False)), fields=['-id'], name='ranking_of_gold'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['actor', '-id'], name='audit_of_actor'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['project', '-id'], name='audit_of_project'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['action', '-id'], name='audit_of_action'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['source', '-id'], name='audit_of_source'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['object_type', '-id'], name='audit_of_object_type'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['object_type', 'object_id', '-id'], name='audit_of_object'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['address', '-id'], name='audit_of_address'),
        ),
    ]
