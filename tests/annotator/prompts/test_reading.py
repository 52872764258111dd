"""Files are read by what is in them, and a bad line is named."""

import json

import pytest

from annotator.prompts import reading
from annotator.prompts.reading import ImportProblem, decode, guess_language, read_rows, recognise, split_lines


def read(content):
    lines = split_lines(decode(content if isinstance(content, bytes) else content.encode()))
    return list(read_rows(lines, recognise(lines)))


def line(**row):
    return json.dumps(row, ensure_ascii=False)


class TestTabs:
    def test_an_instruction_then_its_task(self):
        (row,) = read("Write the opposite.\tGive antonyms\n")
        assert (row.instruction, row.text, row.line) == ("Write the opposite.", "Give antonyms", 1)

    @pytest.mark.parametrize("header", ["text\tlabel", "Instruction\tTask", "completion\tprompt"])
    def test_a_header_is_left_out(self, header):
        (row,) = read(f"{header}\r\nWrite it.\tA task\r\n")
        assert (row.instruction, row.text, row.line) == ("Write it.", "A task", 2)

    def test_a_header_may_turn_the_columns_round(self):
        (row,) = read("task\tinstruction\nA task\tWrite it.\n")
        assert (row.instruction, row.text) == ("Write it.", "A task")

    def test_a_header_of_two_instructions_is_refused(self):
        with pytest.raises(ImportProblem, match="Line 1: the column names"):
            read("text\tinstruction\na\tb\n")

    def test_a_first_line_that_only_looks_like_a_header_is_data(self):
        assert len(read("text\tthe label\nWrite it.\tA task")) == 2

    def test_blank_lines_do_not_count_but_keep_their_numbers(self):
        rows = read("\ufeffa\tb\n\n  \nc\td\n")
        assert [row.line for row in rows] == [1, 4]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a\tb\nc\td\te", "Line 2: 3 columns"),
            ("a\tb\nc", "Line 2: 1 columns"),
            ("a\tb\n\tc", "Line 2, text: is empty"),
            ("a\tb\nc\t\x00 ", "Line 2, label: is empty"),
            ("a\tb\n" + "c" * 20_001 + "\td", "Line 2, text: has 20001 characters"),
        ],
    )
    def test_a_bad_line_is_named(self, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(content)


class TestJson:
    def test_a_task_with_everything(self):
        (row,) = read(
            line(
                text="Antonyms ",
                domain="Customer Service",
                language="zh_CN",
                examples=[{"input": "hot", "output": "cold"}],
                held_out_examples=[{"input": "up", "output": "down"}],
                reference="Write the opposite.",
                source="me",
            )
        )
        assert (row.text, row.domain, row.language) == ("Antonyms", "customer-service", "zh-hans")
        assert row.examples == ({"input": "hot", "output": "cold"},)
        assert row.held_out_examples == ({"input": "up", "output": "down"},)
        assert (row.reference, row.instruction, row.ignored) == ("Write the opposite.", "", ("source",))

    @pytest.mark.parametrize("task", ["text", "task", "prompt"])
    @pytest.mark.parametrize("instruction", ["instruction", "completion"])
    def test_pairs_under_all_their_names(self, task, instruction):
        (row,) = read(line(**{task: "A task", instruction: "Write it."}))
        assert (row.text, row.instruction) == ("A task", "Write it.")

    def test_a_task_may_consist_of_examples(self):
        (row,) = read(line(text="", examples=[{"input": "", "output": "x"}]))
        assert (row.text, len(row.examples)) == ("", 1)

    def test_a_line_separator_inside_a_text_ends_no_line(self):
        (row,) = read('{"text": "a\u2028b"}')
        assert row.text == "a\nb"

    @pytest.mark.parametrize(
        ("second", "message"),
        [
            ("{", "Line 2: not JSON: .* at character 2"),
            ("[1]", "Line 2: not a JSON object"),
            ("7", "Line 2: not a JSON object"),
            ('{"text": 1}', "Line 2, text: must be a text, not a number"),
            ('{"text": null}', "Line 2, text: must be a text, not null"),
            ('{"text": " "}', "Line 2, text: is empty"),
            ("{}", "Line 2, text: is empty"),
            ('{"text": "a", "prompt": "b"}', "Line 2, prompt: is given beside “text”"),
            ('{"text": "a", "instruction": ""}', "Line 2, instruction: is empty"),
            (
                '{"text": "a", "domain": "cooking"}',
                "Line 2, domain: “cooking” is not one of customer-service",
            ),
            ('{"text": "a", "language": "English!"}', "Line 2, language: “English!”"),
            ('{"text": "a", "examples": {}}', "Line 2, examples: must be a list, not an object"),
            ('{"text": "a", "examples": ["x"]}', r"Line 2, examples\[1\]: must be an object"),
            ('{"text": "a", "examples": [{"input": "x"}]}', r"Line 2, examples\[1\]: must be"),
            (
                '{"text": "a", "examples": [{"input": "x", "output": 3}]}',
                r"Line 2, examples\[1\]\.output: must be a text",
            ),
            (
                '{"text": "a", "held_out_examples": [{"input": "x", "output": " "}]}',
                r"Line 2, held_out_examples\[1\]\.output: is empty",
            ),
            ('{"text": "a", "reference": ["x"]}', "Line 2, reference: must be a text, not a list"),
            ('{"text": "a", "examples": ' + "[" * 100_000, "Line 2: not JSON"),
        ],
    )
    def test_a_bad_line_is_named(self, second, message):
        with pytest.raises(ImportProblem, match=message):
            read(line(text="fine") + "\n" + second)

    def test_too_many_examples(self):
        many = [{"input": "a", "output": "b"}] * 201
        with pytest.raises(ImportProblem, match="Line 1, examples: has 201"):
            read(line(text="a", examples=many))


class TestFile:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "The file: it is empty"),
            (b" \n \n", "The file: it is empty"),
            ("a\tb".encode("utf-16"), "UTF-16"),
            (b"a\tb\n\xc4\xe3\tc", "Line 2: byte 0xc4 is not UTF-8"),
            (b"PK\x03\x04rest", "compressed"),
            (b'[{"text": "a"}]', "JSON array"),
            (b"just words", "Line 1: neither"),
            (b"\n\njust words", "Line 3: neither"),
        ],
    )
    def test_what_is_no_task_file_is_refused(self, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(content)

    def test_too_many_lines(self, monkeypatch):
        monkeypatch.setattr(reading, "MAX_LINES", 2)
        with pytest.raises(ImportProblem, match="3 lines; 2 are the most"):
            read("a\tb\n" * 3)


@pytest.mark.parametrize(
    ("text", "default", "language"),
    [
        ("请写出反义词", "en", "zh-hans"),
        ("把 JSON 改成 YAML 格式", "en", "zh-hans"),
        ("Write antonyms", "en", "en"),
        ("Write antonyms", "zh-hans", "en"),
        ("Écris le contraire", "fr", "fr"),
        ("", "en", "en"),
    ],
)
def test_the_language_is_seen_where_none_is_given(text, default, language):
    assert guess_language(text, default) == language
