"""Inspecting an import: everything is read and prepared, and nothing enters the project.

What is kept are a report, the prepared tasks and the rejected lines, in files of the import's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from django.conf import settings

from annotator.models import Project, Prompt, PromptImport
from annotator.prompts import images, kept, tokens
from annotator.prompts.claims import Claim
from annotator.prompts.opening import Source, open_source
from annotator.prompts.preparing import KnownPrompt, Preparation, PreparationOptions
from annotator.prompts.reading import ImportProblem
from annotator.prompts.records import Record, Rejected, rejected, shown

State = PromptImport.State
CHUNK = 2000
Found = Record | Rejected


def inspect(claim: Claim) -> None:
    """Read and prepare the file of a claimed import, and leave it ready to be imported.

    Raises ImportProblem for a file that cannot be read, OSError where there is no room, Superseded.
    """
    batch = claim.batch
    options, answers = options_of(batch)
    preparation = Preparation(
        options,
        known=known_prompts(claim),
        count_tokens=_token_counter(batch.project, options),
        default_language=batch.project.language,
        default_domain=batch.default_domain,
        is_held_out=lambda record: _is_held_out(batch.project, record),
    )
    said = Counter[str]()
    path = kept.path_of(str(batch.file.name))
    opened = open_source(path, batch.name, answers=answers, check_images=False, family=batch.forced_format)
    with opened as source, kept.Files(batch) as files:
        read = _counted(_with_images(source, files), claim, source)
        for found in preparation.prepare(read):
            if isinstance(found, Record):
                _count(found, said)
            files.add(found)
        files.close()
        report = preparation.report()
        old = (str(batch.records.name), str(batch.rejects.name))
        claim.update(
            state=State.READY,
            format=source.format[:32],
            encoding=source.encoding[:32],
            report=report | {"brings": dict(said), "rejects": files.first},
            records=files.records_name,
            rejects=files.rejects_name if report["rejected"] or report["left_out"] else "",
            counts={},
            progress={},
            error="",
            claim="",
            attempts=0,
            finished_at=None,
        )
    for name in old:
        kept.forget(name)


def options_of(batch: PromptImport) -> tuple[PreparationOptions, bool]:
    """The steps as chosen (what is not chosen, or not known any more: the default), and how rows are read."""
    chosen = {
        one.name: batch.options[one.name] for one in fields(PreparationOptions) if one.name in batch.options
    }
    if "languages" in chosen:
        chosen["languages"] = tuple(chosen["languages"])
    return PreparationOptions(**chosen), bool(batch.options.get("answers"))


def stored(options: PreparationOptions, *, answers: bool = False) -> dict[str, Any]:
    """The steps as an import keeps them."""
    return {**asdict(options), "languages": list(options.languages), "answers": answers}


def known_prompts(claim: Claim) -> Iterator[KnownPrompt]:
    """The project's tasks, for the steps that compare with them; a hundred thousand take a while."""
    rows = claim.batch.project.prompts.values_list("text", "examples", "is_held_out")
    for text, examples, is_held_out in rows.iterator(CHUNK):
        yield KnownPrompt(shown(text, examples), is_held_out)
        claim.beat()


def _is_held_out(project: Project, record: Record) -> bool:
    prompt = Prompt(project=project, text=record.text, examples=list(record.examples))
    prompt.fill_in()
    return prompt.is_held_out


def _token_counter(project: Project, options: PreparationOptions) -> Callable[[str], int] | None:
    """Counts the generator's own tokens; None where its tokenizer is not at hand.

    Raises ImportProblem where there are limits and so it has to be.
    """
    name = project.base_model
    found = (tokens.counter(folder) for folder in (settings.MODELS_DIR / name, Path(name).expanduser()))
    counter = next(filter(None, found), None)
    if counter is None and (options.min_tokens or options.max_tokens):
        message = (
            f"its tasks' lengths cannot be limited: the tokenizer of the model “{name}” is not here yet."
        )
        raise ImportProblem(0, "", message)
    return counter


def _counted(records: Iterator[Found], claim: Claim, source: Source) -> Iterator[Found]:
    for number, record in enumerate(records, start=1):
        yield record
        claim.beat(number, source.total or round(number / max(source.share_read, 0.001)))


def _with_images(source: Source, files: kept.Files) -> Iterator[Found]:
    """The file's tasks, their pictures encoded anew and kept; or why that cannot be."""
    for record in source.records():
        if isinstance(record, Rejected) or not record.image:
            yield record
            continue
        try:
            content, ending = images.pixels_of(BytesIO(source.image(record.image)))
        except images.ImageProblem as problem:
            yield rejected(record.line, "image", f"“{record.image[:80]}”: {problem}", record.image)
        else:
            yield replace(record, image=files.add_image(content, ending))


def _count(record: Record, said: Counter[str]) -> None:
    """What it would bring beside a task."""
    given = record.given
    said["completions"] += len(given)
    said["rankings"] += len(record.preferences)
    said["images"] += bool(record.image)
    said["held_out_examples"] += bool(record.held_out_examples)
    if given or record.preferences:
        said["with_completions"] += 1
