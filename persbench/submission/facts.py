"""What a record says about itself: who speaks as whom, on which pack, which tasks, under which settings."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from persbench.errors import PersbenchError
from persbench.harness.anchors import neutral_prompts
from persbench.models.adapter_card import AdapterCard
from persbench.provenance import digest
from persbench.records import cell_key
from persbench.scoring.sanity import PREFIX
from persbench.submission.findings import NAMES, PACK, SETTINGS, TASKS, Findings, named, plain, shown
from persbench.submission.names import ALLOWED, is_system_name
from persbench.submission.stock import STOCK
from persbench.systems.registry import get_system
from persbench.systems.trained import RECIPES, Speech, Trained, recipe_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from persbench.records import CellRecord
    from persbench.submission.examiner import Examiner

AnchorRow = tuple[str, str, float]
"""(question, candidate, nats per byte)."""
_HEX: Final = frozenset("0123456789abcdef")


def check_facts(record: CellRecord, examiner: Examiner, findings: Findings) -> None:
    """Check names, pack, tasks, key, limit and system of a record.

    Args:
        record: In form.
        examiner: Knows the pack and the tasks.
        findings: Gets what is wrong.
    """
    facts, pack = record.signature, examiner.pack
    if not is_system_name(record.system):
        findings.add(NAMES, f"system {shown(record.system)}: a name is of {ALLOWED}")
    known = [data.persona.id for data in pack.personas]
    if record.persona not in known:
        findings.add(NAMES, f"persona {shown(record.persona)} is not of {pack.world.id}, which has {', '.join(known)}")
    mine = (
        f"@{pack.hash[:12]}" if STOCK in record.provenance else f"{pack.world.id}-{pack.world.version}@{pack.hash[:12]}"
    )
    if facts.get("pack") != mine:
        findings.add(PACK, f"was made on the pack {shown(facts.get('pack'))}, and this is {mine}: {_OTHER_PACK}")
    for name, task in record.tasks.items():
        file = examiner.files.get(name)
        if file is None:
            findings.add(TASKS, f"{shown(name)} is no task; there are {named(sorted(examiner.files), 30)}")
        elif (task["version"], task["hash"]) != (file.version, file.hash):
            told = f"{shown(task['version'])} with hash {shown(task['hash'])}"
            findings.add(TASKS, f"{name} is of version {told}; expected {file.version} with {file.hash}: {_OTHER_TASK}")
    if record.key != cell_key(facts, record.persona, record.tasks):
        findings.add(
            SETTINGS,
            f"the key {shown(record.key)} is not that of its signature, persona and tasks: one of them was changed",
        )
    if "limit" not in facts or facts["limit"] is not None:
        findings.add(
            SETTINGS, f"limit is {shown(facts.get('limit', 'not told'))}: the board holds whole tasks, run it without"
        )
    if "neutral" in facts and facts["neutral"] != (neutral := digest(neutral_prompts(), 8)):
        findings.add(SETTINGS, f"neutral prompts {shown(facts['neutral'])}; expected {neutral}")
    _check_system(record, examiner, findings)


_OTHER_PACK: Final = "run again on this one, or name the other with --pack"
_OTHER_TASK: Final = "where it counts otherwise, `persbench leaderboard rescore` does; else run again with this version"


def _check_system(record: CellRecord, examiner: Examiner, findings: Findings) -> None:
    """Check that the system is the one whose name it bears."""
    told = record.signature.get("system")
    if record.system.startswith(PREFIX):
        if told != record.system:
            findings.add(SETTINGS, f"its signature is of {shown(told)}, and the record of {shown(record.system)}")
        return
    if (stock := record.provenance.get(STOCK)) is not None:
        _check_stock_system(record, stock, findings)
        return
    card = record.provenance.get("adapter")
    if card and _is_prompted(record.system):
        findings.add(SETTINGS, f"{plain(record.system)} works by prompt alone, and provenance holds an adapter's card")
        return
    try:
        fingerprint = _trained(record, card, examiner, findings) if card else get_system(record.system).fingerprint
    except PersbenchError as error:
        findings.add(SETTINGS, f"{shown(record.system)} cannot be told: {shown(str(error), 300)}")
        return
    if not card and recipe_of(record.system) in RECIPES:
        findings.add(
            SETTINGS, f"{plain(record.system)} is a trained system, and provenance holds no card of its adapter"
        )
    elif fingerprint is not None and told != f"{record.system}@{fingerprint}":
        findings.add(SETTINGS, f"its signature is of {shown(told)}; expected {plain(record.system)}@{fingerprint}")


def _check_stock_system(record: CellRecord, stock: Any, findings: Findings) -> None:
    """Check the system of what the stock command wrote, which names no more than an adapter."""
    told = record.signature.get("system")
    adapted = isinstance(stock, dict) and bool(stock.get("adapter"))
    if told != record.system:
        findings.add(SETTINGS, f"its signature is of {shown(told)}, and the record of {shown(record.system)}")
    if adapted and _is_prompted(record.system):
        findings.add(SETTINGS, f"{plain(record.system)} works by prompt alone, and was run with an adapter")
    elif not adapted and not _is_known(record.system):
        findings.add(SETTINGS, f"{shown(record.system)} is no system of persbench, and was run without an adapter")


def _is_prompted(system: str) -> bool:
    return recipe_of(system) not in RECIPES and _is_known(system)


def _is_known(system: str) -> bool:
    try:
        get_system(system)
    except PersbenchError:
        return False
    return True


def _trained(record: CellRecord, card: Any, examiner: Examiner, findings: Findings) -> str | None:
    """Check the adapter's card, and return the fingerprint that its system has."""
    try:
        read = AdapterCard.model_validate(card)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            findings.add(SETTINGS, f"provenance.adapter.{'.'.join(map(str, one['loc']))}: {one['msg']}")
        return None
    facts, name = record.signature, recipe_of(record.system)
    speech = Speech(read.speaks_analysis, read.speaks_temporal)
    pairs = [
        ("persona", read.persona, record.persona),
        ("world", read.world, examiner.pack.world.id),
        ("recipe", read.recipe, facts.get("recipe")),
        ("seed", read.seed, facts.get("training_seed")),
    ]
    if name in RECIPES:
        pairs += [("recipe", read.recipe, name), ("way to speak", tuple(speech), tuple(RECIPES[name]))]
    for what, found, expected in pairs:
        if found != expected:
            findings.add(
                SETTINGS, f"the adapter's {what} is {shown(str(found))}, and the record's {shown(str(expected))}"
            )
    adapter = facts.get("adapter")
    if not isinstance(adapter, str) or len(adapter) != 12 or not _HEX.issuperset(adapter):  # noqa: PLR2004
        findings.add(SETTINGS, f"the adapter's hash is {shown(adapter)}; expected 12 hexadecimal digits")
    if speech.analysis != ("analysis" in facts):
        findings.add(SETTINGS, "its signature and its adapter's card disagree on whether it thinks before it speaks")
    return Trained(record.system, speech).fingerprint


def check_anchors(record: CellRecord, rows: Iterable[AnchorRow], findings: Findings) -> None:
    """Check that the anchors of the samples are those whose hash stands in the signature."""
    told = record.signature.get("anchors")
    if told is None or "played_again" in record.run or "first_run" in record.run:
        return  # lm-eval's files have no such hash; a dialogue that was played again brings anchors of its own
    found = hashlib.sha256(json.dumps(sorted(set(rows))).encode()).hexdigest()[:12]
    if found != told:
        findings.add(
            SETTINGS, f"the anchors of its samples have the hash {found}, and its signature says {shown(told)}"
        )
