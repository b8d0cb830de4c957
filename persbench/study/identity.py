"""Whether a database is that of these settings, and the tokens by which raters are known again."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from typing import TYPE_CHECKING, Final

from persbench import __version__
from persbench.study.refusals import StudyStoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.study.database import Database
    from persbench.study.settings import StudySettings

_TOKEN_BYTES: Final = 20
_PART: Final = 8
_LONGEST: Final = 100
# What a reader of the code may take for one of its letters.
_ALIKE: Final = str.maketrans("018", "olb")


def enter(database: Database, study: StudySettings, facts: Mapping[str, str], now: float) -> None:
    """Write the settings into a new database, or hold them against those of an old one; within `writing`.

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
