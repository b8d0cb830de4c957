"""The order of floors: who may import whom, read from the syntax trees of all modules."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "persbench"
# From the ground up; what stands side by side may import each other only where `BESIDE` says so.
FLOORS: dict[str, int] = {
    "errors": 0, "records": 0, "provenance": 0, "jsonl": 0, "samples": 0, "stock_results": 0, "visible": 0,
    "near_duplicates": 0, "__init__": 0,
    "packs": 1, "models": 1,
    "retrieval": 2, "scoring": 2, "annotators": 2,
    "systems": 3, "data": 3, "importers": 3,
    "harness": 4, "training": 4, "build": 4, "judging": 4,
    "report": 5, "conversation": 5, "study": 5, "submission": 5,
    "commands": 6, "lm_eval": 6,
    "cli": 7,
    "__main__": 8,
}  # fmt: skip
WINGS = {
    "systems": "evaluation",
    "harness": "evaluation",
    "conversation": "evaluation",
    "study": "evaluation",
    "submission": "evaluation",
    "data": "training",
    "training": "training",
    "importers": "training",
    "build": "training",
    "report": "reading",
}
ONLY_IN = {
    "lm_eval": ("harness/", "lm_eval.py", "submission/examiner.py"),
    "trl": ("training/",),
    "peft": ("training/", "systems/trained.py"),
    "matplotlib": ("report/figures/",),
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_bundled" not in path.parts)


def imports_of(path: Path) -> set[str]:
    """Absolute names of everything a module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_below_or_its_own_room(path: Path) -> None:
    room = room_of(path)
    for name in imports_of(path):
        if not name.startswith("persbench."):
            continue
        other = name.split(".")[1]
        if other not in FLOORS or other == room:
            assert other in (room, "__version__"), f"{path.name} imports {name}: no such room"
            continue
        assert FLOORS[other] <= FLOORS[room], f"{path.name} ({room}) imports {name} from above"
        assert FLOORS[other] < FLOORS[room] or FLOORS[room] == 0, f"{path.name} ({room}) imports {name} from beside"
        assert WINGS.get(other, WINGS.get(room)) == WINGS.get(room) or room in ("commands", "cli", "lm_eval"), (
            f"{room} reaches into {other}"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for library, rooms in ONLY_IN.items():
        if any(name.split(".")[0] == library for name in imports_of(path)):
            assert any(place == room or (room.endswith("/") and place.startswith(room)) for room in rooms), (
                f"{place} imports {library}"
            )


def test_every_room_has_a_floor_and_no_grab_bag_exists() -> None:
    assert {room_of(path) for path in MODULES} <= set(FLOORS)
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "helper", "common", "misc"}]


def test_the_walk_sees_imports_inside_functions(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def f():\n    from persbench.report import table\n")
    assert "persbench.report" in imports_of(module)
