"""Small data sets in other projects' formats, composed for these tests: a ferry village that nobody has heard of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"
MAREN = "Maren Voss"
TOBIAS = "Tobias Quill"

UNITS = {
    "chain": "Maren learnt to splice the ferry chain from her uncle, who had two fingers left on his right hand.",
    "flood": "In the flood year the landing stage drifted down to the weir, and Maren rowed out to bring it back.",
    "toll": "The toll was a copper for a person and three for a cow... and nothing at all for a midwife.",
    "talk": "Maren says: I never trust a river that is quiet, it is only counting.",
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def write_lines(path: Path, rows: list[Any]) -> Path:
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def rows_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def item(unit: str, question: str, response: str, objective: str = "", speech: str = "") -> str:
    return f"{unit}\n[question] {question}\n{response}\n{objective}\n{speech}\n\n"


def thought(analysis: str, response: str) -> str:
    return f"[Analysis] {analysis} [Response] {response}"


def persllm(home: Path) -> Path:
    """Two personas; Maren with two stages, materials, a test split, training dialogues, general ones, preferences."""
    maren, tobias = home / "maren", home / "tobias"
    write(home / "LICENSE", MIT)
    write(maren / "early_knowledge.txt", f"【Village book】{UNITS['chain']}\n{UNITS['toll']}\n")
    write(maren / "early_style.txt", f"{UNITS['talk']}\n")
    retrieved = f"{UNITS['chain']}{UNITS['toll']}...A passage that nobody brought along..."
    write(
        maren / "maren_dedup" / "early_thought_train.txt",
        item(
            f"【Village book】{UNITS['chain']}",
            "Ropes are better than chains, a chain only rusts.",
            thought("The user prefers ropes. Maren was taught the chain and would object.", "A rope rots unseen."),
            retrieved,
            f"{UNITS['talk']}...",
        )
        + item(
            UNITS["talk"],
            "A calm river is a safe one.",
            thought("Maren mistrusts calm.", "It is counting, sir."),
            "",
            UNITS["talk"],
        ),
    )
    write(
        maren / "maren_dedup" / "early_thought_test.txt",
        item(
            UNITS["toll"],
            "Everybody should pay the same toll.",
            thought("She lets midwives pass.", "Not the midwife, no."),
            UNITS["toll"],
        ),
    )
    write(
        maren / "maren_dedup" / "late_error_train.txt",
        item(
            UNITS["flood"],
            "You let the stage go in the flood.",
            thought("False: she rowed out.", "I fetched it."),
            UNITS["flood"],
        )
        + item(
            UNITS["chain"],
            "Was your uncle's hand whole?",
            thought("He had lost fingers.", "Two fingers he had."),
            UNITS["chain"],
        ),
    )
    write(
        maren / "late_error_test.txt",
        item(
            UNITS["flood"],
            "The weir was built last year.",
            thought("It is old.", "It is older than I."),
            UNITS["flood"],
        ),
    )
    write_lines(
        maren / "early_ordinary_train.jsonl",
        [
            {"id": 7, "data": ["Who taught you?", thought("Her uncle did.", "My uncle, with what fingers he had.")]},
            {
                "id": "x-8",
                "data": ["<TIME-III> And now?", thought("She is alone at it.", "Nobody. I teach."), "Whom?", "A boy."],
            },
        ],
    )
    write(
        tobias / "early_ordinary_QA_with_COT.txt",
        item(
            "Tobias bakes at two in the night.",
            "When do you get up?",
            thought("At one, he bakes at two.", "At one, like an owl."),
            "",
        ),
    )
    write(
        maren / "dpo_early_thought.txt",
        "[question] When do you get up?\n"
        f"{thought('She rises with the ferry.', 'When the bell goes over there.')}\n"
        f"{thought('At one, he bakes at two.', 'At one, like an owl.')}\n\n"
        "[question] A calm river is a safe one.\n"
        f"{thought('Maren mistrusts calm.', 'It is counting, sir.')}\nA reply of nobody here.\n\n",
    )
    write_lines(
        home / "mix_ultrachat.jsonl", [{"id": "g1", "data": ["Two and two?", "Four.", "And one more?", "Five."]}]
    )
    return home


def rolebench_row(role: str, question: str, *replies: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "question": question, "generated": list(replies), **more}


def rolebench(home: Path) -> Path:
    """Two roles of the published layout, in one language."""
    write(home / "README.md", '---\nlanguage:\n- English\nlicense: "Apache 2.0"\n---\n# A ferry village\n')
    profiles = {MAREN: "Ferrywoman, forty, blunt.", TOBIAS: "Baker who sleeps by day."}
    write(home / "profiles-eng" / "desc.json", json.dumps(profiles))
    rows = home / "rolebench-eng" / "instruction-generalization"
    bread = "How is bread made?"
    write_lines(
        rows / "general" / "test.jsonl",
        [
            rolebench_row(MAREN, bread, "Ask Tobias. Flour, water, noise at night.", "By fools, at night."),
            rolebench_row(TOBIAS, bread, "Patience first, then flour, and never hurry the sponge."),
        ],
    )
    write_lines(
        rows / "role_specific" / "test.jsonl",
        [
            rolebench_row(
                MAREN, "Maren, who lost the landing stage?", "The flood did, and I fetched it.", type="script_based"
            )
        ],
    )
    write_lines(
        rows / "role_specific" / "train.jsonl",
        [rolebench_row(TOBIAS, "Tobias, when do you get up?", "At one, with the owls.", type="script_agnostic")],
    )
    write_lines(
        rows / "general" / "train.jsonl", [rolebench_row(TOBIAS, "Name a river.", "The one that wets my flour.")]
    )
    write_lines(rows / "general" / "rolegpt_baseline.jsonl", [rolebench_row(TOBIAS, bread, "As a baker, I bake.")])
    write_lines(home / "instructions-eng" / "nums.jsonl", [{"role": MAREN, "num": 1}])
    return home


def charactereval(home: Path) -> Path:
    """Two characters; three contexts of one scene, of which two contain each other."""
    write(home / "LICENSE.txt", "Village Data Licence, version 1\nYou may look at it.\n")
    write(
        home / "character_profiles.json",
        json.dumps(
            {
                MAREN: {"Occupation": "ferrywoman", "Traits": ["blunt", "loyal"], "Age": 40},
                TOBIAS: {"Occupation": "baker"},
            }
        ),
    )
    scene = [
        f"{TOBIAS}：Is the ferry late?",
        f"{MAREN}：The river is late.",
        f"{TOBIAS}: Then who pays me?",
        f"{MAREN}：Ask the river.",
    ]
    items = [
        {"id": 11, "role": MAREN, "novel_name": "The Ferry", "context": "\n".join(scene[:1])},
        {"id": 12, "role": MAREN, "novel_name": "The Ferry", "context": "\n".join(scene[:3])},
        {"id": 13, "role": TOBIAS, "novel_name": "The Ferry", "context": "\n".join(scene[:2])},
        {"id": 14, "role": TOBIAS, "novel_name": "The Ferry", "context": "\n".join(scene)},
    ]
    write(home / "test_data.jsonl", json.dumps(items, ensure_ascii=False, indent=4))
    write(home / "id2metric.jsonl", json.dumps({"11": [["Fluency", "-"]], "12": [], "13": [], "99": []}))
    return home


PERSONAGYM_NAMES = (
    "A 61-year-old ferrywoman from a village without a name",
    "A baker who sleeps by day, collects clay whistles, and has opinions about yeast that nobody in the valley shares",
)


def personagym(home: Path) -> Path:
    """Two personas of a sentence each, with ten questions a task."""
    write(home / "LICENSE", MIT)
    tasks = ("Expected Action", "Toxicity", "Linguistic Habits", "Persona Consistency", "Action Justification")
    for name in PERSONAGYM_NAMES:
        asked = {task: [f"{task}, {name.split()[1]}: what on day {day}?" for day in range(1, 11)] for task in tasks}
        write(home / "questions" / "benchmark-v1" / f"{name}.json", json.dumps(asked, indent=4))
    write(home / "evaluations" / "scores.json", '{"score": 4.2}')
    return home


SOURCES = {"persllm": persllm, "rolebench": rolebench, "charactereval": charactereval, "personagym": personagym}
