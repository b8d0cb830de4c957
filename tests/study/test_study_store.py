"""The store: every event once, only where it belongs, and nothing of a rater that is not theirs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from played_study import Clock, arrive, play, settings, talk

from persbench.study.identity import token_hash
from persbench.study.refusals import (
    EventConflictError,
    OutOfStepError,
    RefusedTextError,
    StudyFullError,
    StudyRefusalError,
    StudyStoreError,
    UnknownRaterError,
)
from persbench.study.steps import Step
from persbench.study.store import Store

FIVE = {"likeness": 5, "engagement": None}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    found = Store(tmp_path / "study.sqlite", settings(), clock=clock)
    yield found
    found.close()


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def test_a_whole_session_step_by_step(store: Store) -> None:
    new = store.new_rater()
    rater = new.rater
    assert store.state(rater) == Step("consent")
    assert store.tasks(rater) == []
    store.consent(rater, store.study.consent_version, event="consent-1")
    tasks = store.tasks(rater)
    assert [(task.position, task.label) for task in tasks] == [(1, "A"), (2, "B")]
    assert {task.system for task in tasks} == {"plain", "told"}
    assert store.state(rater) == Step("chat", position=1)
    said = store.add_message(rater, 1, 1, "user", " hello\x00 ", event="said-1")
    assert said.text == "hello"
    assert store.tasks(rater)[0].reply_due == said
    store.add_message(rater, 1, 1, "assistant", "good day", seconds=0.5)
    assert store.tasks(rater)[0].turns == 1
    store.end_chat(rater, 1, event="end-1")
    assert store.state(rater) == Step("rate", position=1)
    store.add_ratings(rater, 1, FIVE, event="rate-1")
    assert store.tasks(rater)[0].ratings == FIVE
    talk(store, rater, 2)  # up to the most turns: it ends by itself
    assert store.state(rater) == Step("rate", position=2)
    store.add_ratings(rater, 2, {"likeness": 1, "engagement": 2}, event="rate-2")
    assert store.state(rater) == Step("prefer", pair=(1, 2))
    store.add_preference(rater, 1, 2, "b", event="prefer-1")
    assert store.state(rater) == Step("done")
    assert store.pairs(rater)[0].choice == "b"
    assert [(m.turn, m.role, m.text) for m in store.tasks(rater)[0].messages] == [
        (1, "user", "hello"),
        (1, "assistant", "good day"),
    ]


def test_the_same_event_again_stores_nothing_and_returns_what_was_stored(store: Store, tmp_path: Path) -> None:
    rater = arrive(store).rater

    def all_events() -> None:
        store.consent(rater, store.study.consent_version, event="consent-1")
        talk(store, rater, 1)
        store.add_ratings(rater, 1, FIVE, event="rate-1")
        talk(store, rater, 2, turns=1)
        store.end_chat(rater, 2, event="end-2")
        store.add_ratings(rater, 2, FIVE, event="rate-2")
        store.add_preference(rater, 1, 2, "tie", event="prefer-1")

    all_events()
    before = everything(tmp_path / "study.sqlite")
    all_events()
    assert everything(tmp_path / "study.sqlite") == before
    assert len(before["messages"]) == 6
    assert store.add_message(rater, 1, 2, "user", "word 2", event="said-1-2").text == "word 2"


def test_an_event_id_stands_for_one_thing(store: Store) -> None:
    rater = arrive(store).rater
    store.add_message(rater, 1, 1, "user", "one", event="said-1")
    with pytest.raises(EventConflictError):
        store.add_message(rater, 1, 1, "user", "another", event="said-1")
    with pytest.raises(EventConflictError, match="user-message"):
        store.end_chat(rater, 1, event="said-1")
    for bad in ("", "with blank", "x" * 65, "\x00", "é"):
        with pytest.raises(EventConflictError):
            store.add_message(rater, 1, 1, "user", "one", event=bad)
    store.add_message(rater, 1, 1, "assistant", "reply")
    store.end_chat(rater, 1, event="end-1")
    store.add_ratings(rater, 1, FIVE, event="rate-1")
    with pytest.raises(EventConflictError):
        store.add_ratings(rater, 1, {"likeness": 4, "engagement": None}, event="rate-1")
    other = arrive(store).rater  # ids are each rater's own
    assert store.add_message(other, 1, 1, "user", "mine", event="said-1").text == "mine"


def test_the_ids_of_the_store_itself_are_closed_to_pages(store: Store) -> None:
    rater = arrive(store).rater
    for event in (":done", ":reply-1-1"):
        with pytest.raises(EventConflictError):
            store.add_message(rater, 1, 1, "user", "hello", event=event)
    assert store.state(rater) == Step("chat", position=1)


def test_the_first_reply_of_a_turn_is_kept(store: Store) -> None:
    rater = arrive(store).rater
    store.add_message(rater, 1, 1, "user", "hello", event="said-1")
    assert store.add_message(rater, 1, 1, "assistant", "first").text == "first"
    assert store.add_message(rater, 1, 1, "assistant", "second").text == "first"
    assert [m.text for m in store.tasks(rater)[0].messages] == ["hello", "first"]


Action = Callable[[Store], object]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s, r: s.add_message(r, 2, 1, "user", "x", event="wrong-1"),  # not its turn
        lambda s, r: s.add_message(r, 10**30, 1, "user", "x", event="wrong-1"),
        lambda s, r: s.add_message(r, 1, 10**30, "user", "x", event="wrong-1"),
        lambda s, r: s.add_message(r, 10**30, 10**30, "assistant", "x"),
        lambda s, r: s.end_chat(r, 10**30, event="wrong-1"),
        lambda s, r: s.add_preference(r, 10**30, 2, "a", event="wrong-1"),
        lambda s, r: s.add_message(r, 0, 1, "user", "x", event="wrong-1"),
        lambda s, r: s.add_message(r, -1, 1, "user", "x", event="wrong-1"),
        lambda s, r: s.add_message(r, 1, 2, "user", "x", event="wrong-1"),  # a turn too far
        lambda s, r: s.add_message(r, 1, 1, "assistant", "x"),  # nothing to reply to
        lambda s, r: s.end_chat(r, 1, event="wrong-1"),  # too short
        lambda s, r: s.add_ratings(r, 1, FIVE, event="wrong-1"),
        lambda s, r: s.add_preference(r, 1, 2, "a", event="wrong-1"),
        lambda s, r: s.add_preference(r, 2, 1, "a", event="wrong-1"),
        lambda s, r: s.consent(r, s.study.consent_version, event="wrong-1"),  # a second time
    ],
)
def test_what_does_not_belong_to_the_step_is_refused_whole(
    store: Store, tmp_path: Path, wrong: Callable[..., object]
) -> None:
    rater = arrive(store).rater
    before = everything(tmp_path / "study.sqlite")
    with pytest.raises(OutOfStepError):
        wrong(store, rater)
    assert everything(tmp_path / "study.sqlite") == before


def test_a_message_that_waits_for_its_reply_lets_no_other_in(store: Store) -> None:
    rater = arrive(store).rater
    store.add_message(rater, 1, 1, "user", "hello", event="said-1")
    for turn in (1, 2):
        with pytest.raises(OutOfStepError):
            store.add_message(rater, 1, turn, "user", "from a second tab", event="said-2")
    with pytest.raises(OutOfStepError):
        store.end_chat(rater, 1, event="end-1")


def test_ratings_are_whole_and_on_the_scale(store: Store) -> None:
    rater = arrive(store).rater
    talk(store, rater, 1)
    for values in (
        {"likeness": 5},
        {"likeness": 5, "engagement": 6},
        {"likeness": 0, "engagement": 1},
        {"likeness": True, "engagement": 1},
        {"likeness": 2.5, "engagement": 1},
        {"likeness": 10**30, "engagement": 1},
        {"likeness": 5, "engagement": 1, "other": 1},
    ):
        with pytest.raises(StudyRefusalError):
            store.add_ratings(rater, 1, values, event="rate-1")  # type: ignore[arg-type]
    assert store.tasks(rater)[0].ratings == {}
    with pytest.raises(StudyRefusalError, match="a, b, tie"):
        store.add_preference(rater, 1, 2, "A", event="prefer-1")  # type: ignore[arg-type]


def test_tokens(store: Store, tmp_path: Path) -> None:
    first, second = store.new_rater(), store.new_rater()
    assert store.rater(first.token) == first.rater != second.rater
    spoken = first.token.upper().replace("-", "  ").replace("O", "0").replace("L", "1")
    assert store.rater(spoken) == first.rater
    flipped = ("b" if first.token[0] == "a" else "a") + first.token[1:]
    forged = ["", flipped, first.token[:-1], "R0001", "1", "' OR 1=1 --", "\x00", "\ud800", "x" * 1_000_000]
    for token in [*forged, token_hash(first.token), first.token + "a"]:
        with pytest.raises(UnknownRaterError):
            store.rater(token)
    store.close()
    assert first.token.encode() not in (tmp_path / "study.sqlite").read_bytes()


def test_nothing_of_a_person_has_a_column(store: Store, tmp_path: Path) -> None:
    arrive(store)
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        columns = {
            row[1]
            for name in everything(tmp_path / "study.sqlite")
            for row in connection.execute(f"PRAGMA table_info({name})")
        }
    known = (
        "id hash settings facts version at text pseudonym token_hash rater event kind consent place holder position "
        "persona stage system label first second task turn role seconds scale value pair choice"
    )
    assert columns == set(known.split())
    assert (tmp_path / "study.sqlite").stat().st_mode & 0o077 == 0


def test_hostile_texts_come_back_as_they_were_or_not_at_all(store: Store, tmp_path: Path) -> None:
    rater = arrive(store).rater
    with pytest.raises(RefusedTextError, match="1,000,000"):
        store.add_message(rater, 1, 1, "user", "x" * 1_000_000, event="said-1")
    with pytest.raises(RefusedTextError):
        store.add_message(rater, 1, 1, "user", "\x00", event="said-1")
    text = "'; DROP TABLE raters; -- <script>alert('\U0001f469\u200d\U0001f680')</script> %s {} \\"
    assert store.add_message(rater, 1, 1, "user", text + "\x00\ud800", event="said-1").text == text
    reply = "y" * 1_000_000  # a reply is never cut
    assert store.add_message(rater, 1, 1, "assistant", reply).text == reply
    assert [m.text for m in store.tasks(rater)[0].messages] == [text, reply]


def test_consent_is_to_the_text_that_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    first = Store(path, settings(consent="Old text."))
    early, late = first.new_rater(), first.new_rater()
    first.consent(early.rater, first.study.consent_version, event="consent-1")
    shown = first.study.consent_version
    first.close()
    second = Store(path, settings(consent="New text."))
    with pytest.raises(OutOfStepError, match="read it again"):
        second.consent(late.rater, shown, event="consent-1")
    assert second.state(late.rater) == Step("consent")
    second.consent(late.rater, second.study.consent_version, event="consent-2")
    assert second.state(early.rater) == Step("chat", position=1)
    rows = everything(path)
    assert [text for _, text in rows["consents"]] == ["Old text.", "New text."]
    assert len({row[2] for row in rows["places"]}) == 2


def test_who_withdraws_leaves_no_word_behind(store: Store, tmp_path: Path) -> None:
    found = arrive(store)
    store.add_message(found.rater, 1, 1, "user", "my secret garden", event="said-1")
    store.add_message(found.rater, 1, 1, "assistant", "your secret garden")
    store.end_chat(found.rater, 1, event="end-1")
    store.add_ratings(found.rater, 1, FIVE, event="rate-1")
    other = arrive(store).rater
    store.add_message(other, 1, 1, "user", "stays", event="said-1")
    store.withdraw(found.rater, event="withdraw-1")
    store.withdraw(found.rater, event="withdraw-1")
    assert store.state(store.rater(found.token)) == Step("withdrawn")
    assert [(task.messages, task.ratings) for task in store.tasks(found.rater)] == [((), {}), ((), {})]
    assert store.tasks(other)[0].messages[0].text == "stays"
    for path in tmp_path.iterdir():
        assert b"secret garden" not in path.read_bytes(), path
    for late in (
        lambda: store.add_message(found.rater, 1, 2, "user", "more", event="said-2"),
        lambda: store.add_message(found.rater, 1, 1, "user", "my secret garden", event="said-1"),
        lambda: store.add_message(found.rater, 1, 1, "assistant", "late reply"),
        lambda: store.consent(found.rater, store.study.consent_version, event="consent-2"),
    ):
        with pytest.raises(OutOfStepError, match="withdrawn"):
            late()


def test_places_are_refilled_from_who_dropped_out_or_withdrew(tmp_path: Path, clock: Clock) -> None:
    study = settings(limits={"raters": 2, "starts": 7, "dropout_minutes": 10})
    store = Store(tmp_path / "study.sqlite", study, clock=clock)
    gone, here = arrive(store).rater, arrive(store).rater
    with pytest.raises(StudyFullError, match="Every place"):
        arrive(store)
    clock.now += 599
    store.add_message(here, 1, 1, "user", "still here", event="said-1")
    clock.now += 2
    heir = arrive(store).rater  # gone has sent nothing for ten minutes
    assert [task.system for task in store.tasks(heir)] == [task.system for task in store.tasks(gone)]
    store.add_message(gone, 1, 1, "user", "back again", event="said-1")  # and may still go on
    store.withdraw(here, event="withdraw-1")
    second = arrive(store).rater
    assert [task.system for task in store.tasks(second)] == [task.system for task in store.tasks(here)]
    rows = everything(tmp_path / "study.sqlite")["places"]
    assert [(place, holder) for *_, place, holder in rows] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    play(store, lambda _: FIVE, lambda *_: "a", rater=second)
    clock.now += 10_000
    assert arrive(store).rater.pseudonym == "R0006"  # place 0 again: who finished keeps theirs for good
    assert everything(tmp_path / "study.sqlite")["places"][-1][-2:] == (0, 2)
    store.new_rater()
    with pytest.raises(StudyFullError, match="nobody new"):
        store.new_rater()


def test_another_study_is_refused_and_says_what_differs(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    with pytest.raises(StudyStoreError, match=r"turns, seed\. .* put the settings back"):
        Store(path, settings(seed=3, turns={"min": 2, "max": 2}))
    with pytest.raises(StudyStoreError, match=r"pack \(now abc, then None\)"):
        Store(path, settings(), facts={"pack": "abc"})
    with pytest.raises(StudyStoreError, match="order of systems"):
        Store(path, settings(systems={"told": "prompt", "plain": "vanilla"}))
    Store(path, settings(limits={"raters": 3}, consent="Reworded.")).close()


def test_rows_are_only_ever_added(store: Store, tmp_path: Path) -> None:
    rater = arrive(store).rater
    talk(store, rater, 1, turns=1)
    store.end_chat(rater, 1, event="end-1")
    play(store, lambda _: FIVE, lambda *_: "a", rater=rater)
    assert store.state(rater).kind == "done"
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        for table, rows in everything(tmp_path / "study.sqlite").items():
            assert rows, table
            column = connection.execute(f"PRAGMA table_info({table})").fetchone()[1]
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):
                with pytest.raises(sqlite3.IntegrityError, match="only added"):
                    connection.execute(statement)
