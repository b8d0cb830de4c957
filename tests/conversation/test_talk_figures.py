"""From conversations to figures, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from known_talks import SCRIPT, KnownBackground, probe, record, talk, the_pack

from persbench.conversation.background import Background
from persbench.conversation.lines import labels_of, lines_of, spoken
from persbench.conversation.measures import measured, measured_conversation
from persbench.conversation.notes import talk_notes, voice_notes
from persbench.conversation.records import Agent, Turn
from persbench.errors import PersbenchError, UnknownNameError
from persbench.packs.pack import Pack
from persbench.packs.schema import Material

# of ada's author; bo's are the same mirrored
ODDS = {
    "My lamp is by the oven.": -2.0,
    "The flour needs a lamp.": 3.0,
    "Flour, flour and dough for the boat.": -1.0,
}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return the_pack()


def test_values_of_one_conversation(pack: Pack) -> None:
    probes = [
        probe("a", "q01", 0, "a"), probe("a", "q01", 4, "a"), probe("a", "q03", 0, "a"), probe("a", "q03", 4, "b"),
        probe("b", "q01", 0, None), probe("b", "q01", 4, "a"), probe("b", "q03", 0, "c", own=None),
    ]  # fmt: skip
    found = measured_conversation(talk(probes=probes), KnownBackground(pack, ODDS), told="a boat in the fog")
    a, b = found.values["a"], found.values["b"]
    assert a["own_stance"] == (1.0, 1.0, 1.0, 0.0)
    assert a["held_throughout"] == (1.0, 0.0)
    assert a["kept"] == (1.0, 0.0)
    assert b["own_stance"] == (None, 1.0)  # of q03 it has no stance to hold
    assert b["kept"] == (None,)  # whether it held it at first nobody knows
    assert b["held_throughout"] == (None,)  # the unscored probe might be the one that differs
    assert found.chances == {"a": (0.25,) * 4, "b": (0.25,) * 2}
    assert a["own_voice"] == (1.0, 0.0)
    assert a["voice_slope"] == (-4.0,)  # 3, then -1
    assert b["own_voice"] == (1.0, 1.0)
    assert b["voice_slope"] == (0.0,)
    # my-lamp-is-by, lamp-is-by-the, is-by-the-oven: none is sit-down-by-the or down-by-the-oven; then the same again
    assert b["repeats_own"] == (1.0,)
    assert b["repeats_other"] == (0.0, 0.0)
    assert b["exact_repeats"] == (0.0, 1.0)
    assert a["repeats_own"] == (0.0, 0.0)
    # lamp is new with b; flour with a; dough too; oven was in the opening and boat was told to both
    assert b["new_words"] == (1.0, 0.0)
    assert b["taken_up"] == (1.0,)  # ada speaks of a lamp next
    assert a["new_words"] == (1.0, 1.0)
    assert a["taken_up"] == (0.0,)  # flour; of dough nobody could speak any more
    assert a["length"] == (5.0, 7.0)


def test_what_cannot_be_said_is_unscored_and_what_does_not_arise_is_no_item(pack: Pack) -> None:
    blind = measured_conversation(talk(), KnownBackground(pack))
    assert blind.values["a"]["own_voice"] == (None, None)
    assert blind.values["a"]["voice_slope"] == (None,)
    assert blind.values["a"]["own_stance"] == blind.values["a"]["held_throughout"] == ()
    empty = measured_conversation(talk(script=()), KnownBackground(pack, ODDS))
    assert all(items == () for side in ("a", "b") for items in empty.values[side].values())
    opening = measured_conversation(talk(script=SCRIPT[:1]), KnownBackground(pack, ODDS))
    assert all(items == () for side in ("a", "b") for items in opening.values[side].values())
    one = measured_conversation(talk(script=SCRIPT[:2]), KnownBackground(pack, ODDS)).values["b"]
    assert one["voice_slope"] == (None,)  # a single point has no slope
    assert one["own_voice"] == (1.0,)
    assert one["taken_up"] == ()


def test_a_talk_that_broke_off_held_nothing_throughout(pack: Pack) -> None:
    probes = [probe("a", "q01", 0, "a"), probe("a", "q03", 0, "b")]
    broken = measured_conversation(talk(probes=probes, fault="b said nothing"), KnownBackground(pack))
    assert broken.values["a"]["held_throughout"] == (None, None)
    assert broken.values["a"]["kept"] == ()  # a single probe tells nothing of what came later
    assert broken.values["a"]["own_stance"] == (1.0, 0.0)


def test_a_talk_that_broke_off_leaves_open_what_would_have_been_taken_up(pack: Pack) -> None:
    broken = measured_conversation(talk(fault="b said nothing"), KnownBackground(pack))
    assert broken.values["b"]["taken_up"] == (None,)  # whole, it was taken up
    assert broken.values["a"]["taken_up"] == (None, None)  # of the last words, too, somebody might have spoken
    assert broken.values["a"]["new_words"] == (1.0, 1.0)


def test_one_scenario_with_other_people_is_another_conversation(pack: Pack) -> None:
    late = talk(a=Agent("prompt", "ada", "late"), fault="no reply")
    both = [record([talk()], pack), record([late], pack)]
    sides = spoken(both, [measured(one, KnownBackground(pack)) for one in both])
    (line,) = lines_of(sides)
    assert line.conversations == 2
    assert [one.conversations for one in lines_of(sides, by_persona=True)] == [2, 2]
    assert talk_notes(sides) == ["prompt: 1 of 2 conversations broke off (1 x no reply)"]


def test_only_what_was_held_first_can_be_kept_or_lost(pack: Pack) -> None:
    asked = {"q01": "aab", "q02": "baa", "q03": "aaa", "q04": "a-a"}
    probes = [
        probe("a", name, after, None if chosen == "-" else chosen)
        for name, said in asked.items()
        for after, chosen in reversed(list(enumerate(said)))  # their order in the record decides nothing
    ]
    found = measured_conversation(talk(probes=probes), KnownBackground(pack)).values["a"]
    assert found["kept"] == (0.0, 1.0, None)
    assert found["held_throughout"] == (0.0, 0.0, 1.0, None)


def test_lines_pool_items_over_talks_and_draw_scenarios(pack: Pack) -> None:
    held = [probe(side, "q01", after, "a") for side in ("a", "b") for after in (0, 4)]
    lost = [probe("a", "q01", 0, "b"), probe("b", "q01", 0, None)]
    talks = [
        talk("op01", 0, probes=held), talk("op01", 1, probes=held), talk("op02", 0, probes=lost, fault="no\nreply"),
        talk("co01", 0, kind="cooperative", probes=held),
    ]  # fmt: skip
    one = record(talks, pack)
    other = record(
        [replace(t, a=replace(t.a, system="vanilla"), b=replace(t.b, system="vanilla")) for t in talks], pack
    )
    background = KnownBackground(pack, ODDS)
    both = spoken([one, other], [measured(one, background), measured(other, background)])
    lines = lines_of(both)
    assert [(line.kind, line.label, line.conversations) for line in lines] == [
        ("opposed", "vanilla", 3), ("opposed", "prompt", 3),
        ("cooperative", "vanilla", 1), ("cooperative", "prompt", 1),
    ]  # fmt: skip
    stance = lines[1].entries["own_stance"]
    assert (stance.value.mean, stance.value.n, stance.value.unscored, stance.value.clusters) == (8 / 9, 9, 1, 2)
    assert (stance.value.low, stance.value.high, stance.chance) == (0.0, 1.0, 0.25)
    assert lines[3].entries["own_stance"].value.low is None  # a single scenario tells no spread
    people = lines_of(both, by_persona=True)
    assert [(p.kind, p.label, p.persona) for p in people][:2] == [
        ("opposed", "vanilla", "ada"),
        ("opposed", "vanilla", "bo"),
    ]
    assert people[0].entries["own_stance"].value.n == 5
    notes = talk_notes(both)
    assert "prompt: 1 of 4 conversations broke off (1 x no reply)" in notes


def test_cut_and_full_utterances_are_told(pack: Pack) -> None:
    said = list(talk().turns)
    said[1] = replace(said[1], finished=False, dropped=2)
    one = record([talk(turns=tuple(said))], pack)
    notes = talk_notes(spoken([one], [measured(one, KnownBackground(pack))]))
    assert notes == [
        "prompt: 1 of 4 utterances were cut at the most tokens",
        "prompt: the context ran full at 1 of 4 utterances: oldest exchanges were left out, at most 2",
    ]


def test_systems_are_named_with_their_partners_and_apart_where_settings_differ(pack: Pack) -> None:
    mixed = record([talk(system="prompt", other="vanilla")], pack)
    assert labels_of([mixed]) == [{"a": "prompt (with vanilla)", "b": "vanilla (with prompt)"}]
    short, long = record([talk()], pack, turns=4), record([talk()], pack, turns=8)
    first, second = (labels["a"] for labels in labels_of([short, long]))
    assert first.startswith("prompt @")
    assert second.startswith("prompt @")
    assert first != second
    assert labels_of([short, record([talk("op02")], pack, turns=4)])[0] == {"a": "prompt", "b": "prompt"}


def test_another_pack_and_unknown_people_are_refused(pack: Pack) -> None:
    with pytest.raises(PersbenchError, match=r"played with the pack @0123456789ab, not with\s.*name theirs by --pack"):
        measured(record([talk()], pack, pack="fake-1@0123456789ab"), Background(pack))
    with pytest.raises(PersbenchError, match="the pack @unknown"):
        measured(record([talk()], pack, pack=""), Background(pack))
    with pytest.raises(UnknownNameError, match="unknown persona 'eve'"):
        measured(record([talk(a=Agent("prompt", "eve", "early"))], pack), Background(pack))


def test_voices_and_fields_of_the_pack(pack: Pack) -> None:
    background = Background(pack)
    ada, bo = Agent("prompt", "ada", "early"), Agent("prompt", "bo", "early")
    voices = background.voices(ada, bo)
    assert voices is not None
    assert voices.authors == ("ada/early", "bo/early")
    answer = pack.persona("ada").answers[0].reply
    assert (voices.log_odds(answer, "ada/early") or 0) > 0
    assert background.voices(bo, ada) is voices
    assert background.voices(ada, ada) is None  # one and the same voice
    with pytest.raises(UnknownNameError, match="unknown stage 'old'"):
        background.field(Agent("prompt", "ada", "old"))


def test_a_field_comes_from_objective_material_up_to_the_stage(pack: Pack) -> None:
    six = {word: " and the ".join([word] * 6) for word in ("oven", "cart", "lamp", "toll")}
    texts = {
        "ada": {"early": f"Ada smokes, burns, blackens the {six['oven']}.", "late": f"The {six['cart']}."},
        "bo": {"early": f"Bo trims the {six['lamp']}.", "late": f"The {six['toll']}."},
    }
    people = []
    for data in pack.personas:
        who = data.persona.id
        told = [Material(id=f"{who}{at}", stage=at, kind="experience", text=text) for at, text in texts[who].items()]
        said = Material(id=f"{who}-s", stage="early", kind="speech", text="Dinna " * 6)
        bare = {at: sheet.model_copy(update={"profile": None}) for at, sheet in data.persona.stages.items()}
        persona = data.persona.model_copy(update={"stages": bare})
        people.append(replace(data, persona=persona, materials=(*told, said)))
    background = Background(replace(pack, personas=tuple(people)))
    assert background.field(Agent("prompt", "ada", "early")) == {"oven"}
    assert background.field(Agent("prompt", "ada", "late")) == {"oven", "cart"}
    assert background.field(Agent("prompt", "bo", "early")) == {"lamp"}


def test_the_worth_of_the_voices_is_told(pack: Pack) -> None:
    (known,) = voice_notes([record([talk()], pack)], Background(pack))
    assert known.startswith("voices: of texts that the classifier did not see it gives ")
    assert known.endswith("between ada (early) and bo (early)")
    _, alike = voice_notes([record([talk()], pack)], KnownBackground(pack, dict.fromkeys(ODDS, 0.0)))
    assert alike.startswith("voices that texts the classifier did not see tell the wrong way round, or not at all: ")
    assert alike.endswith(": ada (early) and bo (early)")
    (blind,) = voice_notes([record([talk()], pack)], KnownBackground(pack))
    assert blind == ("voices are unscored, for want of authored texts that tell them apart: ada (early) and bo (early)")


@pytest.mark.parametrize("text", ["x" * 1_000_000, "oven " * 200_000, "\x00\x1b[31m\u202e\ud800", "", "\n\n"])
def test_any_utterance_is_measured(pack: Pack, text: str) -> None:
    turns = (Turn("a", "Sit down.", authored=True), Turn("b", text), Turn("a", text))
    found = measured_conversation(talk(turns=turns), Background(pack))
    for side in ("a", "b"):
        assert len(found.values[side]["own_voice"]) == 1
        assert (found.values[side]["own_voice"][0] is None) == (not text.strip())
