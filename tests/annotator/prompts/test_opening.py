"""A file is opened by its content, what is in it streamed; a bad line is named, the others are read."""

import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from annotator.prompts import opening
from annotator.prompts.containers import lines, rows
from annotator.prompts.opening import open_source
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import GivenCompletion, Record, Rejected

DATA = Path(os.environ.get("PREFLOOP_DATA", Path(__file__).parents[4] / "shared" / "data"))


def read(tmp_path, content, name="tasks.txt", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_source(path, name, **options) as source:
        return source, list(source.records())


def texts(records):
    return [record.text for record in records if isinstance(record, Record)]


def packed(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, inner in files.items():
            file.writestr(name, inner)
    return content.getvalue()


def png(colour="red"):
    content = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(content, "PNG")
    return content.getvalue()


class TestPairs:
    def test_with_a_header(self, tmp_path):
        source, records = read(tmp_path, "text\tlabel\nSay the opposite.\tAntonyms\nonly one\n")
        assert (source.format, source.encoding, source.total) == ("tsv-pairs", "utf-8", 3)
        assert records == [
            Record(line=2, text="Antonyms", instruction="Say the opposite."),
            Rejected(3, "", "1 columns instead of two: an instruction, a tab, a task.", "only one"),
        ]

    @pytest.mark.parametrize("header", ["text\tlabel", "Instruction\tTask", "completion\tprompt"])
    def test_under_all_their_names(self, tmp_path, header):
        _, (record,) = read(tmp_path, f"{header}\r\nWrite it.\tA task\r\n")
        assert (record.instruction, record.text, record.line) == ("Write it.", "A task", 2)

    def test_a_header_may_turn_the_columns_round(self, tmp_path):
        _, (record,) = read(tmp_path, "task\tinstruction\nA task\tWrite it.\n")
        assert (record.instruction, record.text) == ("Write it.", "A task")

    def test_a_header_of_two_instructions_is_refused(self, tmp_path):
        with pytest.raises(ImportProblem, match="Line 1: the column names"):
            read(tmp_path, "text\tinstruction\na\tb\n")

    def test_a_first_line_that_only_looks_like_a_header_is_data(self, tmp_path):
        assert len(read(tmp_path, "some text\tthe label\nWrite it.\tA task")[1]) == 2

    def test_quotation_marks_are_part_of_the_text(self, tmp_path):
        _, (record,) = read(tmp_path, '"Say it." she said\t"Quoted" task\n')
        assert (record.instruction, record.text) == ('"Say it." she said', '"Quoted" task')

    def test_blank_lines_do_not_count_but_keep_their_numbers(self, tmp_path):
        _, records = read(tmp_path, "\ufeffa\tb\n\n  \nc\td\n")
        assert [record.line for record in records] == [1, 4]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("c\td\te", "Line 2: 3 columns"),
            ("\tc", "Line 2, text: is empty."),
            ("c\t ", "Line 2, label: is empty."),
            ("c" * 20_001 + "\td", "Line 2, text: has 20001 characters"),
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path, line, why):
        _, (first, bad, last) = read(tmp_path, f"a\tb\n{line}\nc\td\n")
        assert str(bad).startswith(why)
        assert (first.text, last.text) == ("b", "d")
        assert bad.raw == line[:500]


class TestJson:
    def test_lines(self, tmp_path):
        source, records = read(tmp_path, json.dumps({"text": "Antonyms", "id": 3}) + "\n{}\n")
        assert source.format == "jsonl-tasks"
        assert records == [
            Record(line=1, text="Antonyms", ignored=("id",)),
            Rejected(2, "text", "is empty, and there are no examples.", "{}"),
        ]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("{", "Line 2: not JSON: .* at character 2"),
            ("[1]", "Line 2: not a JSON object"),
            ('{"text": 1}', "Line 2, text: must be a text, not a number"),
            ('{"text": null}', "Line 2, text: must be a text, not null"),
            ('{"text": "a", "prompt": "b"}', "Line 2, prompt: is given beside “text”"),
            ('{"text": "a", "instruction": ""}', "Line 2, instruction: is empty"),
            (
                '{"text": "a", "domain": "cooking"}',
                "Line 2, domain: “cooking” is not one of customer-service",
            ),
            ('{"text": "a", "examples": ["x"]}', r"Line 2, examples\[1\]: must be an object"),
            ('{"text": "a", "examples": ' + "[" * 100_000, "Line 2: not JSON"),
            ('{"text": "a", "n": ' + "1" * 5000 + "}", "Line 2: not JSON that can be read"),
        ],
    )
    def test_a_bad_line_is_named_and_the_next_is_read(self, tmp_path, line, why):
        _, (first, bad, last) = read(tmp_path, f'{{"text": "fine"}}\n{line}\n{{"text": "fine too"}}')
        assert isinstance(bad, Rejected)
        import re

        assert re.match(why, str(bad))
        assert (first.text, last.text) == ("fine", "fine too")

    def test_a_line_separator_inside_a_text_ends_no_line(self, tmp_path):
        _, (record,) = read(tmp_path, '{"text": "a\u2028b"}')
        assert record.text == "a\u2028b"

    @pytest.mark.parametrize("indent", [None, 2])
    def test_an_array(self, tmp_path, indent):
        content = json.dumps(
            [{"text": "请写"}, {"text": "b" * 100_000, "x": [{}]}, 3, {"text": "c"}], indent=indent
        )
        source, records = read(tmp_path, content)
        assert (source.format, source.total) == ("json-tasks", None)
        assert texts(records) == ["请写", "c"]
        assert [(r.line, r.why) for r in records if isinstance(r, Rejected)] == [
            (2, "has 100000 characters; 20000 are the most."),
            (3, "not a JSON object."),
        ]
        assert source.share_read == 1.0

    def test_an_array_within_an_object(self, tmp_path):
        assert texts(read(tmp_path, '{"data": [{"text": "a"}, {"text": "b"}], "version": 1}')[1]) == [
            "a",
            "b",
        ]

    def test_objects_over_several_lines(self, tmp_path):
        content = json.dumps({"text": "a"}, indent=2) + "\n" + json.dumps({"text": "b"}, indent=2)
        assert texts(read(tmp_path, content)[1]) == ["a", "b"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ('[{"text": "a"}, {"text": ]', "not JSON: .*object 2"),
            ('[{"text": "a"}', "it is cut off: the array does not end after object 1"),
            ('[{"text": "a"}, ' + '{"a":' * 100_000, "object 2 is nested too deep"),
            ("[" * 100_000, "object 1 is nested too deep"),
            ("[]", "it has no rows"),
            ("[1, 2]", "no line of it can be read"),
        ],
    )
    def test_a_damaged_array_is_refused(self, tmp_path, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(tmp_path, content)

    def test_a_very_long_object_is_not_read_into_memory(self, tmp_path):
        content = '[{"text": "a"}, {"text": "' + "x" * (rows.MAX_CHARACTERS + 200_000) + '"}]'
        with pytest.raises(ImportProblem, match="object 2 has more than 4000000 characters"):
            read(tmp_path, content)


class TestTables:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_any_dialect(self, tmp_path, delimiter):
        line = delimiter.join(["text", "instruction", "domain"])
        row = delimiter.join([f'"Write{delimiter} ""quoted""\nin two lines"', "Do it.", "code"])
        source, (record,) = read(tmp_path, f"\ufeff{line}\r\n{row}\r\n")
        assert source.format == ("tsv-tasks" if delimiter == "\t" else "csv-tasks")
        assert record == Record(2, f'Write{delimiter} "quoted"\nin two lines', "Do it.", domain="code")

    def test_what_excel_says_of_its_delimiter(self, tmp_path):
        _, (record,) = read(tmp_path, "sep=;\r\ntext;instruction\r\na, b;c\r\n")
        assert (record.line, record.text, record.instruction) == (3, "a, b", "c")

    def test_one_column(self, tmp_path):
        assert texts(read(tmp_path, "prompt\nAntonyms, please\nSynonyms\n")[1]) == [
            "Antonyms, please",
            "Synonyms",
        ]

    def test_chinese_columns_in_gb18030(self, tmp_path):
        source, (record,) = read(
            tmp_path, "任务,指令,领域\n请写出反义词,写出反义词。,code\n".encode("gb18030")
        )
        assert (source.encoding, record.text, record.instruction) == (
            "gb18030",
            "请写出反义词",
            "写出反义词。",
        )

    def test_other_families_come_in_tables_too(self, tmp_path):
        content = "prompt,chosen,rejected\nThe sky is,blue,green\n"
        source, (record,) = read(tmp_path, content)
        assert source.format == "csv-preference"
        assert record.completions == (GivenCompletion("blue"), GivenCompletion("green"))

    def test_json_in_a_cell(self, tmp_path):
        content = 'messages\n"[{""role"": ""user"", ""content"": ""Hi""}]"\n'
        assert texts(read(tmp_path, content)[1]) == ["Hi"]

    def test_numbered_rows_keep_their_lines(self, tmp_path):
        content = 'text,domain\n"a\nb",code\n\n"c",\nd,code,extra\ne,code\n'
        _, records = read(tmp_path, content)
        assert [record.line for record in records] == [2, 5, 6, 7]
        assert str(records[2]) == "Line 6: 3 fields instead of 2, one for each column."

    def test_a_neutralised_formula_comes_back(self, tmp_path):
        _, records = read(tmp_path, "text,domain\n'=1+1,\n'quoted',\n")
        assert texts(records) == ["=1+1", "'quoted'"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a,b\n1,2\n", "Line 1: no column is named like a task .*“a”, “b”"),
            ("text,text\n1,2\n", "Line 1: two columns are named “text”"),
            ("text,domain\n", "it has no rows"),
            ("text," + ",".join(map(str, range(600))) + "\n", "601 columns; 500 are the most"),
            ('text,domain\na,code\n"b' + "x" * 1_100_000 + "\n", "Line 3: .*not CSV .* mark not closed"),
            ("text,domain\na,code\n" + "x" * 2_100_000 + "\n", "Line 3: .*has more than 2000000 characters"),
        ],
    )
    def test_tables_that_cannot_be_read(self, tmp_path, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(tmp_path, content)


class TestEncodings:
    content = '{"text": "请写出“反义词”……"}\n{"text": "第二个任务"}\n'

    @pytest.mark.parametrize(
        ("codec", "encoding"),
        [
            ("utf-8", "utf-8"),
            ("utf-8-sig", "utf-8"),
            ("utf-16", "utf-16"),
            ("utf-16-le", "utf-16-le"),
            ("utf-16-be", "utf-16-be"),
            ("gb18030", "gb18030"),
            ("gbk", "gb18030"),
        ],
    )
    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_all_that_are_known(self, tmp_path, codec, encoding, newline):
        source, records = read(tmp_path, self.content.replace("\n", newline).encode(codec))
        assert (source.encoding, source.total) == (encoding, 2)
        assert texts(records) == ["请写出“反义词”……", "第二个任务"]

    def test_big_endian_with_its_mark(self, tmp_path):
        source, records = read(tmp_path, b"\xfe\xff" + self.content.encode("utf-16-be"))
        assert (source.encoding, len(records)) == ("utf-16", 2)

    def test_the_first_chinese_far_down(self, tmp_path):
        content = "Say it.\tAntonyms\n" * 70_000 + "请\t写出反义词\n"
        source, records = read(tmp_path, content.encode("gb18030"))
        assert (source.encoding, records[-1].text) == ("gb18030", "写出反义词")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a\tb\nfür\tgrün und schön\n".encode("latin-1"), "Line 2: byte 0xfc is not UTF-8"),
            ("a\tb\nпривет\tмир и все его обитатели\n".encode("cp1251"), "Line 2: byte 0xef is not UTF-8"),
            ("a\tb\n請寫出這個詞彙的反義詞並說明\t意義\n".encode("big5"), "Line 2: byte 0x.. is not UTF-8"),
            (b"\xff\xfea\x00\t\x00b\x00\n", "it is damaged: it says it is UTF-16"),
        ],
    )
    def test_others_are_refused(self, tmp_path, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(tmp_path, content)


class TestWhatItIsNot:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "The file: it is empty"),
            (b" \n \n", "The file: it is empty"),
            (b"\xef\xbb\xbf\n", "The file: it is empty"),
            (b"just words", "Line 1: neither JSON"),
            (b"\n\njust words", "Line 3: neither JSON"),
            (b'{"a": 1}\n', "fields are “a”"),
            (b"%PDF-1.7 x", "it is a PDF"),
            (b"\x80\x04\x95abc", "it is a pickle, which is never read"),
            (b"\x89PNG\r\n\x1a\n", "it is an image"),
            (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        ],
    )
    def test_it_is_refused_with_its_name(self, tmp_path, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(tmp_path, content)

    def test_the_ending_does_not_matter(self, tmp_path):
        source, _ = read(tmp_path, '{"text": "a"}', name="tasks.parquet")
        assert source.format == "jsonl-tasks"

    def test_too_large(self, tmp_path, settings):
        settings.IMPORT_MAX_BYTES = 1000
        with pytest.raises(ImportProblem, match="are the most"):
            read(tmp_path, b"a\tb\n" * 300)

    def test_too_many_tasks(self, tmp_path, monkeypatch):
        monkeypatch.setattr(opening, "MAX_ROWS", 2)
        with pytest.raises(ImportProblem, match="more than 2 tasks"):
            read(tmp_path, "a\tb\n" * 3)

    def test_a_very_long_line_is_passed_over(self, tmp_path, monkeypatch):
        monkeypatch.setattr(lines, "MAX_CHARACTERS", 1000)
        content = '{"text": "a"}\n{"text": "' + "x" * 5000 + '"}\n{"text": "c"}'
        _, (first, bad, last) = read(tmp_path, content)
        assert (first.text, last.text) == ("a", "c")
        assert str(bad) == "Line 2: has 5012 characters; 1000 are the most in one line."
        assert len(bad.raw) == 500


class TestGzip:
    def test_it_is_unpacked(self, tmp_path):
        content = gzip.compress(b'{"text": "a"}\n', mtime=0) + gzip.compress(b'{"text": "b"}\n')
        source, records = read(tmp_path, content)
        assert (source.format, texts(records)) == ("gzip-jsonl-tasks", ["a", "b"])

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (gzip.compress(b"a\tb\n" * 1_000_000, mtime=0), "200 times its size"),
            (gzip.compress(gzip.compress(b"a\tb", mtime=0), mtime=0), "archive within the archive"),
            (gzip.compress(b"", mtime=0), "it is empty"),
            (b"\x1f\x8bnonsense", "damaged gzip"),
        ],
    )
    def test_what_is_refused(self, tmp_path, content, message):
        with pytest.raises(ImportProblem, match=message):
            read(tmp_path, content)

    def test_more_than_may_be_unpacked(self, tmp_path, settings):
        content = gzip.compress(os.urandom(50_000).hex().encode())
        settings.IMPORT_MAX_BYTES = len(content)  # times 8 is enough, and 1 MB is not looked at for its ratio
        with pytest.raises(ImportProblem, match="neither"):
            read(tmp_path, content)


