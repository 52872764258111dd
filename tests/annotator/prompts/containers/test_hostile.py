"""Files made to do harm are refused with a clear message, within bounded memory."""

import io
import json
import os
import resource
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotator.prompts.containers import archives, columns
from annotator.prompts.opening import open_source
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Rejected

TASK = '{"text": "a"}'


def read(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with open_source(path, "file") as source:
        return list(source.records())


def refused(tmp_path, content):
    with pytest.raises(ImportProblem) as problem:
        read(tmp_path, content)
    return problem.value.message


def packed(*entries):
    """A zip of entries: a name or ZipInfo, and its content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, inner in entries:
            file.writestr(name, inner)
    return content.getvalue()


class TestPathsInZips:
    @pytest.mark.parametrize(
        "name",
        [
            "../tasks.jsonl",
            "a/../../tasks.jsonl",
            "/etc/tasks.jsonl",
            "C:/tasks.jsonl",
            "..\\tasks.jsonl",
            "C:x",
            "\\\\host\\x",
        ],
    )
    def test_they_may_not_lead_out(self, tmp_path, name):
        message = refused(tmp_path, packed(("good.jsonl", TASK), (zipfile.ZipInfo(name), TASK)))
        assert "leads out of it" in message

    def test_nothing_was_written(self, tmp_path):
        folder = tmp_path / "inner"
        folder.mkdir()
        refused(folder, packed(("../escaped.jsonl", TASK)))
        assert not (tmp_path / "escaped.jsonl").exists()

    def test_a_nul_hides_nothing(self, tmp_path):
        content = packed(("tasks.jsonl_.png", TASK)).replace(b"tasks.jsonl_.png", b"tasks.jsonl\0.png")
        assert "leads out of it" in refused(tmp_path, content)

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    def test_links_and_devices(self, tmp_path, kind):
        info = zipfile.ZipInfo("tasks.jsonl")
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        assert "is a link or a device" in refused(tmp_path, packed((info, "/etc/passwd")))

    def test_two_of_one_name(self, tmp_path):
        with pytest.warns(UserWarning, match="Duplicate"):
            content = packed(("a.jsonl", TASK), ("a.jsonl", TASK))
        assert "two files of one name" in refused(tmp_path, content)


class TestZipBombs:
    def test_packed_too_tightly(self, tmp_path):
        message = refused(tmp_path, packed(("tasks.jsonl", b"\0" * 50_000_000)))
        assert message == "“tasks.jsonl” unpacks to more than 200 times its size, as a zip bomb."

    def test_more_than_may_be_unpacked(self, tmp_path, settings):
        settings.IMPORT_MAX_BYTES = 1024 * 1024
        line = "".join(chr(97 + n % 26) for n in range(997))
        files = [(f"{n}.jsonl", (f"{n}{line}\n" * 30).encode()) for n in range(300)]
        message = refused(tmp_path, packed(*files))
        assert message == "the zip has 9 MB unpacked; 8 MB are the most."

    @pytest.mark.parametrize("name", ["inner.zip", "INNER.ZIP", "inner.tar.gz", "inner.7z"])
    def test_an_archive_within(self, tmp_path, name):
        assert "is an archive again" in refused(
            tmp_path, packed(("a.jsonl", TASK), (name, packed(("b", TASK))))
        )

    def test_an_archive_under_another_name_is_no_table(self, tmp_path):
        message = refused(tmp_path, packed(("a.jsonl", packed(("b.jsonl", TASK)))))
        assert message == "“a.jsonl” in the zip: there is an archive within the archive. Unpack it first."

    def test_overlapping_files(self, tmp_path):
        """As in David Fifield's bomb: many entries of the list share one piece of packed data."""
        content = bytearray(packed(("a.jsonl", os.urandom(5000).hex()), ("b.jsonl", os.urandom(5000).hex())))
        directory = content.rfind(b"PK\x01\x02")
        struct.pack_into("<L", content, directory + 42, 0)  # the second begins where the first does
        struct.pack_into("<L", content, directory + 20, len(content))
        assert "overlap" in refused(tmp_path, bytes(content))

    def test_more_than_the_list_says(self, tmp_path):
        """The list says 10 bytes, the data unpack to 13: whatever is wrong, no more is written than said."""
        content = bytearray(packed(("a.jsonl", TASK)))
        directory = content.rfind(b"PK\x01\x02")
        struct.pack_into("<L", content, directory + 24, 10)
        assert "damaged zip" in refused(tmp_path, bytes(content))

    def test_a_list_too_long_is_never_read(self, tmp_path):
        content = bytearray(packed(("a.jsonl", TASK)))
        end = content.rfind(b"PK\x05\x06")
        struct.pack_into("<L", content, end + 12, archives.MAX_DIRECTORY + 1)
        assert "too many files" in refused(tmp_path, bytes(content))

    def test_too_many_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archives, "MAX_FILES", 2)
        message = refused(tmp_path, packed(*((f"{n}.jsonl", TASK) for n in range(3))))
        assert message == "the zip has too many files; 2 are the most."

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_unusual_methods(self, tmp_path, method):
        info = zipfile.ZipInfo("a.jsonl")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as file:
            file.writestr(info, TASK, method)
        assert "a method other than deflate" in refused(tmp_path, content.getvalue())

    def test_encrypted(self, tmp_path):
        content = bytearray(packed(("a.jsonl", TASK)))
        content[content.rfind(b"PK\x01\x02") + 8] |= 1
        assert "is encrypted" in refused(tmp_path, bytes(content))

    def test_any_byte_may_be_wrong(self, tmp_path):
        """Whatever is changed, the zip is read or refused, and nothing else happens."""
        whole = packed(("a.csv", "image,description\nb.png,A barn.\n"), ("b.png", b"x" * 50))
        random = np.random.default_rng(3)
        for _ in range(150):
            content = bytearray(whole)
            for place in random.integers(4, len(content), 3):
                content[place] = random.integers(0, 256)
            try:
                read(tmp_path, bytes(content))
            except ImportProblem:
                continue

    def test_office_documents(self, tmp_path):
        assert "Office document" in refused(
            tmp_path, packed(("[Content_Types].xml", "<x/>"), ("a.csv", "text\na\n"))
        )

    def test_no_table(self, tmp_path):
        assert "has no table" in refused(tmp_path, packed(("a.png", b"x")))


