"""Tokens are counted with the generator's own tokenizer, and without its model."""

import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from annotator.prompts.tokens import counter

ROOT = Path(__file__).parents[3]
EMBEDDED = ROOT / "var" / "models" / "smollm2"


def test_words_of_a_small_tokenizer(tmp_path):
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "[BOS]": 1, "write": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", 1)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    count = counter(tmp_path)
    assert [count(text) for text in ("", "write", "write a poem now")] == [0, 1, 4]


def test_a_folder_without_one(tmp_path):
    assert counter(tmp_path) is None


@pytest.mark.real
@pytest.mark.skipif(not EMBEDDED.is_dir(), reason="the embedded model is not prepared")
def test_the_embedded_generators(tmp_path):
    """As its own library counts; and counting loads no torch."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(EMBEDDED)
    ours = counter(EMBEDDED)
    for text in ("Write a poem about the rain.", "请写出反义词", "def f(x):\n    return x"):
        assert ours(text) == len(theirs(text, add_special_tokens=False).input_ids)
    program = (
        "import sys; from pathlib import Path; from annotator.prompts.tokens import counter;"
        f"counter(Path({str(EMBEDDED)!r}))('x'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
