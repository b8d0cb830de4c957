"""STUDY.yaml: the example is valid, every fault comes at once with its line, and what is frozen is frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
from played_study import SETTINGS, settings
from pydantic import ValidationError

from persbench.errors import FaultsError, PersbenchError
from persbench.study.settings import EXAMPLE, load_study, write_example


def test_the_example_is_a_study_of_the_reference_world(tmp_path: Path) -> None:
    path = tmp_path / "new" / "STUDY.yaml"
    write_example(path)
    found, pack = load_study(path)
    assert pack.world.id == "grettow"
    assert list(found.systems) == ["vanilla", "prompt"]
    assert list(found.scales) == ["likeness", "consistency", "naturalness", "engagement"]
    assert {scale.points for scale in found.scales.values()} == {5}
    assert (found.conversations, found.pairs) == (2, 1)
    with pytest.raises(PersbenchError, match="already there"):
        write_example(path)
    assert path.read_text("utf-8") == EXAMPLE.read_text("utf-8")


def test_every_fault_of_the_form_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "STUDY.yaml"
    text = EXAMPLE.read_text("utf-8")
    text = text.replace("min: 4, max: 8", "min: 9, max: 8").replace("seed: 0", "seed: -1\nsede: 2")
    text = text.replace("[not at all, a little, in part, largely, entirely]", "[only one]")
    path.write_text(text, "utf-8")
    with pytest.raises(FaultsError) as caught:
        load_study(path)
    lines = text.splitlines()
    found = {fault.message.split(":")[0]: fault.line for fault in caught.value.faults}
    assert found["turns"] == 1 + next(i for i, line in enumerate(lines) if line.startswith("turns:"))
    assert found["seed"] == 1 + lines.index("seed: -1")
    assert found['unknown key "sede" (did you mean "seed"?)'] == 1 + lines.index("sede: 2")
    assert any(name.startswith("scales.likeness.anchors") for name in found)
    assert len(found) == 4


def test_unknown_personas_stages_and_packs_are_named_with_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "STUDY.yaml"
    text = EXAMPLE.read_text("utf-8")
    path.write_text(text.replace("persona: nedda", "persona: neda").replace("stage: early", "stage: erly"), "utf-8")
    with pytest.raises(FaultsError) as caught:
        load_study(path)
    told = [str(fault) for fault in caught.value.faults]
    assert len(told) == 2
    assert 'unknown persona "neda" (did you mean "nedda"?)' in told[0]
    assert 'unknown stage of ivo: "erly" (did you mean "early"?)' in told[1]
    path.write_text(text.replace("pack: null", "pack: nowhere"), "utf-8")
    with pytest.raises(FaultsError, match="no pack 'nowhere'"):
        load_study(path)
    with pytest.raises(FaultsError, match="missing file"):
        load_study(tmp_path / "none.yaml")
    path.write_bytes(b"\0\xff")
    with pytest.raises(FaultsError):
        load_study(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"systems_per_rater": 3}, "systems_per_rater: 3 of 2"),
        ({"pairs_per_rater": 2}, "2 conversations have 1 neighbours"),
        ({"parts": [SETTINGS["parts"][0]] * 2}, "ada late twice"),
        ({"systems": {}}, "at least 1"),
        ({"systems": {"=cmd()": "vanilla"}}, "not an id"),
        ({"consent": "a\x00b"}, "control character"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(**changes)


def test_limits_and_consent_may_change_and_nothing_else() -> None:
    base = settings()
    assert settings(limits={"raters": 5}).hash == base.hash
    reworded = settings(consent="Another text.")
    assert (reworded.hash, reworded.consent_version == base.consent_version) == (base.hash, False)
    for changes in (
        {"seed": 1},
        {"systems": {"told": "prompt", "plain": "vanilla"}},
        {"turns": {"min": 1, "max": 3}},
        {"preference": "Which one?"},
        {"replies": {"temperature": 0.1}},
    ):
        assert settings(**changes).hash != base.hash
