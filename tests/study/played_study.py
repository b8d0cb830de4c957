"""Studies for tests: settings, raters who go through all steps, and a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from persbench.study.settings import StudySettings
from persbench.study.steps import Choice, TaskState
from persbench.study.store import Rater, RaterToken, Store

SETTINGS: dict[str, Any] = {
    "title": "A study",
    "consent": "You take part of your own will.",
    "instructions": "Talk.",
    "systems": {"plain": "vanilla", "told": "prompt"},
    "parts": [{"persona": "ada", "stage": "late"}],
    "turns": {"min": 1, "max": 2},
    "scales": {
        "likeness": {"question": "How like?", "anchors": ["1", "2", "3", "4", "5"], "shows_persona": True},
        "engagement": {"question": "More?", "anchors": ["1", "2", "3", "4", "5"]},
    },
    "preference": "Which?",
}


class Clock:
    """Seconds that pass only when a test lets them."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def settings(**changes: object) -> StudySettings:
    return StudySettings.model_validate(SETTINGS | changes)


def arrive(store: Store) -> RaterToken:
    """A rater who has consented."""
    found = store.new_rater()
    store.consent(found.rater, store.study.consent_version, event="consent-1")
    return found


def talk(store: Store, rater: Rater, position: int, turns: int = 2, seconds: float | None = 1.5) -> None:
    for turn in range(1, turns + 1):
        store.add_message(rater, position, turn, "user", f"word {turn}", event=f"said-{position}-{turn}")
        store.add_message(rater, position, turn, "assistant", f"answer {turn}", seconds=seconds)


def play(
    store: Store,
    rate: Callable[[TaskState], Mapping[str, int | None]],
    prefer: Callable[[TaskState, TaskState], Choice],
    steps: int = 100,
    rater: Rater | None = None,
) -> Rater:
    """Let a rater go on until everything is done, or so many steps after the consent."""
    rater = rater or arrive(store).rater
    for _ in range(steps):
        step = store.state(rater)
        tasks = store.tasks(rater)
        if step.kind == "chat":
            assert step.position is not None
            talk(store, rater, step.position, store.study.turns.max)
        elif step.kind == "rate":
            assert step.position is not None
            values = rate(tasks[step.position - 1])
            store.add_ratings(rater, step.position, values, event=f"rated-{step.position}")
        elif step.kind == "prefer":
            assert step.pair is not None
            first, second = step.pair
            choice = prefer(tasks[first - 1], tasks[second - 1])
            store.add_preference(rater, first, second, choice, event=f"prefer-{first}-{second}")
        else:
            break
    return rater
