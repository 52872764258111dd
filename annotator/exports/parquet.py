"""Parquet in row groups, with the schema that a format's columns say, whatever the first rows hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotator.exports.formats.base import Columns, Row

GROUP_BYTES = 8 * 1024 * 1024
GROUP_ROWS = 50_000
SCALARS = {
    "string": pa.string(),
    "time": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "null": pa.null(),
}


class RowGroups:
    """Rows are written a group at a time: so much is in memory, and so little must a reader take in."""

    def __init__(self, file: Any, columns: Columns) -> None:
        self._schema = schema_of(columns)
        self._writer = pq.ParquetWriter(pa.PythonFile(file, mode="w"), self._schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        batch = pa.RecordBatch.from_pylist(list(rows), schema=self._schema)
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._bytes >= GROUP_BYTES or self._rows >= GROUP_ROWS:
            self._write()

    def close(self) -> None:
        if self._waiting:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        table = pa.Table.from_batches(self._waiting, schema=self._schema)
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._waiting = []
        self._rows = self._bytes = 0
        del table
        pa.default_memory_pool().release_unused()


def schema_of(columns: Columns) -> pa.Schema:
    return pa.schema([pa.field(name, _type(kind)) for name, kind in columns.items()])


def _type(kind: Any) -> pa.DataType:
    if isinstance(kind, list):
        return pa.list_(_type(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([pa.field(name, _type(inner)) for name, inner in kind.items()])
    return SCALARS[kind]
