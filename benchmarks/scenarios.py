"""The requests that both models are timed on, made from the reference world."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lm_eval.api.instance import Instance

from persbench.harness.documents import documents_of
from persbench.harness.rendering import render
from persbench.packs.bundled import bundled_pack
from persbench.packs.load import load_pack
from persbench.systems.base import Situation
from persbench.systems.prompted import persona_sheet
from persbench.systems.registry import get_system

if TYPE_CHECKING:
    from persbench.packs.pack import Pack, PersonaData

PROMPT_TOKENS, QUESTIONS, CANDIDATES, CANDIDATE_TOKENS = 620, 24, 4, 35
DIALOGUES, PROBED = 2, (1, 4, 8)
REPLIES = 40
SAMPLE = 24  # of a persona's 960 who-said requests
REPLY = {"until": [], "max_gen_toks": 64, "do_sample": False}


@dataclass
class Work:
    """Requests that are one unit of measurement.

    Attributes:
        name: What is printed.
        scored: Log-likelihood requests.
        sample: Those of them that `hf` is timed on, its time being scaled by tokens; all if empty.
        generated: Generation requests.
        dialogues: Messages before the first turn, the user's turns, the probe's question and its candidates, for each.
    """

    name: str
    scored: list[Instance] = field(default_factory=list)
    sample: list[Instance] = field(default_factory=list)
    generated: list[Instance] = field(default_factory=list)
    dialogues: list[tuple[list[dict[str, str]], list[str], str, list[str]]] = field(default_factory=list)


def world() -> Pack:
    """Load the reference world."""
    return load_pack(bundled_pack("grettow"))


def likelihoods(pairs: list[tuple[str, str]]) -> list[Instance]:
    """Make requests of (context, continuation) pairs."""
    return [Instance("loglikelihood", {}, pair, i, ("benchmark", i, 1)) for i, pair in enumerate(pairs)]


def choices(lm: Any, pack: Pack) -> list[Work]:
    """Return 24 questions with 4 candidates of 35 tokens each under one prompt, 620 tokens from start to question."""
    data = pack.personas[0]
    tokenizer = lm.tokenizer
    sheet = tokenizer.encode(
        persona_sheet(Situation(pack, data, pack.world.stages[0])) + " " + " ".join(m.text for m in data.materials),
        add_special_tokens=False,
    )
    answers = [a for other in pack.personas for a in other.answers]
    pairs = []
    for question in pack.questions[:QUESTIONS]:
        asked = {"role": "user", "content": question.text}

        def context(length: int, asked: dict[str, str] = asked) -> str:
            text = tokenizer.decode(sheet[:length])
            return str(lm.apply_chat_template([{"role": "system", "content": text}, asked]))

        surplus = len(tokenizer.encode(context(PROMPT_TOKENS))) - PROMPT_TOKENS
        texts = [a.reply for a in answers if a.question == question.id]
        cut = [tokenizer.encode(text, add_special_tokens=False)[:CANDIDATE_TOKENS] for text in texts[:CANDIDATES]]
        # The prompt is the same for all questions; the shortest question sets its length.
        pairs += [(context, surplus, tokenizer.decode(ids)) for ids in cut]
    least = min(surplus for _, surplus, _ in pairs)
    return [Work("choices", likelihoods([(make(PROMPT_TOKENS - least), text) for make, _, text in pairs]))]


def who_said(lm: Any, pack: Pack, *, sample: int = SAMPLE) -> list[Work]:
    """Return the whole who-said task under the profile prompt, a persona a unit: `hf` is timed on a random sample."""
    works = []
    for data in pack.personas:
        rows = documents_of("persbench_who_said", pack, data, get_system("prompt"))
        pairs = [(_context(lm, row), text) for row in rows for text in row["candidates"]]
        asked = likelihoods(pairs)
        drawn = random.Random(data.persona.id).sample(asked, min(sample, len(asked)))  # noqa: S311 - no secret
        works.append(Work(f"who said, {data.persona.id}", asked, sample=drawn))
    return works


def reply(lm: Any, pack: Pack) -> list[Work]:
    """Return free replies of one persona at both stages under the profile prompt."""
    rows = documents_of("persbench_reply", pack, pack.personas[0], get_system("prompt"))[:REPLIES]
    asked = [
        Instance("generate_until", {}, (_context(lm, row), dict(REPLY)), i, ("benchmark", i, 1))
        for i, row in enumerate(rows)
    ]
    return [Work("reply", generated=asked)]


def dialogues(_: Any, pack: Pack) -> list[Work]:
    """Return the eight-turn dialogues of one persona's stage, with stance probes after turns 1, 4 and 8."""
    data: PersonaData = pack.personas[0]
    stances = {question.id: (question.text, [s.text for s in question.stances]) for question in pack.questions}
    begun = [{"role": "system", "content": persona_sheet(Situation(pack, data, pack.world.stages[0]))}]
    scripts = [(begun, list(script.turns), *stances[script.question]) for script in pack.cross_turn[:DIALOGUES]]
    return [Work("dialogues", dialogues=scripts)]


def _context(lm: Any, row: dict[str, Any]) -> str:
    return str(render(row["messages"], lm.apply_chat_template).context)


SCENARIOS = {"choices": choices, "who_said": who_said, "dialogues": dialogues, "reply": reply}
