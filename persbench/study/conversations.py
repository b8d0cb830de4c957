"""Replies to raters: what is asked of a system, in whose voice, and where its answer goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persbench.study.answers import Answers

if TYPE_CHECKING:
    from persbench.models.chat import Message
    from persbench.study.answers import Progress
    from persbench.study.settings import StudySettings
    from persbench.study.steps import TaskState
    from persbench.study.store import Rater, Store


@dataclass(frozen=True)
class Wanted:
    """One reply that is wanted.

    Attributes:
        system: Who replies, as in `persbench run --systems`.
        persona: Whom it speaks as.
        stage: At which stage.
        history: What was said: the rater is "user", the system "assistant"; the last message is the rater's.
        seed: Of the sampling.
    """

    system: str
    persona: str
    stage: str
    history: tuple[Message, ...]
    seed: int


Speak = Callable[[Wanted], Iterator[str]]


def reply_seed(settings: StudySettings, rater: int, position: int, turn: int, attempt: int) -> int:
    """Return the seed of a reply: the same after a crash, another for each rater, turn and attempt."""
    text = f"{settings.seed} {rater} {position} {turn} {attempt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") // 2


class Conversations:
    """Has the replies spoken that are due, and stores each as soon as it is whole.

    Args:
        store: Where they go.
        speak: Speaks one reply piece by piece.
        complain: Is told in one line why a reply could not be had.
    """

    def __init__(self, store: Store, speak: Speak, complain: Callable[[str], None]) -> None:
        self.store, self.speak = store, speak
        self.answers = Answers(complain)

    def reply(self, rater: Rater, task: TaskState, *, again: bool = False) -> Progress | None:
        """Return how far the reply that is due has come; it is asked for if it was not yet.

        Args:
            rater: Whose conversation.
            task: As it stood before `look`ing: a reply may have been stored since, and is then not made again.
            again: Whether a reply that failed is tried once more.

        Returns:
            None where none is due.
        """
        due = task.reply_due
        if due is None:
            return None
        key = self._key(rater, task.position, due.turn)
        if again:
            self.answers.forget(key)
        progress = self.answers.look(key)
        if progress is not None:
            return progress
        # Stored between the reading of the task and the look?
        task = self.store.tasks(rater)[task.position - 1]
        if task.reply_due != due:
            return None
        self._ask(rater, task, due.turn, key)
        return self.answers.look(key)

    def close(self) -> None:
        """Stop speaking."""
        self.answers.close()

    def _ask(self, rater: Rater, task: TaskState, turn: int, key: str) -> None:
        settings = self.store.study
        system = settings.systems[task.system]
        history: tuple[Message, ...] = tuple({"role": each.role, "content": each.text} for each in task.messages)

        def stream(attempt: int) -> Iterator[str]:
            seed = reply_seed(settings, rater.id, task.position, turn, attempt)
            return self.speak(Wanted(system, task.persona, task.stage, history, seed))

        def keep(text: str, seconds: float) -> None:
            self.store.add_message(rater, task.position, turn, "assistant", text, seconds=seconds)

        self.answers.ask(key, stream, keep)

    @staticmethod
    def _key(rater: Rater, position: int, turn: int) -> str:
        return f"{rater.id} {position} {turn}"
