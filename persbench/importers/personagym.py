"""PersonaGym (arXiv 2407.18416): a folder of `<persona>.json`, each an object from task name to questions.

The name of a file is the persona's whole description. There are questions and no replies to them, so a pack holds
shared questions that nobody answers yet: what runs on it asks for no reference (scales by `--instrument`).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import PersbenchError
from persbench.importers.form import NO_DATES, Format, Options, World, one_stage, sheet
from persbench.importers.naming import persona_ids, row_id, slug
from persbench.importers.writer import Origin

if TYPE_CHECKING:
    from persbench.importers.source import Source
    from persbench.importers.writer import PackWriter

TASKS: Final = ("Expected Action", "Toxicity", "Linguistic Habits", "Persona Consistency", "Action Justification")
QUESTIONS: Final = 10


def load(source: Source, writer: PackWriter, options: Options) -> World:
    """Read every `<persona>.json`; in a whole checkout, those of the folder `questions`.

    Raises:
        PersbenchError: There is no such file.
    """
    found = _persona_files(source)
    stage = one_stage(options, "now", "the present day")
    ids = persona_ids(found)
    for name, file in found.items():
        tasks = source.document(file)
        if not tasks:
            continue
        if writer.persona(sheet(ids[name], name, {stage.id: name}), Origin(file)):
            _questions(writer, source, ids[name], file, tasks)
    if not options.stages:
        writer.findings.note(NO_DATES)
    writer.findings.note(
        "There are no replies in the source: questions.jsonl holds its questions (their ids begin with the persona's), "
        "and no task that needs a reference runs. Personality scales do: "
        "--tasks persbench_traits --instrument FILE.csv."
    )
    setting = "Personas of one sentence, with questions to act on, imported from PersonaGym's files."
    return World(setting, (stage,), options.language or "en")


def _persona_files(source: Source) -> dict[str, str]:
    """Return persona name to file; of two files for one persona (two versions of the benchmark) the first counts."""
    named = [name for name in source.files if name.endswith(".json")]
    inside = [name for name in named if "questions" in PurePosixPath(name).parts[:-1]]
    found: dict[str, str] = {}
    for name in source.files:
        if name not in (inside or named):
            source.aside(name, "not a file of questions")
        elif (persona := PurePosixPath(name).stem) in found:
            source.aside(name, f"a second file for the persona of {found[persona]}")
        else:
            found[persona] = name
    if not found:
        raise PersbenchError(f"{source.root} holds no <persona>.json: give the folder of PersonaGym's questions.")
    return found


def _questions(writer: PackWriter, source: Source, persona: str, file: str, tasks: dict[str, Any]) -> None:
    for task in TASKS:
        if task not in tasks:
            source.findings.notice("task missing in a persona's file", file, task)
    for task, questions in tasks.items():
        if not isinstance(questions, list):
            source.findings.drop("task that is no list of questions", file, task)
            continue
        if len(questions) != QUESTIONS:
            source.findings.notice(f"task with other than {QUESTIONS} questions", file, f"{task}: {len(questions)}")
        if task not in TASKS:
            source.findings.notice("task that PersonaGym does not have", file, task)
        seen: dict[str, int] = {}
        for number, text in enumerate(questions, start=1):
            name = row_id(persona, f"{slug(task) if task in TASKS else task}-{number:02}")
            if not isinstance(text, str) or not text.strip():
                source.findings.drop("empty question", file, f"{task} {number}")
            elif seen.setdefault(" ".join(text.split()), number) != number:
                source.findings.drop("question given twice", file, f"{task} {number}")
            else:
                topic = " ".join(task.split()) or "none"
                writer.row("questions", {"id": name, "topic": topic, "text": text}, Origin(file))


FORMAT: Final = Format("PersonaGym", "its repository is under the MIT licence", load)
