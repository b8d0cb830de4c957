"""Live dialogues of a sample: are they the pack's, and how far did they come?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from persbench.harness.dialogue import LONGEST
from persbench.submission.findings import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from persbench.harness.documents import Document
    from persbench.samples import Row


def check_talks(document: Document, row: Row, longest: int, note: Callable[[str], None]) -> bool:
    """Hold a sample's dialogues against the scripts of its document.

    Args:
        document: From the pack, with `scripts` and `probes`.
        row: The sample, in form.
        longest: Most characters of a reply.
        note: Gets what is wrong.

    Returns:
        Whether they can be scored: the user's turns are the script's, and a dialogue that is shorter says why.
    """
    scripts: dict[str, list[str]] = document["scripts"]
    faults = row["faults"]
    if row["transcripts"].keys() != scripts.keys() or not faults.keys() <= scripts.keys():
        note(f"has the dialogues {shown(str(sorted(row['transcripts'])))}; expected {sorted(scripts)}")
        return False
    fits = True
    for name, turns in scripts.items():
        said: list[dict[str, Any]] = row["transcripts"][name]
        users = [exchange["user"] for exchange in said]
        if users != turns[: len(users)]:
            place = next((i for i, user in enumerate(users) if user != dict(enumerate(turns)).get(i)), 0)
            note(f"{name}: turn {place + 1} of the user is {shown(users[place])}, which is not the script's")
            fits = False
        elif len(users) < len(turns) and not faults.get(name):
            note(f"{name}: ends after {len(users)} of {len(turns)} turns and does not say why")
            fits = False
        for number, exchange in enumerate(said, start=1):
            reply = exchange["reply"]
            if not reply.strip() or len(reply) > min(longest, LONGEST):
                note(f"{name}: the reply of turn {number} has {len(reply):,} characters; expected 1 to {longest:,}")
                fits = False
    return fits


def reached(document: Document, row: Row) -> dict[str, str]:
    """Return the probes that a sample's dialogues came to, label to question; `none` where they came to none."""
    found = {
        f"{name}/{probe['after']}": probe["ask"]
        for name in document["scripts"]
        for probe in document["probes"][name]
        if len(row["transcripts"][name]) >= probe["after"]
    }
    return found or {"none": document["ask"]}
