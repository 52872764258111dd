"""Every model and field of the admin has a label that is translated, and no label is left over."""

from django.apps import apps

from annotator.admin import labels


def fields():
    return [
        field
        for name in labels.OURS
        for model in apps.get_app_config(name).get_models()
        for field in (*model._meta.local_fields, *model._meta.local_many_to_many)
    ]


def test_models_are_called_in_the_words_of_the_pages():
    ours = {m._meta.label for name in labels.OURS for m in apps.get_app_config(name).get_models()}
    assert ours <= set(labels.MODELS)
    assert set(labels.MODELS) <= {model._meta.label for model in apps.get_models()}
    assert str(apps.get_model("annotator", "Prompt")._meta.verbose_name_plural) == "tasks"


def test_every_field_has_a_label():
    """Either of the model itself, marked for translation, or in the table."""
    assert {f"{f.model.__name__}.{f.name}" for f in fields() if isinstance(f.verbose_name, str)} <= {
        f"User.{name}" for name in ("password", "last_login")
    }
