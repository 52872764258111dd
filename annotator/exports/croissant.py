"""The export described in Croissant (JSON-LD of MLCommons), which searches for data and `mlcroissant` read.

A record set a split. What is nested comes as sub-fields, each a path into its column. Lists of objects within
lists of objects cannot be said, nor objects within a file that is one JSON array: those are left to the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from annotator.exports.formats.base import Format
from annotator.exports.manifest import DataFile, Manifest

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
TYPES = {
    "string": "sc:Text",
    "int64": "sc:Integer",
    "float64": "sc:Float",
    "bool": "sc:Boolean",
    "time": "sc:DateTime",
}
ENCODINGS = {
    "jsonl": "application/jsonlines",
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/x-parquet",
}


class _Leaf(NamedTuple):
    """A value within a column: the keys that lead to it, those where a list begins, and its type."""

    path: tuple[str, ...]
    lists: tuple[int, ...]
    kind: str


def croissant(manifest: Manifest, form: Format) -> dict[str, Any]:
    """The description as JSON-LD."""
    file_type = manifest.recipe["file_type"]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest.title,
        "description": f"{form.about} {manifest.counts['lines']} lines from {manifest.counts['rankings']} "
        f"judgments of instructions by {manifest.counts['annotators']} annotators.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": manifest.recipe["license"],
        "url": f"urn:sha256:{manifest.sha256}",
        "version": "1.0.0",
        "datePublished": manifest.frozen["at"],
        "inLanguage": list(manifest.languages),
        "keywords": ["preferences", "human feedback", *form.tags],
        "creator": {"@type": "sc:Organization", "name": manifest.software},
        "citeAs": f"{manifest.title}, {manifest.software} export, sha256 {manifest.sha256}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.path,
                "name": file.path,
                "contentUrl": file.path,
                "contentSize": f"{file.bytes} B",
                "encodingFormat": ENCODINGS[file_type],
                "sha256": file.sha256,
            }
            for file in manifest.files
        ],
        "recordSet": [_record_set(file, form, file_type) for file in manifest.files],
    }


def _record_set(file: DataFile, form: Format, file_type: str) -> dict[str, Any]:
    fields: list[dict[str, Any]] = []
    for column, kind in form.columns.items():
        if file_type == "csv" and not isinstance(kind, str):
            kind = "string"  # what is nested is JSON there
        if file_type == "json" and _has_objects(kind):
            continue  # paths into an array of arrays give no rows
        fields += _fields(file, column, list(_leaves(kind)), file_type)
    return {
        "@type": "cr:RecordSet",
        "@id": file.split,
        "name": file.split,
        "description": f"The lines of the split {file.split}: {file.lines}.",
        "field": fields,
    }


def _has_objects(kind: Any) -> bool:
    return isinstance(kind, dict) or (isinstance(kind, list) and _has_objects(kind[0]))


def _fields(file: DataFile, column: str, leaves: Sequence[_Leaf], file_type: str) -> Iterator[dict[str, Any]]:
    """The column's field; one for each list of objects in it, and one for the objects' other values."""
    groups: dict[tuple[str, ...], list[_Leaf]] = {}
    for leaf in leaves:
        # What it is a sub-field of: the objects of the first list on its way.
        before = leaf.lists[0] if leaf.lists and leaf.lists[0] < len(leaf.path) else 0
        groups.setdefault(leaf.path[:before], []).append(leaf)
    for prefix, members in groups.items():
        identity = "/".join((file.split, column, *prefix))
        if members == [leaf for leaf in members if not leaf.path]:
            (leaf,) = members
            yield _field(
                identity, column, leaf, _source(file, column, (), file_type), repeated=bool(leaf.lists)
            )
            continue
        repeated = any(leaf.lists and leaf.lists[0] == len(prefix) < len(leaf.path) for leaf in members)
        yield {
            "@type": "cr:Field",
            "@id": identity,
            "name": "/".join((column, *prefix)),
            "description": f"Objects of {column}." if repeated else f"The object {column}.",
            **({"repeated": True} if repeated else {}),
            "subField": [
                _field(
                    "/".join((file.split, column, *leaf.path)),
                    leaf.path[-1],
                    leaf,
                    _source(file, column, _steps(leaf, len(prefix)), file_type),
                    repeated=bool(leaf.lists) and leaf.lists[-1] == len(leaf.path),
                )
                for leaf in members
            ],
        }


def _steps(leaf: _Leaf, prefix: int) -> tuple[str, ...]:
    """Paths that are followed one after the other: to the list, then within each of its objects."""
    paths = (leaf.path[:prefix], leaf.path[prefix:])
    return tuple(".".join(f'"{key}"' for key in path) for path in paths if path)


def _field(
    identity: str, name: str, leaf: _Leaf, source: dict[str, Any], *, repeated: bool
) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": identity,
        "name": name,
        "description": f"{name}, {leaf.kind}.",
        "dataType": TYPES[leaf.kind],
        **({"repeated": True} if repeated else {}),
        "source": source,
    }


def _source(file: DataFile, column: str, steps: tuple[str, ...], file_type: str) -> dict[str, Any]:
    extract = {"jsonPath": f"$[*].{column}"} if file_type == "json" else {"column": column}
    source: dict[str, Any] = {"fileObject": {"@id": file.path}, "extract": extract}
    if steps:
        source["transform"] = [{"jsonPath": step} for step in steps]
    return source


def _leaves(kind: Any, path: tuple[str, ...] = (), lists: tuple[int, ...] = ()) -> Iterator[_Leaf]:
    if isinstance(kind, list):
        # A list of objects, and below it at most a list of values.
        if not lists or not isinstance(kind[0], dict):
            yield from _leaves(kind[0], path, (*lists, len(path)))
    elif isinstance(kind, dict):
        for name, inner in kind.items():
            yield from _leaves(inner, (*path, name), lists)
    elif kind != "null":
        yield _Leaf(path, lists, kind)
