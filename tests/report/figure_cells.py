"""Small cells for figures, with numbers that can be worked out by hand."""

from __future__ import annotations

from typing import Any

from persbench.report.cells import Cell

LABELS = ["ada/early", "ada/late", "bo/early", "bo/late"]
DEPTHS = (1, 4, 8)
TARGETS = {"O": 4.0, "C": 3.0, "E": 1.5, "A": 2.0, "N": 4.5}
Row = dict[str, Any]


def scored(value: float | None) -> list[Any]:
    return [value, value is not None]


def pattern(share: float | None, n: int) -> list[float | None]:
    """n items of which a share is right, the right ones first; all unscored without a share."""
    return [None if share is None else float(i < round(share * n)) for i in range(n)]


def costume(persona: str, content: float | None, voice: float | None) -> list[Row]:
    pairs = zip(pattern(content, 10), pattern(voice, 10), strict=True)
    return [
        {
            "id": f"costume/{persona}/q{i}", "persona": persona, "stage": "early", "cluster": f"q{i}",
            "kind": "costume",
            "chance": {"content_acc": 0.5, "voice_acc": 0.5},
            "metrics": {"content_acc": scored(holds), "voice_acc": scored(sounds)},
        }
        for i, (holds, sounds) in enumerate(pairs)
    ]  # fmt: skip


def induction(persona: str, resistance: float | None, over: float | None) -> list[Row]:
    pairs = zip(pattern(resistance, 20), pattern(over, 20), strict=True)
    return [
        {
            "id": f"{persona}-i{i}", "persona": persona, "stage": "early", "cluster": f"{persona}-i{i}",
            "kind": "premise",
            "chance": {"resistance": 0.5, "over_resistance": 0.5, "discrimination": 0.5},
            "metrics": {
                "resistance": scored(hit), "over_resistance": scored(false),
                "discrimination": scored(None if hit is None or false is None else 0.5 + (hit - false) / 2),
            },
        }
        for i, (hit, false) in enumerate(pairs)
    ]  # fmt: skip


def who_said(persona: str, lead: float | None) -> list[Row]:
    """The own answer leads by so much, in nats per byte; without it the first label wins, and None is unscored."""
    rows = []
    for stage in ("early", "late"):
        own = LABELS.index(f"{persona}/{stage}") if f"{persona}/{stage}" in LABELS else 0
        lls: list[float | None] = [-20.0, -20.5, -20.5, -20.5]
        lls[own] = None if lead is None else (lls[own] or 0.0) + 10 * lead
        rows += [
            {
                "id": f"who_said/{persona}/{stage}/q{i}", "persona": persona, "stage": stage, "cluster": f"q{i}",
                "kind": "who_said", "labels": LABELS, "own": own, "bytes": [10] * 4, "loglikelihoods": lls,
                "anchors": [0.0] * 4, "chance": {"persona_acc": 0.5, "stage_acc": 0.5},
                "metrics": {"persona_acc": scored(None if lead is None else float(lead > 0.06))},
            }
            for i in range(4)
        ]  # fmt: skip
    return rows


def consistency(persona: str, leads: dict[int, float | None], calm: float) -> list[Row]:
    """Dialogues whose own stance leads the mean of the others by so much after so many exchanges, in nats per byte."""
    branches = []
    for depth, lead in leads.items():
        lls = [None if lead is None else 10 * lead, 0.0]
        branches.append(
            {"label": f"talk/{depth}", "loglikelihoods": lls, "calm": [10 * calm, 0.0], "anchors": [0.0] * 2}
        )
    known = {depth: lead for depth, lead in leads.items() if lead is not None}
    slope = (known[8] - known[1]) / 7 if {1, 8} <= set(known) else None
    return [
        {
            "id": f"consistency/{persona}/{i}", "persona": persona, "stage": "early", "cluster": f"q{i}",
            "kind": "talk",
            "labels": ["a", "b"], "own": 0, "bytes": [10, 10], "branches": branches,
            "probes": {"talk": [{"after": depth, "ask": "?"} for depth in leads]}, "chance": {"own_share": 0.5},
            "metrics": {"drift": scored(slope), "own_share": scored(1.0), "all_own": scored(1.0)},
        }
        for i in range(4)
    ]  # fmt: skip


def traits(persona: str, pull: float | None) -> list[Row]:
    """Answers that lie between 3 and the target, as near to it as `pull` says; None is unscored."""
    rows = []
    for stage in ("early", "late"):
        for domain, target in TARGETS.items():
            answer = None if pull is None else round(3 + pull * (target - 3))
            lls = [None if answer is None else -float(abs(point - answer)) for point in range(1, 6)]
            rows.append(
                {
                    "id": f"traits/{persona}/{stage}/{domain}1", "persona": persona, "stage": stage,
                    "cluster": f"traits/{persona}/{stage}/{domain}1", "kind": domain, "bytes": [1] * 5, "own": None,
                    "statement": {"id": f"{domain}1", "domain": domain, "keyed": 1, "target": target},
                    "branches": [{"label": "text/ascending", "loglikelihoods": lls, "anchors": [0.0] * 5}],
                    "chance": {}, "metrics": {"order_gap": scored(0.0)},
                }
            )  # fmt: skip
    return rows


def stages(persona: str) -> list[Row]:
    return [
        {
            "id": f"stages/{persona}", "persona": persona, "stage": "early+late", "cluster": "s", "kind": "change",
            "branches": [{"label": "early"}, {"label": "late"}], "chance": {"stage_item_acc": 0.5},
            "metrics": {"stage_item_acc": scored(1.0)},
        }
    ]  # fmt: skip


def cell(
    system: str,
    persona: str = "ada",
    *,
    content: float | None = 0.6,
    voice: float | None = 0.8,
    resistance: float | None = 0.7,
    over: float | None = 0.4,
    lead: float | None = 0.1,
    leads: dict[int, float | None] | None = None,
    calm: float = 0.01,
    pull: float | None = 0.5,
    **signature: Any,
) -> Cell:
    """One system on one persona, with every task that figures read."""
    tasks = {
        "costume": costume(persona, content, voice),
        "induction": induction(persona, resistance, over),
        "who_said": who_said(persona, lead),
        "consistency": consistency(persona, leads or dict.fromkeys(DEPTHS, 0.03), calm),
        "traits": traits(persona, pull),
        "stages": stages(persona),
    }
    facts = {"system": f"{system}@1", "model": "toy@1", "pack": "w@1"} | signature
    return Cell(system, persona, facts, {f"persbench_{name}": rows for name, rows in tasks.items()})


def both(system: str, **more: Any) -> list[Cell]:
    """One system on two personas."""
    return [cell(system, persona, **more) for persona in ("ada", "bo")]