def test_a_gigabyte_in_one_line_takes_no_gigabyte(tmp_path):
    """Sparse on the disk; read by a process that may not have half of it."""
    path = tmp_path / "line.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n{"text": "')
        for _ in range(64):
            file.write(b"x" * (1 << 24))
        file.write(b'"}\n{"text": "c"}\n')
    program = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from django.conf import settings
settings.IMPORT_MAX_BYTES = 2 << 30
from pathlib import Path
from annotator.prompts.opening import open_source
with open_source(Path(sys.argv[1]), "line") as source:
    print([getattr(record, "why", "ok") for record in source.records()])
# Not getrusage: that begins with what the parent had when it started this process.
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[4],
        check=True,
    )
    what, megabytes = done.stdout.splitlines()
    assert what == "['ok', 'has 1073741836 characters; 4000000 are the most in one line.', 'ok']"
    assert int(megabytes) < 400


def parquet(table, **options):
    content = io.BytesIO()
    pq.write_table(table, content, **options)
    return content.getvalue()


class TestColumnBombs:
    def test_a_dictionary_that_every_row_refers_to(self, tmp_path):
        """100,000 rows of one text of 3.9 MB: 390 GB in lines, a few kilobytes in the file."""
        text = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 3_900_000])
        )
        content = parquet(pa.table({"text": text}), compression="zstd")
        assert len(content) < 100_000
        assert refused(tmp_path, content) == "its rows have more than 512 MB once they are unpacked."

    def test_a_list_whose_items_all_refer_to_it(self, tmp_path):
        """One row of a million references to a text of 1 MB: a terabyte as one line."""
        items = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(1_000_000, np.int32)), pa.array(["x" * 1_000_000])
        )
        lists = pa.ListArray.from_arrays(pa.array([0, 1_000_000], pa.int32()), items)
        content = io.BytesIO()
        table = pa.table({"instructions": lists, "text": ["a"]})
        with pa.ipc.new_file(content, table.schema) as writer:
            writer.write_table(table)
        assert "MB of memory to unpack" in refused(tmp_path, content.getvalue())

    def test_a_page_that_unpacks_to_more_than_there_is(self, tmp_path, monkeypatch):
        monkeypatch.setattr(columns, "MAX_MEMORY", 1 << 29)
        values = pa.array(["x" * 400_000_000])
        content = parquet(pa.table({"text": values}), compression="zstd", use_dictionary=False)
        del values
        assert len(content) < 1_000_000
        assert refused(tmp_path, content) == "it takes more than 512 MB of memory to unpack."

    def test_too_many_rows(self, tmp_path):
        content = parquet(pa.table({"text": pa.array(["a"] * 100_001)}))
        assert refused(tmp_path, content) == "it has 100001 rows; 100000 are the most in one file."

    def test_a_row_that_is_too_long_is_named(self, tmp_path):
        content = parquet(pa.table({"text": ["a", "x" * 5_000_000, "c"]}))
        first, bad, last = read(tmp_path, content)
        assert (first.text, last.text) == ("a", "c")
        assert isinstance(bad, Rejected)
        assert str(bad) == "Line 2: has more than 4000000 characters, the most in one row."

    def test_any_byte_may_be_wrong(self, tmp_path):
        whole = parquet(pa.table({"text": [f"task {n}" for n in range(50)]}))
        random = np.random.default_rng(5)
        for _ in range(12):
            content = bytearray(whole)
            for place in random.integers(4, len(content), 5):
                content[place] = random.integers(0, 256)
            try:
                read(tmp_path, bytes(content))
            except ImportProblem:
                continue

    def test_the_process_is_ended_when_nobody_reads_on(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(parquet(pa.table({"text": ["x" * 1000] * 50_000})))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        items = columns.Columns(path, "parquet").items()
        next(items)
        items.close()
        after = resource.getrusage(
            resource.RUSAGE_CHILDREN
        )  # of processes that have ended and were waited for
        assert after.ru_utime > before.ru_utime
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


def test_json_within_a_table_that_is_nested_too_deep(tmp_path):
    cell = "[" * 100_000
    good = '"[{""role"": ""user"", ""content"": ""Hi""}]"'
    bad, record = read(tmp_path, f"messages\n{cell}\n{good}\n".encode())
    assert str(bad) == "Line 2, messages: must be a list of messages, not str."
    assert record.text == "Hi"


def test_numbers_no_machine_can_hold(tmp_path):
    content = json.dumps({"instruction": "a", "completions": [{"response": "x", "overall_score": 1}]})
    rows = read(tmp_path, content.replace(": 1}", ": 1e999}").encode() + b"\n")
    assert rows[0].text == "a"


def test_gzip_is_cut_off(tmp_path):
    content = zlib.compress(TASK.encode() * 100, wbits=31)
    assert refused(tmp_path, content[: len(content) // 2])