class TestImages:
    table = "image,description,instruction\nbarn.png,A red barn.,Say what you see.\n"

    def test_a_zip_with_a_table(self, tmp_path):
        content = packed(
            {"set/table.csv": self.table, "set/barn.png": png(), "__MACOSX/set/._table.csv": "x"}
        )
        path = tmp_path / "barns.zip"
        path.write_bytes(content)
        with open_source(path, "barns.zip") as source:
            (record,) = source.records()
            assert source.format == "zip-csv-tasks"
            assert (record.image, record.image_text) == ("set/barn.png", "A red barn.")
            assert (record.text, record.instruction) == ("A red barn.", "Say what you see.")
            assert source.image(record.image) == png()
            with pytest.raises(KeyError):
                source.image("set/cat.png")

    def test_images_in_a_folder_of_their_own(self, tmp_path):
        table = '{"image": "barn.png", "image_text": "A barn.", "text": "Describe it."}'
        _, (record,) = read(tmp_path, packed({"table.jsonl": table, "images/barn.png": png()}))
        assert (record.image, record.text) == ("images/barn.png", "Describe it.")

    @pytest.mark.parametrize(
        ("files", "why"),
        [
            ({}, "image: “barn.png” is not in the zip."),
            ({"barn.png": b"no image"}, "image: “barn.png”: The file is not a PNG, JPEG or WebP image."),
            ({"barn.png": png()[:45]}, "image: “barn.png”: The image is damaged or cut off"),
        ],
    )
    def test_what_is_no_image_is_named(self, tmp_path, files, why):
        _, (bad,) = read(tmp_path, packed({"table.csv": self.table, **files}))
        assert str(bad).startswith(f"Line 2, {why}")

    def test_an_image_needs_a_description(self, tmp_path):
        table = "image,text\nbarn.png,Describe it.\n"
        _, (bad,) = read(tmp_path, packed({"table.csv": table, "barn.png": png()}))
        assert (
            str(bad) == "Line 2, image_text: is empty: say what the image shows, for those who cannot see it."
        )

    @pytest.mark.parametrize(
        "name", ["../barn.png", "/etc/passwd", "https://example.org/barn.png", "C:\\barn.png"]
    )
    def test_an_image_elsewhere_is_never_looked_for(self, tmp_path, name):
        table = f"image,description\n{name},A barn.\n"
        _, (bad,) = read(tmp_path, packed({"table.csv": table, "barn.png": png()}))
        assert "is not in the zip" in bad.why

    def test_without_a_zip_there_is_no_image(self, tmp_path):
        _, (record,) = read(tmp_path, self.table)
        assert (record.image, record.image_text, record.text) == ("", "", "A red barn.")
        assert record.ignored == ("image",)


