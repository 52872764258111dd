"""Damaged texts are repaired, sound ones stay as they are."""

import time

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.prompts.cleaning import FTFY
from annotator.prompts.steps.repairing import nfkc, repair, without_controls, without_html


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        ("cafÃ©", "café"),
        ("itâ€™s", "it’s"),
        ("è¯·å†™å‡ºå��ä¹‰è¯�".replace("�", "\ufffd"), None),
        ("plain ASCII, nothing to do", "plain ASCII, nothing to do"),
        ("请写出“反义词”……（两个）", "请写出“反义词”……（两个）"),
        ("ＡＢＣ", "ＡＢＣ"),
        ("&amp; stays", "&amp; stays"),
    ],
)
def test_mojibake(damaged, repaired):
    if repaired is None:  # what was lost stays lost, and does no harm
        assert repair(damaged)
    else:
        assert repair(damaged) == repaired


def test_chinese_that_was_read_as_latin():
    text = "请写出反义词"
    assert repair(text.encode().decode("latin-1")) == text


sound = st.text(
    st.sampled_from("abc XYZ09\n\t.,<>&;'\"{}“”‘’…—·、。「」（）：，？！ａＺ请写出反义词天地玄黄龟鿿一"),
    max_size=60,
)


@given(sound)
def test_texts_that_are_not_looked_at_have_nothing_to_repair(text):
    assert ftfy.fix_text(text, config=FTFY) == text == repair(text)


@given(st.text(max_size=60))
def test_any_text_is_repaired_as_ftfy_does(text):
    assert repair(text) == ftfy.fix_text(text, config=FTFY)


def test_compatibility_characters():
    assert nfkc("ＡＢＣ１２３（ﬁ）㍿") == "ABC123(fi)株式会社"


class TestHtml:
    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            ("<p>One</p><p>Two</p>", "One\nTwo\n"),
            ("a<br>b<br/>c", "a\nb\nc"),
            ("<b>Bold</b> &amp; <i>slanted</i>", "Bold & slanted"),
            ("safe<script>alert(1)</script>", "safe"),
            ("<a href='javascript:x'>link</a>", "link"),
            ("x <!-- hidden --> y", "x  y"),
            ("5 &lt; 7", "5 < 7"),
            ("if x<y and z>w", "if x<y and z>w"),
            ("<b>if</b> x<y and z>w", "if x<y and z>w"),
            ("List<String> names", "List<String> names"),
            ("use <input> as <name>", "use  as <name>"),
            ("Fish & chips", "Fish & chips"),
            ("请写<b>反义词</b>", "请写反义词"),
            ("<b>half\ud800</b>", "half"),
        ],
    )
    def test_tags_go_and_words_stay(self, text, plain):
        assert without_html(text) == plain

    @given(st.text(st.sampled_from("<>/&;pbrdiv ascript!-='\"x\n天"), max_size=80))
    def test_it_never_makes_a_text_longer_than_its_line_ends(self, text):
        assert len(without_html(text)) <= len(text)

    @given(st.text(max_size=80).filter(lambda text: "<" not in text and "&" not in text))
    def test_texts_without_marks_stay(self, text):
        assert without_html(text) == text


@given(st.text(max_size=80))
def test_cleaning_twice_is_cleaning_once_and_never_longer(text):
    cleaned = without_controls(text)
    assert without_controls(cleaned) == cleaned
    assert len(cleaned) <= len(text)
    assert "\x00" not in cleaned


@pytest.mark.parametrize(
    "text", [" " * 20_000 + "x", "\t " * 10_000 + "x", "\n \n" * 6_000, "<br" + " " * 20_000, "<p " * 6_000]
)
def test_no_text_takes_long(text):
    """A pattern that starts anew at every place would take seconds of processor for each of these."""
    began = time.process_time()
    for step in (repair, without_html, nfkc, without_controls):
        step(text)
    assert time.process_time() - began < 0.5
