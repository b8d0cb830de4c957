"""The tasks themselves, as lm-eval loads them: their documents by the pack, and the very functions that score a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval.tasks import TaskManager
from transformers.utils import logging as transformers_logging

from persbench.errors import PersbenchError
from persbench.harness.documents import ALL_PERSONAS
from persbench.harness.reply import NO_EMBEDDER, embedder_named
from persbench.harness.task_index import read_tasks, tasks_folder

if TYPE_CHECKING:
    from persbench.harness.documents import Document
    from persbench.harness.task_index import TaskFile
    from persbench.harness.tasks import PersonaTask
    from persbench.packs.pack import Pack


class Examiner:
    """Says what documents a task has for a persona, and scores answers to them.

    Documents are taken from the pack without any system's messages: what is asked of all systems alike.

    Args:
        pack: The world.
        embedder: Folder or hub id of the embedder that records were scored with; the default one if None.
        without_embedder: Leave out what needs an embedder.
    """

    def __init__(self, pack: Pack, embedder: str | None = None, *, without_embedder: bool = False) -> None:
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        transformers_logging.disable_progress_bar()
        self.pack = pack
        self.files: dict[str, TaskFile] = {
            name: task for name, task in read_tasks(tasks_folder()).items() if not task.is_group
        }
        self.without_embedder = without_embedder
        self._embedder = NO_EMBEDDER if without_embedder else embedder
        self._tasks: dict[str, PersonaTask | None] = {}
        self._documents: dict[tuple[str, str], dict[str, Document]] = {}

    @property
    def embedder_name(self) -> str:
        """The embedder's name as signatures have it; `none` where there is none."""
        return _name_of(self._embedder)

    @property
    def default_embedder(self) -> str:
        """The name of the default embedder; `none` where it is not fetched."""
        return _name_of(None)

    def task(self, name: str) -> PersonaTask | None:
        """Return a task with the documents of all personas; None where the pack has none for it.

        Args:
            name: One of `files`.
        """
        if name not in self._tasks:
            metadata = {"pack": str(self.pack.path), "persona": ALL_PERSONAS, "system": "vanilla"}
            manager = TaskManager(include_path=str(tasks_folder()), include_defaults=False, metadata=metadata)
            try:
                self._tasks[name] = manager.load([name])["tasks"][name]
            except PersbenchError:
                self._tasks[name] = None
        return self._tasks[name]

    def scored_with(self, task: PersonaTask, embedder: str) -> None:
        """Let a task score as a record was scored: with the embedder, or without one where the record had none."""
        task.config.metadata["embedder"] = NO_EMBEDDER if embedder == NO_EMBEDDER else self._embedder

    def documents(self, name: str, persona: str) -> dict[str, Document]:
        """Return a task's documents for a persona, by id."""
        if (name, persona) not in self._documents:
            task = self.task(name)
            rows: list[Document] = [] if task is None else list(task.documents)
            self._documents[name, persona] = {row["id"]: row for row in rows if row["persona"] == persona}
        return self._documents[name, persona]


def _name_of(embedder: str | None) -> str:
    found = embedder_named(embedder)
    return NO_EMBEDDER if found is None else Path(found.name).name
