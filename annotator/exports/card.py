"""The data set's card: a README whose YAML header hubs read, and `datasets.load_dataset` too."""

from __future__ import annotations

from typing import Any

import yaml

from annotator.exports.formats.base import Columns, Format
from annotator.exports.manifest import Manifest

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGEST = "1M<n<10M"
RULES = {
    "vote": "Each judgment gives its own preferences.",
    "majority": "A comparison's judgments decide each pair by majority.",
    "weighted": "A comparison's judgments decide each pair, weighted by the annotators' reliability.",
}
MEANINGS = {
    "prompt": "the task in words",
    "chosen": "the text that was preferred",
    "rejected": "the text that was not",
    "margin": "how far apart the two are, 0 to 1: by the strength that was given, else by ranks",
    "label": "whether the text was the preferred one",
    "group": "the same for all pairs of one judgment (of one comparison, where votes are put together)",
    "agreement": "share of the votes on these two texts that say the same; ties are half",
    "votes": "how many votes there were on these two texts",
    "weight": "what a loss may multiply the line by: 1 for a vote, else 2p - 1, p how sure the votes are",
    "strength": "of the one vote: 1 slightly, 2 better, 3 much better",
    "share": "share of the pairs with other texts that it won",
    "pairs": "how many pairs that is from",
    "prompt_id": "the task's id, for tracing",
    "chosen_id": "the completion's id; none for an improved text, which came with the judgment named",
    "chosen_source": "`model`, `imported`, or `edited`: written by the annotator",
    "chosen_checkpoint": "the model that wrote it, see Models",
    "comparison": "the comparison's id",
    "rankings": "the ids of the judgments behind the line",
    "annotators": "their annotators' pseudonyms",
    "annotator": "pseudonym of who judged",
    "iteration": "the turn of the loop",
    "domain": "of the task",
    "language": "of the task",
    "held_out": "whether the task is kept from training for ever",
    "simulated": "whether programs judged, not people",
    "live": "in force: neither undone nor superseded",
    "superseded_by": "the judgment that took its place",
    "decision": "a manager's decision where annotators disagreed",
    "rule": "why the comparison was asked",
    "completions": "the texts in the order shown, or with their scores",
    "seconds": "spent on the page",
    "guideline_version": "the guidelines in force",
}


def card(manifest: Manifest, form: Format) -> str:
    """The README."""
    head = yaml.safe_dump(header(manifest, form), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{_body(manifest, form)}"


def header(manifest: Manifest, form: Format) -> dict[str, Any]:
    """What hubs read."""
    lines = manifest.counts["lines"]
    return {
        "pretty_name": manifest.title,
        "license": manifest.recipe["license"],
        "language": sorted({language.split("-")[0] for language in manifest.languages}),
        "size_categories": [next((name for most, name in SIZES if lines < most), LARGEST)],
        "task_categories": ["text-generation", "reinforcement-learning"],
        "tags": ["preferences", "human-feedback", "rlhf", *form.tags],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": file.split, "path": file.path} for file in manifest.files],
            }
        ],
        "dataset_info": {
            "features": features(form.columns, file_type=manifest.recipe["file_type"]),
            "splits": [
                {"name": file.split, "num_bytes": file.bytes, "num_examples": file.lines}
                for file in manifest.files
            ],
        },
    }


def features(columns: Columns, *, file_type: str) -> list[dict[str, Any]]:
    """The columns' types as the `datasets` library writes them."""
    return [
        {"name": name, **_feature("string" if file_type == "csv" and not isinstance(kind, str) else kind)}
        for name, kind in columns.items()
    ]


def _feature(kind: Any) -> dict[str, Any]:
    if isinstance(kind, dict):
        return {"struct": [{"name": name, **_feature(inner)} for name, inner in kind.items()]}
    if isinstance(kind, list):
        inner = _feature(kind[0])
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    return {"dtype": "string" if kind == "time" else kind}


def _body(manifest: Manifest, form: Format) -> str:
    counts, recipe = manifest.counts, manifest.recipe
    title = " ".join(manifest.title.split())
    parts = [
        f"# {title}",
        f"{form.about}",
        f"{counts['lines']} lines from {counts['rankings']} judgments on {counts['prompts']} tasks by "
        f"{counts['annotators']} annotators; {counts['simulated']} lines are by programs that judge, "
        f"{counts['held_out']} on tasks that are held out. Taken from {manifest.software}, project "
        f"`{manifest.project}`, up to judgment {manifest.frozen['last_ranking']} ({manifest.frozen['at']}).",
        _table(
            ("split", "lines", "judgments", "tasks", "file", "sha256"),
            [
                (
                    file.split,
                    file.lines,
                    manifest.splits[file.split]["rankings"],
                    manifest.splits[file.split]["prompts"],
                    f"`{file.path}`",
                    f"`{file.sha256}`",
                )
                for file in manifest.files
            ],
        ),
        '```python\nfrom datasets import load_dataset\n\ndata = load_dataset("path/to/this/folder")\n```',
        "## How it was made",
        _making(manifest, form),
        "## Columns",
        _table(
            ("column", "type", "meaning"),
            [(f"`{name}`", _name(kind), _meaning(name)) for name, kind in form.columns.items()],
        ),
    ]
    if manifest.checkpoints:
        parts += [
            "## Models",
            "The checkpoints that wrote the texts; the others were imported or written by annotators.",
            _table(
                ("id", "name", "base model", "iteration"),
                [
                    (one["id"], one["name"], one.get("base_model", ""), one.get("iteration", ""))
                    for one in manifest.checkpoints
                ],
            ),
        ]
    withdrawn = manifest.withdrawn
    parts += [
        "## People",
        "Annotators appear under pseudonyms, keyed with a secret of the site and different in each project; "
        "whoever has the data alone cannot tell who they are. Annotators may withdraw: "
        f"{withdrawn['judgments']} judgments of {withdrawn['annotators']} annotators, and "
        f"{withdrawn['texts']} texts that they wrote, are left out for that reason.",
        "## Citation and licence",
        f"Cite the hash: `sha256:{manifest.sha256}`. The same recipe of the same state gives the same bytes "
        f"(`manifest.json` has both). Licence: {recipe['license']}.",
    ]
    return "\n\n".join(parts) + "\n"


def _making(manifest: Manifest, form: Format) -> str:
    recipe, chosen = manifest.recipe, manifest.recipe["selection"]
    rule = f" {RULES[recipe['rule']]}" if form.layer == "derived" else ""
    filters = "; ".join(f"`{name}`: {value}" for name, value in chosen.items()) or "none"
    shares = ", ".join(f"{name} {share:g}" for name, share in recipe["splits"].items())
    return (
        f"Layer: {form.layer}.{rule} Filters: {filters}. Tasks are split by their hash ({shares}); held-out "
        "tasks are in `test` alone. An annotator's own text stands above all that they were shown."
    )


def _meaning(name: str) -> str:
    known = MEANINGS.get(name)
    if known is None and name.startswith("rejected_"):
        known = MEANINGS.get(name.replace("rejected_", "chosen_"))
    return known or ""


def _name(kind: Any) -> str:
    if isinstance(kind, list):
        return f"list of {_name(kind[0])}"
    return "object" if isinstance(kind, dict) else str(kind)


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
