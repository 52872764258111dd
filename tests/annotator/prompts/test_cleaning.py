"""Cleaning repairs damage and leaves the words alone."""

import pytest

from annotator.prompts.cleaning import clean_text, strip_text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  Write it.  \n", "Write it."),
        ("caf\u00c3\u00a9", "café"),
        ("It\u00e2\u20ac\u2122s", "It’s"),
        ("a\x00b\x07c", "abc"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("a  \nb", "a\nb"),
        ("if x:\n    y = 1\n\tz", "if x:\n    y = 1\n\tz"),
        ("\ufeffstart", "start"),
        ("evil\u202etxt.exe", "eviltxt.exe"),
        ("请写一首诗，不超过四行。", "请写一首诗，不超过四行。"),
        ("Ｆｕｌｌ", "Ｆｕｌｌ"),
        ("“quoted” ‘text’", "“quoted” ‘text’"),
        ("&lt;b&gt; stays", "&lt;b&gt; stays"),
        ("e\u0301", "é"),
        ("", ""),
    ],
)
def test_it_repairs_and_tidies(raw, clean):
    assert clean_text(raw) == clean
    assert clean_text(clean) == clean


def test_what_people_type_is_not_repaired():
    assert strip_text("caf\u00c3\u00a9 \x00") == "caf\u00c3\u00a9"


def test_half_a_surrogate_pair_does_not_reach_the_database():
    strip_text("a\ud800b").encode()
    clean_text("a\ud800b").encode()
