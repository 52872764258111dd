"""Writes a Parquet or Arrow file as lines of JSON: `columns_child.py parquet FILE ROWS BYTES`.

A process of its own, because such a file may claim any amount of memory: a page that unpacks to gigabytes, or
a text that a million rows refer to. The system holds this process to BYTES; what it may spoil is itself.
Columns that are not text, numbers, truth values or dates, and lists and structures of these, are left out.
Ends with 3 and one line on standard error where the file is at fault.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve address space that they do not use

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 64
"""Rows that are decoded at a time."""


class Refused(Exception):
    """What is wrong with the file."""


def main() -> int:
    """See the module; the process's exit code."""
    kind, path, most_rows, most_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        batches = parquet(path, most_rows) if kind == "parquet" else arrow(path)
        write(batches, most_rows)
    except Refused as error:
        return refuse(str(error))
    except MemoryError:
        return refuse(f"it takes more than {most_bytes // 1024**2} MB of memory to unpack.")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        return 0
    except (pa.ArrowException, OSError, ValueError) as error:
        if "alloc" in str(error).lower() or "memory" in str(error).lower():
            return refuse(f"it takes more than {most_bytes // 1024**2} MB of memory to unpack.")
        return refuse(f"it is damaged: {' '.join(str(error).split())[:300]}")
    return 0


def parquet(path: str, most_rows: int) -> Iterator[pa.RecordBatch]:
    """The file's rows, a few at a time; texts as references to their dictionaries, so that none is copied."""
    with pq.ParquetFile(path, memory_map=True) as outer:
        if outer.metadata.num_rows > most_rows:
            raise Refused(f"it has {outer.metadata.num_rows} rows; {most_rows} are the most in one file.")
        schema = outer.schema_arrow
        total = outer.metadata.num_rows
    sys.stdout.write(json.dumps({"rows": total}) + "\n")
    names = [field.name for field in schema if readable(field.type)]
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    with pq.ParquetFile(path, memory_map=True, read_dictionary=texts, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=BATCH, columns=names, use_threads=False)


def arrow(path: str) -> Iterator[pa.RecordBatch]:
    """The file's rows, whether it is of Arrow's file or stream format."""
    with pa.memory_map(path) as source:
        sys.stdout.write(json.dumps({"rows": None}) + "\n")
        if source.read(6) == b"ARROW1":
            file = pa.ipc.open_file(source)
            batches: Iterator[pa.RecordBatch] = (file.get_batch(n) for n in range(file.num_record_batches))
        else:
            source.seek(0)
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            names = [field.name for field in batch.schema if readable(field.type)]
            batch = batch.select(names)
            for start in range(0, batch.num_rows, BATCH):
                part = batch.slice(start, BATCH)
                part.validate(full=True)  # offsets that lead out of their buffer
                yield part


def write(batches: Iterator[pa.RecordBatch], most_rows: int) -> None:
    """One line of JSON a row."""
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        if rows > most_rows:
            raise Refused(f"it has more than {most_rows} rows, the most in one file.")
        for place in range(batch.num_rows):
            row = {name: batch.column(n)[place].as_py() for n, name in enumerate(batch.schema.names)}
            given = {name: value for name, value in row.items() if value is not None}
            sys.stdout.write(json.dumps(given, ensure_ascii=False, default=str) + "\n")


def readable(kind: pa.DataType) -> bool:
    """Whether values of the type have a place in JSON."""
    nested: Any = kind
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return readable(nested.value_type)
    if pa.types.is_struct(kind):
        return all(readable(nested.field(n).type) for n in range(nested.num_fields))
    if pa.types.is_dictionary(kind):
        return readable(nested.value_type)
    tests = (
        pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer,
        pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal, pa.types.is_decimal,
        pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def refuse(message: str) -> int:
    """Say what is wrong with the file."""
    sys.stderr.write(message + "\n")
    return 3


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    sys.exit(main())
