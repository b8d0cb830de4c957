r"""Is a position learnt from pairs of two positions? Own and other position, told anew by one hand, to be preferred.

    A=runs/positions/adapters
    python leaderboard/dev/positions.py train runs/positions/train
    persbench train --pack runs/positions/train --persona nedda --recipe persllm-sft --out $A/positions-sft
    printf 'extends: persllm\nabout: against another position\ndpo: {rejected: [same_voice], epochs: 3}\n' \
      > runs/positions/positions.yaml
    persbench train --pack runs/positions/train --persona nedda --out $A/positions \
      --recipe runs/positions/positions.yaml
    python leaderboard/dev/positions.py pack runs/positions/pack
    persbench run --pack runs/positions/pack --tasks persbench_knowledge --personas nedda --out runs/positions/asked \
      --dtype bfloat16 --systems vanilla,prompt,positions-sft=$A/positions-sft,positions=$A/positions
    python leaderboard/dev/unseen.py table runs/positions/asked
    python leaderboard/dev/unseen.py apart runs/positions/asked positions positions-sft
    python leaderboard/dev/positions.py cue

`position_pairs.jsonl` holds for each training prompt of the dev split that `retold.py` does not ask for the prompt in
other words, the persona's position in other words, and another position in the same voice. `train` writes the dev pack
with these prompts and own replies as further training rows; the other positions stand in matched.jsonl, from where
`rejected: [same_voice]` takes them. For held-out prompts the file holds both replies, by another hand than the pairs:
`pack` asks these (`fair`), the learnt prompts that have no pair (`fair`, texts of `retold.jsonl`), and the pairs
themselves under the prompt as it was first learnt (`pair`). `cue` asks the held-out texts of a rule that has seen the
words of the pairs alone: what it knows gives a position away without anybody's holding it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from retold import RETOLD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from unseen import SEEN, UNSEEN, write_items, write_training_rows, written

from persbench.errors import PersbenchError
from persbench.packs.bundled import resolve_pack
from persbench.packs.load import load_pack
from persbench.records import write_atomic
from persbench.report.table import ends, number
from persbench.scoring.stats import cluster_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from persbench.packs.pack import PersonaData

PAIRS: Final = Path(__file__).parent / "position_pairs.jsonl"
FAIR, PAIR = "fair", "pair"
ANEW: Final = "-pair"  # what a training row of a pair is called after its own


def rows(data: PersonaData) -> list[dict[str, object]]:
    """Return a persona's own position of each pair as a training row, thought as in the row that it is told after."""
    learnt = {row.id: row for row in data.train}
    return [
        learnt[name].model_dump(mode="json", exclude_none=True)
        | {"id": name + ANEW, "prompt_id": name + ANEW, "prompt": pair["prompt"], "response": pair["reply"]}
        for name, pair in _pairs(data).items()
    ]


def write_pairs(out: Path) -> None:
    """Write the dev pack with the pairs: own positions among the training rows, the others as what to turn from."""
    write_training_rows(out, rows)
    for data in load_pack(resolve_pack(None)).personas:
        if pairs := _pairs(data):
            turned_from = [{"id": name + ANEW, "response": pair["foil"]} for name, pair in pairs.items()]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in turned_from)
            write_atomic(out / "personas" / data.persona.id / "matched.jsonl", text.encode())
    load_pack(out)  # faults are told here


def items(data: PersonaData, held_out: set[str]) -> list[dict[str, object]]:
    """Return what is asked: an item for each prompt that has two positions in other words, ids as in `unseen.py`."""
    found: list[dict[str, object]] = []
    for source, form in ((written(PAIRS), None), (written(RETOLD), FAIR)):
        for row in data.train:
            if told := source.get(row.id):
                kind = UNSEEN if row.id in held_out else SEEN
                name = form or (FAIR if row.id in held_out else PAIR)
                found.append(
                    {
                        "id": f"{kind}-{row.pattern}-{row.id}-{name}",
                        "stage": row.stage,
                        "question": row.prompt,
                        "gold": told["reply"],
                        "foils": [told["foil"]],
                        "materials": row.materials or [data.materials[0].id],
                    }
                )
    return found


def cue() -> str:
    """Return as Markdown how often a rule that has seen the words of the pairs takes the own position of other texts.

    The rule: a logistic regression on words and pairs of words (tf-idf), own text less the other one; learnt from the
    pairs of one persona, or of all of them, and asked the texts for held-out prompts.
    """
    learnt: dict[str, list[dict[str, Any]]] = {}
    asked: dict[str, list[dict[str, Any]]] = {}
    for name, text in written(PAIRS).items():  # a text for a held-out prompt has no prompt of its own
        (learnt if "prompt" in text else asked).setdefault(name.partition("-")[0], []).append(text)
    everybody = [pair for pairs in learnt.values() for pair in pairs]
    lines = ["| words learnt from the pairs of | own position taken, held-out prompts | n |", "|---|---:|---:|"]
    for name, knows in (("the persona", learnt), ("both", dict.fromkeys(learnt, everybody))):
        right = [one for persona, texts in asked.items() for one in _right(knows[persona], texts)]
        found = cluster_interval(right, [pair["id"] for texts in asked.values() for pair in texts])
        lines.append(f"| {name} | {number(found.mean)} {ends(found)} | {found.n} |")
    return "\n".join(lines)


def _right(learnt: Iterable[Mapping[str, Any]], asked: Iterable[Mapping[str, Any]]) -> list[float]:
    """Learn from pairs which words an own position has; return 1 for each text asked whose own position has more."""
    known = list(learnt)
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(
        [pair[side] for pair in known for side in ("reply", "foil")]
    )

    def apart(pairs: Iterable[Mapping[str, Any]]) -> Any:
        each = list(pairs)
        own, other = (vectors.transform([pair[side] for pair in each]) for side in ("reply", "foil"))
        return (own - other).toarray()

    gaps = apart(known)
    rule = LogisticRegression(fit_intercept=False, C=10.0).fit(
        np.concatenate([gaps, -gaps]), [1] * len(gaps) + [0] * len(gaps)
    )
    return [float(lead > 0) for lead in rule.decision_function(apart(asked))]


def _pairs(data: PersonaData) -> dict[str, dict[str, Any]]:
    told = written(PAIRS)
    return {row.id: told[row.id] for row in data.train if "prompt" in told.get(row.id, {})}


def main() -> None:
    """Write a pack, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "pack", "cue"])
    parser.add_argument("folder", type=Path, nargs="?", help="train, pack: what is written")
    wanted = parser.parse_args()
    if (wanted.what == "cue") != (wanted.folder is None):
        parser.error("train and pack want a folder, cue none")
    try:
        if wanted.what == "train":
            write_pairs(wanted.folder)
        elif wanted.what == "pack":
            write_items(wanted.folder, items)
        else:
            print(cue())
    except PersbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
