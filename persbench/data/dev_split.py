"""A pack for tuning, cut from training data alone: nobody need look at a test item to choose a learning rate.

Held out are, by a fixed hash and balanced over patterns, a share of the prompts that are common to several personas, of
each persona's own prompts (balanced over stages too), and of the ordinary training dialogues.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from persbench.errors import FaultsError, PersbenchError
from persbench.packs.load import load_pack
from persbench.packs.texts import folded
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from persbench.packs.pack import Pack, PersonaData
    from persbench.packs.schema import TrainDialogue
    from persbench.packs.texts import PackModel

SHARE: Final = 0.2
TEST_ONLY: Final = {"traits", "cannot_know"}  # of a stage's sheet


@dataclass(frozen=True)
class DevSplit:
    """What is held out.

    Attributes:
        common: Prompt ids that several personas were given: items of the dev pack.
        own: Persona id to prompt ids that it alone was given: no items, since nobody else's reply can stand beside
            one, but not learnt either, so that about the same share of every kind of dialogue is missing.
        general: Ids of ordinary dialogues: the dev pack's split test.
    """

    common: frozenset[str]
    own: Mapping[str, frozenset[str]]
    general: frozenset[str]

    def holds_out(self, persona: str, row: TrainDialogue) -> bool:
        """Return whether a persona's training dialogue is held out."""
        return row.prompt_id in self.common or row.prompt_id in self.own[persona]


def dev_split(pack: Pack, share: float = SHARE) -> DevSplit:
    """Choose what is held out for tuning.

    Args:
        pack: The world; test files are not read.
        share: Of each group about so much: the first by a hash of the prompt's id, `round(share * size)` of them.

    Returns:
        The split; the same for equal ids, whatever the texts and their order.

    Raises:
        PersbenchError: No prompt that two personas share would be held out: the dev pack would have no item.
    """
    askers: dict[str, set[str]] = defaultdict(set)
    patterns: dict[str, str] = {}
    for data in pack.personas:
        for row in data.train:
            askers[row.prompt_id].add(data.persona.id)
            patterns[row.prompt_id] = row.pattern
    common = _chosen({(patterns[p], p) for p, who in askers.items() if len(who) > 1}, share)
    if not common:
        shared = sum(len(who) > 1 for who in askers.values())
        raise PersbenchError(
            f"{pack.world.id}: {shared} training prompts are common to several personas, too few to hold {share:.0%} "
            "of them out. Give several personas the same prompts in train.jsonl (one prompt_id each)."
        )
    own = {
        data.persona.id: _chosen(
            {(f"{row.stage}/{row.pattern}", row.prompt_id) for row in data.train if len(askers[row.prompt_id]) == 1},
            share,
        )
        for data in pack.personas
    }
    return DevSplit(common, own, _chosen({("", row.id) for row in pack.general if row.split == "train"}, share))


def write_dev_pack(pack: Pack, out: Path, share: float = SHARE) -> Path:
    """Write the dev pack of a world: train.jsonl and matched.jsonl without what is held out, and items made of it.

    Held-out common prompts become shared questions without stances, all persona-stages' responses their answers (for
    persbench_who_said, persbench_reply and persbench_distinction), and, where a persona replies at several stages,
    stage items. Materials, stylized rows, profiles, voices and relations stay. No test file of the source is copied.

    Args:
        pack: The world.
        out: The folder to write: new, empty, or already this very pack. It is written whole or not at all.
        share: See `dev_split`.

    Returns:
        The folder, a valid pack called `<id>-dev`.

    Raises:
        PersbenchError: There is something else in the folder, or it cannot be written, or see `dev_split`.
    """
    files = _files(pack, dev_split(pack, share))
    temporary = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        for name, text in files.items():
            write_atomic(temporary / name, text.encode())
        written = load_pack(temporary)
        if out.is_dir() and any(out.iterdir()):
            if _hash_of(out) == written.hash:
                return out
            raise PersbenchError(f"{out} holds something else already. Remove it, or name another folder: --out DIR.")
        temporary.chmod(0o755)  # temporary folders are private, results are not
        temporary.replace(out)
    except OSError as error:
        raise PersbenchError(
            f"cannot write {out}: {error.strerror or error}. Name another folder: --out DIR."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return out


def _hash_of(folder: Path) -> str | None:
    try:
        return load_pack(folder).hash
    except FaultsError:
        return None


def _chosen(members: set[tuple[str, str]], share: float) -> frozenset[str]:
    """Take a share of each stratum of (stratum, id), the first by a fixed hash."""
    strata: dict[str, list[str]] = defaultdict(list)
    for stratum, name in members:
        strata[stratum].append(name)
    return frozenset(
        name
        for names in strata.values()
        for name in sorted(names, key=lambda n: hashlib.sha256(f"persbench-dev-1\x1f{n}".encode()).hexdigest())[
            : round(share * len(names))
        ]
    )


def _files(pack: Pack, split: DevSplit) -> dict[str, str]:
    """Return the text of every file of the dev pack by its name."""
    world = pack.world.model_dump(mode="json")
    world |= {"id": f"{pack.world.id[:60]}-dev", "name": f"{pack.world.name} (dev split of its training data)"}
    files = {"world.yaml": _yaml(world)}
    prompts = {row.prompt_id: row for data in pack.personas for row in data.train if row.prompt_id in split.common}
    questions = [{"id": i, "topic": row.pattern, "text": row.prompt} for i, row in sorted(prompts.items())]
    general = [
        row.model_dump(mode="json") | {"split": "test" if row.id in split.general else "train"}
        for row in pack.general
        if row.split == "train"
    ]
    tables: dict[str, list[dict[str, Any]]] = {"questions.jsonl": questions, "general.jsonl": general}
    for data in pack.personas:
        home = f"personas/{data.persona.id}"
        persona = data.persona.model_dump(mode="json", exclude={"stages": {"__all__": TEST_ONLY}})
        files[f"{home}/persona.yaml"] = _yaml(persona)
        tables |= {f"{home}/{stem}.jsonl": rows for stem, rows in _tables(data, split).items()}
    return files | {
        name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        for name, rows in tables.items()
        if rows
    }


def _tables(data: PersonaData, split: DevSplit) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of one persona's files by their stems."""
    who = data.persona.id
    kept = [row for row in data.train if not split.holds_out(who, row)]
    ids = {row.id for row in kept}
    replies: dict[str, dict[str, str]] = defaultdict(dict)
    for row in data.train:
        if row.prompt_id in split.common:
            replies[row.prompt_id].setdefault(row.stage, row.response)
    prompts = {row.prompt_id: row.prompt for row in data.train}
    return {
        "materials": _dumped(data.materials),
        "answers": [
            {"question": prompt, "stage": stage, "reply": text}
            for prompt, by_stage in sorted(replies.items())
            for stage, text in by_stage.items()
        ],
        "stages": [
            {"id": f"{who}-{prompt}", "kind": "change", "question": prompts[prompt], "replies": by_stage}
            for prompt, by_stage in sorted(replies.items())
            if len({folded(text) for text in by_stage.values()}) > 1
        ],
        "train": _dumped(kept),
        "matched": _dumped(row for row in data.matched if row.id in ids),
        "stylized": _dumped(data.stylized),
    }


def _dumped(rows: Iterable[PackModel]) -> list[dict[str, Any]]:
    return [row.model_dump(mode="json", by_alias=True) for row in rows]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _yaml(content: object) -> str:
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))
