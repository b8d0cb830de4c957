"""`persbench converse`: plan the pairs of systems, leave out what is done, play and probe the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from transformers.utils import logging as transformers_logging

from persbench.annotators.progress import silent
from persbench.conversation.plan import Pairing, pairings_of
from persbench.conversation.play import opened, play
from persbench.conversation.probes import depths_of, probe
from persbench.conversation.record_files import FOLDER, load_conversations, save_conversations
from persbench.conversation.records import Conversation, ConversationRecord
from persbench.conversation.scene import rows_of, scene_fingerprint
from persbench.conversation.speakers import Speakers
from persbench.errors import PersbenchError
from persbench.harness.adapters import adapter_fingerprint
from persbench.harness.anchors import neutral_prompts
from persbench.harness.backend import backend_fingerprint, describe_backend
from persbench.harness.cell import pack_facts
from persbench.models.adapter_card import read_card
from persbench.packs.load import load_pack
from persbench.provenance import digest, source_state, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from persbench.annotators.progress import Bars
    from persbench.conversation.plan import ConverseSettings
    from persbench.packs.pack import Pack

    Notice = Callable[[str], None]

PROGRESS = "progress"  # folder of what is not whole yet


def converse(settings: ConverseSettings, notice: Notice, bars: Bars = silent, lm: Any = None) -> list[Path]:
    """Play every missing conversation and write a record for each pair of systems.

    Args:
        settings: What to play.
        notice: Called with one line of progress or warning at a time.
        bars: Shows how far the turns and probes are.
        lm: A loaded lm-eval model to use instead of the one that `settings` names.

    Returns:
        Paths of all records asked for, finished now or before; the pair asked for first, then baselines.

    Raises:
        PersbenchError: Bad names, a pack with faults, a model that cannot be loaded, a folder in use by another run or
            holding records of other settings.
    """
    pack = load_pack(settings.pack)
    depths = _depths(settings)
    pairings = pairings_of(settings, pack)
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PersbenchError(f"--out {settings.out} is no folder that can be written to: {error.strerror}") from error
    try:
        with FileLock(settings.out / ".lock").acquire(timeout=0):
            transformers_logging.disable_progress_bar()
            speakers = _speakers(settings, pack, pairings, lm, notice)
            return [
                _play(settings, pack, pairing, speakers, depths, notice, bars, f"[{number}/{len(pairings)}]")
                for number, pairing in enumerate(pairings, start=1)
            ]
    except Timeout:
        raise PersbenchError(f"another run writes to {settings.out}: wait for it, or choose another --out.") from None


def _depths(settings: ConverseSettings) -> tuple[int, ...]:
    if settings.depths is None:
        return depths_of(settings.turns)
    last = settings.turns // 2
    if beyond := [depth for depth in settings.depths if not 0 <= depth <= last]:
        raise PersbenchError(
            f"--probes {beyond[0]}: {settings.turns} turns are {last} exchanges: ask after 0 to {last} of them."
        )
    return tuple(sorted(set(settings.depths)))


def _speakers(settings: ConverseSettings, pack: Pack, pairings: Sequence[Pairing], lm: Any, notice: Notice) -> Speakers:
    notice(f"loading {Path(settings.model).name if settings.model else 'the default model'}")
    return Speakers(
        pack,
        list(dict.fromkeys(voice for pairing in pairings for voice in pairing.voices)),
        model=settings.model,
        dtype=settings.dtype,
        device=settings.device,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        embedder=settings.embedder,
        chat_template=settings.chat_template,
        model_args=settings.model_args,
        trust_remote_code=settings.trust_remote_code,
        lm=lm,
    )


def _play(
    settings: ConverseSettings,
    pack: Pack,
    pairing: Pairing,
    speakers: Speakers,
    depths: Sequence[int],
    notice: Notice,
    bars: Bars,
    count: str,
) -> Path:
    """Play one pair of systems, from wherever an earlier run left it."""
    path = settings.out / FOLDER / f"{pairing.stem}.json"
    growing = settings.out / PROGRESS / f"{pairing.stem}.json"
    empty = _record(settings, pack, pairing, speakers, depths)
    name = empty.pair
    if (done := _earlier(path, empty, notice)) is not None:
        notice(f"{count} {name}: played before")
        _tell_faults(done, path, notice)
        return path
    begun = _earlier(growing, empty, notice)
    record = begun or replace(empty, conversations=tuple(opened(pairing.castings, settings.seeds)))
    if begun is not None:
        notice(f"{count} {name}: going on after {_said(begun.conversations)} utterances")
    talks = list(record.conversations)
    with bars(f"{count} {name}", len(talks) * settings.turns) as advance:
        advance(_said(talks))

        def keep(conversations: list[Conversation]) -> None:
            nonlocal record
            advance(_said(conversations) - _said(record.conversations))
            record = replace(record, conversations=tuple(conversations))
            save_conversations(growing, record)

        talks = play(speakers, pack, pairing.castings, talks, settings.turns, keep)
        notice(f"{count} {name}: asking what they hold")
        talks = probe(speakers, pack, pairing.castings, talks, depths, settings.anchors, keep)
    record = replace(record, conversations=tuple(talks))
    save_conversations(path, record)
    growing.unlink(missing_ok=True)
    _tell_faults(record, path, notice)
    return path


def _said(conversations: Sequence[Conversation]) -> int:
    return sum(len(each.turns) - 1 for each in conversations)


def _tell_faults(record: ConversationRecord, path: Path, notice: Notice) -> None:
    broken = [each for each in record.conversations if each.fault]
    for each in broken:
        notice(f"{each.scenario}, seed {each.seed}, broke off: {each.fault}")
    if broken:
        notice(f"{len(broken)} of {len(record.conversations)} broke off; delete {path} to play that pair again")


def _earlier(path: Path, wanted: ConversationRecord, notice: Notice) -> ConversationRecord | None:
    """Return the record that stands there for these very settings; a broken one is announced and made again.

    Raises:
        PersbenchError: It was made with other settings: its conversations must not be mixed with new ones.
    """
    if not path.exists():
        return None
    try:
        record = load_conversations(path)
    except PersbenchError as error:
        notice(f"{error} Playing this pair again.")
        return None
    if record.key == wanted.key:
        return record
    told, asked = record.signature, wanted.signature
    changed = [f"{key} {told.get(key)!r} -> {asked.get(key)!r}" for key in asked if told.get(key) != asked[key]]
    raise PersbenchError(
        f"{path} was made with other settings ({'; '.join(changed) or 'other scenarios or personas'}). "
        "Choose another --out, or delete that record."
    )


def _record(
    settings: ConverseSettings, pack: Pack, pairing: Pairing, speakers: Speakers, depths: Sequence[int]
) -> ConversationRecord:
    """Return the record of a pair before anything was said."""
    scenarios = rows_of([each.scenario for each in pairing.castings])
    facts = pack_facts(pack) | _facts(settings, pairing, speakers, depths)
    cast = [[each.scenario.id, *((who.persona, who.stage) for who in (each.a, each.b))] for each in pairing.castings]
    return ConversationRecord(
        a=pairing.a,
        b=pairing.b,
        key=digest([facts, scenarios, cast], 16),
        signature=facts,
        scenarios=scenarios,
        conversations=(),
        provenance={"versions": versions(), "source": source_state(), "model": describe_backend(speakers.lm)},
    )


def _facts(settings: ConverseSettings, pairing: Pairing, speakers: Speakers, depths: Sequence[int]) -> dict[str, Any]:
    described = describe_backend(speakers.lm)
    roles = {voice: speakers.role(voice) for voice in pairing.voices}
    named = {role.cast.system.name: role.cast.system.fingerprint for role in roles.values()}
    worn = {f"{v.name}:{v.persona}": role.adapter for v, role in roles.items() if role.adapter is not None}
    facts: dict[str, Any] = {
        "a": f"{pairing.a}@{named[pairing.a]}",
        "b": f"{pairing.b}@{named[pairing.b]}",
        "model": f"{Path(speakers.model).name or type(speakers.lm).__name__}"
        f"@{str(described.get('weights') or described.get('fingerprint'))[:12]}",
        "backend": backend_fingerprint(speakers.lm)[:8],
        "dtype": described.get("dtype", "unknown"),
        "device": described.get("device", "unknown"),
        "template": "chat" if speakers.chat_template else "plain",
        "scene": scene_fingerprint(),
        "neutral": digest(neutral_prompts(), 8),
        "turns": settings.turns,
        "seeds": settings.seeds,
        "probes": ",".join(map(str, depths)),
        "tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
    }
    if any(role.thinks for role in roles.values()):
        facts["analysis"] = "greedy"
    if worn:
        cards = [read_card(folder) for folder in worn.values()]
        facts["adapters"] = digest({who: adapter_fingerprint(folder) for who, folder in sorted(worn.items())}, 12)
        facts["recipes"] = ",".join(sorted({f"{card.recipe}/{card.seed}" for card in cards}))
    return facts
