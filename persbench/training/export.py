"""The very rows that `persbench train` learns from, as files for other trainers: ShareGPT and TRL's formats.

They come from the job that the trainer would run, so they pass the same guard against test texts, and the same recipe
and seed give the same rows in the same order.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from persbench.errors import Fault, FaultsError, PersbenchError, UnknownNameError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.records import write_atomic
from persbench.training.export_card import ExportedFile, card_of
from persbench.training.job import Remembering, job_of
from persbench.training.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from persbench.packs.pack import Pack
    from persbench.scoring.overlap import Embedder
    from persbench.training.job import Job
    from persbench.training.preferences import Preference
    from persbench.training.recipe import Recipe
    from persbench.training.rows import Example

Format = Literal["sharegpt", "trl-sft", "trl-preference"]
FORMATS: Final[tuple[Format, ...]] = ("sharegpt", "trl-sft", "trl-preference")
SPEAKERS: Final = {"system": "system", "user": "human", "assistant": "gpt"}
FILE: Final = ".jsonl"


@dataclass(frozen=True)
class ExportSettings:
    """What to export.

    Attributes:
        out: A file that ends in `.jsonl`, for one persona, or a folder, which gets a file for each.
        format: One of `FORMATS`.
        personas: Ids; none for all of the pack.
        recipe: Name, or path of a YAML file: says which rows, in which form, how often and in which order.
        pack: Folder or name of a world; the reference world if None.
        seed: The recipe's if None.
        once: Each different row once, in the order in which an epoch first has it.
    """

    out: Path
    format: str
    personas: tuple[str, ...] = ()
    recipe: str = "persllm"
    pack: str | None = None
    seed: int | None = None
    once: bool = False


def export(
    settings: ExportSettings, *, embedder: Embedder | None = None, advance: Callable[[], None] = lambda: None
) -> list[ExportedFile]:
    """Write an epoch of each persona as JSON lines, and a card beside them with licence and canary string.

    A file that is there already is left alone if it holds the very same, and is never overwritten if it holds anything
    else; the card comes last.

    Args:
        settings: What to export.
        embedder: Finds near-duplicates and nearest prompts; the default one if None.
        advance: Called after each persona.

    Returns:
        What was written, in the order of the personas.

    Raises:
        FaultsError: Test texts stand among what would be exported: all of them, of all personas.
        PersbenchError: Something in the settings or in the pack is not as it must be, other contents are in the way, or
            a file cannot be written.
    """
    form = next((name for name in FORMATS if name == settings.format), None)
    if form is None:
        raise UnknownNameError("format", settings.format, FORMATS)
    pack, recipe = load_pack(resolve_pack(settings.pack)), load_recipe(settings.recipe)
    names = tuple(dict.fromkeys(settings.personas)) or tuple(data.persona.id for data in pack.personas)
    paths = _paths(settings.out, pack, names)
    jobs = _jobs(pack, names, recipe, form, settings.seed, Remembering(embedder), advance)
    contents: dict[Path, bytes] = {}
    files = []
    for job, path in zip(jobs, paths, strict=True):
        rows = rows_of(job, form, once=settings.once)
        contents[path] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        files.append(
            ExportedFile(
                path=path,
                persona=job.persona,
                rows=len(rows),
                ordinary=sum(row["persona"] is None for row in rows),
                sha256=hashlib.sha256(contents[path]).hexdigest(),
                dropped=job.dropped,
            )
        )
    card = settings.out.with_suffix(".md") if settings.out.suffix == FILE else settings.out / "README.md"
    contents[card] = card_of(
        pack, recipe, form, files, seed=jobs[0].seed, labels=jobs[0].labels, once=settings.once
    ).encode()
    _write(contents)
    return files


def rows_of(job: Job, form: Format, *, once: bool = False) -> list[dict[str, Any]]:
    """Return a job's rows in a format, in the order in which the trainer learns them.

    Args:
        job: With preferences, for `trl-preference`.
        form: The format.
        once: Leave out what was there before.

    Returns:
        `sharegpt`: `conversations`, a list of `{"from": "system" | "human" | "gpt", "value": text}`. `trl-sft`:
        `messages`. `trl-preference`: `prompt`, `chosen` and `rejected`, each a list of messages. All with `id`,
        `persona`, `stage` and `pattern` (None in ordinary dialogue, in which no persona speaks) and `origin`, the place
        in the pack as file:line. The last assistant turn alone has a loss in `persbench train`.
    """
    if form == "trl-preference":
        return [
            _about(each, job.persona)
            | {"origin": each.origins[0], "rejected_origin": each.origins[1], "kind": each.kind}
            | each.row
            for each in job.preferences  # of which no two are alike
        ]
    rows = []
    for example in _distinct(job.examples) if once else job.examples:
        about = _about(example, None if example.general else job.persona) | {"origin": example.origin}
        messages = [*example.row["prompt"], *example.row["completion"]]
        if form == "trl-sft":
            rows.append(about | {"messages": messages})
        else:
            said = [{"from": SPEAKERS[message["role"]], "value": message["content"]} for message in messages]
            rows.append(about | {"conversations": said})
    return rows


def _distinct(examples: Sequence[Example]) -> list[Example]:
    found: dict[tuple[str, str], Example] = {}
    for example in examples:
        found.setdefault((example.id, example.system), example)
    return list(found.values())


def _about(row: Example | Preference, persona: str | None) -> dict[str, Any]:
    return {"id": row.id, "persona": persona, "stage": row.stage, "pattern": row.pattern}


def _paths(out: Path, pack: Pack, names: Sequence[str]) -> list[Path]:
    """Return the file of each persona.

    Raises:
        PersbenchError: Several personas do not go into one file, or the files would stand in the pack.
    """
    if out.resolve().is_relative_to(pack.path.resolve()):
        raise PersbenchError(
            f"--out {out} is in the pack {pack.path}, which would be changed by it: name another --out."
        )
    if out.suffix != FILE:
        return [out / f"{name}{FILE}" for name in names]
    if len(names) > 1:
        raise PersbenchError(
            f"--out {out} is one file, and {len(names)} personas are to be exported: name a folder, which gets a file "
            "for each, or one persona."
        )
    return [out]


def _jobs(
    pack: Pack,
    names: Sequence[str],
    recipe: Recipe,
    form: Format,
    seed: int | None,
    embedder: Embedder,
    advance: Callable[[], None],
) -> list[Job]:
    if form == "trl-preference" and recipe.dpo is None:
        raise PersbenchError(f"recipe {recipe.name} learns no preferences: choose one that does, such as persllm.")
    # What is not exported need not be there: a world of one persona has rows to learn from, and perhaps no pairs.
    wanted = recipe if form == "trl-preference" else recipe.model_copy(update={"dpo": None})
    jobs: list[Job] = []
    faults: dict[Fault, None] = {}
    for persona in names:
        try:
            jobs.append(job_of(pack, persona, wanted, seed=seed, max_steps=None, embedder=embedder))
        except FaultsError as error:
            faults |= dict.fromkeys(error.faults)
        advance()
    if faults:
        raise FaultsError(f"{pack.world.id}: these training data cannot be exported", faults)
    return jobs


def _write(contents: dict[Path, bytes]) -> None:
    """Write files that are not there yet, in their order.

    Raises:
        PersbenchError: Something else stands where one of them belongs, or one cannot be written.
    """
    there = {path for path in contents if os.path.lexists(path)}
    other = [path for path in there if not _holds(path, contents[path])]
    if other:
        listed = ", ".join(sorted(map(str, other)))
        raise PersbenchError(f"other contents are in the way and are not overwritten: {listed}. Name another --out.")
    for path, content in contents.items():
        if path not in there:
            write_atomic(path, content)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False
