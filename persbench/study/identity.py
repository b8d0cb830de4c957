"""Whether a database is that of these settings, and the tokens by which raters are known again."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from persbench import __version__
from persbench.study.refusals import StudyStoreError
from persbench.study.tables import added_later

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.study.database import Database, Reader
    from persbench.study.settings import StudySettings

_TOKEN_BYTES: Final = 20
_PART: Final = 8
_LONGEST: Final = 100
# What a reader of the code may take for one of its letters.
_ALIKE: Final = str.maketrans("018", "olb")


def enter(database: Database, study: StudySettings, facts: Mapping[str, str], now: float) -> None:
    """Write the settings into a new database, or hold them against those of an old one; within `writing`.

    Limits and consent may change: what they were stays, and what they are is added.

    Raises:
        StudyStoreError: It is another study; says what differs.
    """
    settings = json.dumps(study.model_dump(mode="json"), ensure_ascii=False)
    said = json.dumps(dict(facts), ensure_ascii=False)
    row = database.row("SELECT hash, settings, facts FROM study")
    if row is None:
        statement = "INSERT INTO study (id, hash, settings, facts, version, at) VALUES (1, ?, ?, ?, ?, ?)"
        database.add(statement, study.hash, settings, said, __version__, now)
    elif row[0] != study.hash or json.loads(row[2]) != dict(facts):
        before = json.loads(row[1])
        names = [name for name, value in study.frozen.items() if before.get(name) != value]
        others = json.loads(row[2])
        names += [f"{name} (now {facts.get(name)}, then {others.get(name)})" for name in sorted({*facts, *others})
                  if facts.get(name) != others.get(name)]  # fmt: skip
        raise StudyStoreError(
            f"{database.path} is another study; what differs: {', '.join(names) or 'the order of systems or scales'}. "
            "What raters meet cannot change while a study runs (limits and the consent text may): put the settings "
            "back, or choose another --out."
        )
    database.add("INSERT OR IGNORE INTO consents (version, text) VALUES (?, ?)", study.consent_version, study.consent)
    for statement in added_later():
        database.add(statement)
    limits = study.limits.model_dump(mode="json")
    if limits != limits_in(database):
        database.add("INSERT INTO limits (settings, at) VALUES (?, ?)", json.dumps(limits), now)


def limits_in(database: Reader) -> dict[str, Any] | None:
    """Return the limits that were set last, as plain data; None where none are kept, as by earlier versions."""
    if database.row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'limits'") is None:
        return None
    row = database.row("SELECT settings FROM limits ORDER BY id DESC LIMIT 1")
    found: dict[str, Any] | None = None if row is None else json.loads(row[0])
    return found


def new_token() -> str:
    """Make a token of 160 random bits, in letters and digits that can be copied by hand."""
    digits = base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().lower()
    return "-".join(digits[i : i + _PART] for i in range(0, len(digits), _PART))


def token_hash(token: str) -> str:
    """Return the SHA-256 of a token in hex; capitals, blanks, dashes and digits taken for letters do not count.

    No salt and no slow hash: nobody guesses 160 random bits.
    """
    plain = re.sub(r"[\s-]", "", token[:_LONGEST]).lower().translate(_ALIKE)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