def parquet(rows_, **options):
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows_), content, **options)
    return content.getvalue()


ULTRA = [
    {"instruction": f"Task {n}", "completions": [{"model": m, "response": f"{m}{n}", "overall_score": s}
        for m, s in (("a", 1.0), ("b", 2.0))]}
    for n in range(5)
]  # fmt: skip


class TestColumns:
    def test_parquet_in_row_groups(self, tmp_path):
        source, records = read(tmp_path, parquet(ULTRA, row_group_size=2))
        assert (source.format, source.encoding, source.total) == ("parquet-ultrafeedback", "", 5)
        assert texts(records) == [f"Task {n}" for n in range(5)]
        assert [record.line for record in records] == [1, 2, 3, 4, 5]
        assert records[0].preferences[0].ranks == (2, 1)
        assert source.share_read == 1.0

    @pytest.mark.parametrize("stream", [True, False])
    def test_arrow(self, tmp_path, stream):
        table = pa.Table.from_pylist([{"text": "请写", "blob": b"x"}, {"text": "b"}])
        content = io.BytesIO()
        opened = pa.ipc.new_stream if stream else pa.ipc.new_file
        with opened(content, table.schema) as writer:
            writer.write_table(table)
        source, records = read(tmp_path, content.getvalue())
        assert (source.format, texts(records)) == ("arrow-tasks", ["请写", "b"])

    def test_dates_and_missing_values(self, tmp_path):
        import datetime

        given = [{"text": "a", "instruction": None, "when": datetime.datetime(2026, 1, 1), "n": float("nan")}]
        _, (record,) = read(tmp_path, parquet(given))
        assert (record.text, record.instruction, record.ignored) == ("a", "", ("when", "n"))

    @pytest.mark.parametrize(
        "content", [b"PAR1 and nothing", b"ARROW1\0\0 and nothing", b"\xff\xff\xff\xff\xff\xff"]
    )
    def test_damaged(self, tmp_path, content):
        with pytest.raises(ImportProblem, match=r"it is damaged|cannot be unpacked|no rows"):
            read(tmp_path, content)

    def test_every_cut_of_a_file_is_refused_or_read(self, tmp_path):
        content = parquet(ULTRA)
        for cut in range(8, len(content), len(content) // 6):
            with pytest.raises(ImportProblem):
                read(tmp_path, content[:cut])


class TestDatasets:
    def test_saved_by_the_library(self, tmp_path):
        datasets = pytest.importorskip("datasets")
        folder = tmp_path / "saved"
        datasets.Dataset.from_list(
            [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]
        ).save_to_disk(folder)
        (folder / "cache-0123.arrow").write_bytes(b"left behind")
        with open_source(folder, "saved") as source:
            assert source.format == "dataset-arrow-tasks"
            assert texts(source.records()) == ["a", "c"]

    def test_splits_in_a_zip(self, tmp_path):
        datasets = pytest.importorskip("datasets")
        folder = tmp_path / "saved"
        parts = {name: datasets.Dataset.from_list([{"text": name}]) for name in ("train", "test")}
        datasets.DatasetDict(parts).save_to_disk(folder)
        files = {f"saved/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        source, records = read(tmp_path, packed(files))
        assert (source.format, texts(records)) == ("dataset-arrow-tasks", ["test", "train"])

    def test_parquet_as_a_hub_keeps_it(self, tmp_path):
        files = {
            "README.md": "---\nlicense: mit\n---\n",
            "dataset_info.json": json.dumps({"download_checksums": {"http://example.org/x": {}}}),
            "data/train-00000-of-00002.parquet": parquet([{"text": "a"}]),
            "data/train-00001-of-00002.parquet": parquet([{"text": "b"}]),
        }
        source, records = read(tmp_path, packed(files))
        assert (source.format, source.total, texts(records)) == ("dataset-parquet-tasks", 2, ["a", "b"])

    def test_what_is_no_table_of_tasks_is_passed_over_and_named(self, tmp_path):
        files = {
            "manifest.json": '{"counts": {"lines": 1}}',
            "data.jsonl": '{"text": "a"}',
            "n.csv": "x,y\n1,2\n",
        }
        source, records = read(tmp_path, packed(files))
        assert (source.format, texts(records)) == ("zip-jsonl-tasks", ["a"])
        assert [str(record) for record in records if isinstance(record, Rejected)] == [
            "The file, manifest.json: its rows are of no form that is known; their fields are “counts”.",
            "The file, n.csv: no column is named like a task (text, task, prompt, …): “x”, “y”.",
        ]

    def test_a_damaged_table_is_not_passed_over(self, tmp_path):
        files = {"a.jsonl": '{"text": "a"}', "b.json": '[{"text": ]'}
        with pytest.raises(ImportProblem, match=r"The file: “b\.json” in the zip: not JSON"):
            read(tmp_path, packed(files))

    @pytest.mark.parametrize("name", ["../other.arrow", "/etc/passwd", "a/b.arrow", "..\\x"])
    def test_a_list_that_leads_elsewhere_is_refused(self, tmp_path, name):
        state = json.dumps({"_data_files": [{"filename": name}]})
        with pytest.raises(ImportProblem, match="not in its folder"):
            read(tmp_path, packed({"state.json": state, "t.jsonl": '{"text": "a"}'}))

    def test_a_link_out_of_the_folder_is_refused(self, tmp_path):
        (tmp_path / "secret.jsonl").write_text('{"text": "secret"}')
        folder = tmp_path / "set"
        folder.mkdir()
        (folder / "dataset_info.json").write_text("{}")
        (folder / "train.jsonl").symlink_to(tmp_path / "secret.jsonl")
        with pytest.raises(ImportProblem, match="leads out of the folder"):
            open_source(folder, "set")

    def test_a_folder_of_lines(self, tmp_path):
        folder = tmp_path / "set"
        folder.mkdir()
        (folder / "dataset_info.json").write_text("{}")
        (folder / "train.jsonl").write_text('{"text": "a"}')
        with open_source(folder, "set") as source:
            assert (source.format, texts(source.records())) == ("dataset-jsonl-tasks", ["a"])

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(ImportProblem, match="has no table"):
            open_source(tmp_path, "set")


def test_what_was_unpacked_is_gone_afterwards(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "unpacked"))
    (tmp_path / "unpacked").mkdir()
    read(tmp_path, packed({"a.jsonl": '{"text": "a"}'}))
    with pytest.raises(ImportProblem):
        read(tmp_path, packed({"a.jsonl": '{"nothing": "a"}'}))
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_records_may_be_read_twice_and_left_halfway(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(parquet([{"text": f"t{n}"} for n in range(300)]))
    with open_source(path, "t.parquet") as source:
        assert next(source.records()).text == "t0"
        assert 0 < source.share_read < 0.1
        assert len(list(source.records())) == 300


COUNTS = {  # tasks, completions and preferences that each brings
    "autoj_pairwise.jsonl": (1392, 2774, 1382),
    "belle_zh_seed_tasks.jsonl": (175, 175, 0),
    "instruction_induction.jsonl": (16, 126, 0),
    "pandalm_votes.jsonl": (999, 1944, 2835),
    "self_instruct_seed_tasks.jsonl": (175, 175, 0),
    "winogender_templates.tsv": (120, 0, 0),
}


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of data is not beside the project")
@pytest.mark.parametrize("name", COUNTS)
def test_real_files(name):
    with open_source(DATA / name, name) as source:
        records = list(source.records())
    assert not [record for record in records if isinstance(record, Rejected)]
    given = sum(len(record.given) for record in records), sum(len(record.preferences) for record in records)
    assert (len(records), *given) == COUNTS[name]
