"""One evaluated item as a plain row, the same whether it comes from memory or from lm-eval's own sample file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = dict[str, Any]
FILLER = "filler"  # marks a document that only keeps ranks in step
KEPT = (
    "id",
    "persona",
    "stage",
    "cluster",
    "kind",
    "rendering",
    "labels",
    "own",
    "anchors",
    "chance",
    "system",
    "pack_hash",
    "statement",
    "target",
    "probes",
    "transcripts",
    "analysis",
    "analyses",
    "faults",
    "calm_fault",
    "dropped_turns",
    "left_out",
    "chosen",
    "sorted_as",
)


def sample_row(sample: Mapping[str, Any]) -> Row:
    """Reduce an lm-eval sample of a persbench task to what scores and their recomputation need.

    Args:
        sample: As lm-eval logs it: `doc`, `resps`, `metrics` and a [value, scored] pair under each metric's name. In
            its files log-likelihoods are text; here they are numbers again.

    Returns:
        The document's bookkeeping; for choices `loglikelihoods` (nats, None where the model gave no finite number) and
        `bytes`, or such a list for each of several `branches`; for generation `reply`, or `replies` where there are
        several, without the analysis that `analyses` holds; `metrics` as name -> [value, scored].
    """
    doc = sample["doc"]
    row: Row = {key: doc[key] for key in KEPT if key in doc}
    responses = [response[0] for response in sample["resps"]]
    if responses and isinstance(responses[0], str):
        said = doc.get("spoken", responses)  # of a reply that opens with an analysis, what is spoken
        row |= {"reply": said[0]} if len(said) == 1 else {"replies": said}
        row.pop("anchors", None)
        row.pop("analysis", None)  # it is among `analyses`
    else:
        lls = [_finite(float(pair[0])) for pair in responses]
        row["bytes"] = [len(text.encode()) for text in doc["candidates"]]
        if "branches" in doc:
            row.pop("anchors", None)
            row["branches"] = [
                {key: branch[key] for key in ("label", "anchors", "calm", "analysis") if branch.get(key) is not None}
                | {"loglikelihoods": lls[i * len(row["bytes"]) : (i + 1) * len(row["bytes"])]}
                for i, branch in enumerate(doc["branches"])
            ]
        else:
            row["loglikelihoods"] = lls
    row["metrics"] = {name: _pair(sample[name]) for name in sample["metrics"]}
    return row


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _pair(value: Sequence[Any]) -> list[Any]:
    number, scored = value
    return [None if number is None or not scored else float(number), bool(scored)]
