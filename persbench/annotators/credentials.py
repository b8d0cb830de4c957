"""Keys and passwords: read from the environment or a URL, sent to the endpoint, shown to nobody."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from persbench.errors import PersbenchError

HIDDEN: Final = "***"
_LEAST = 4  # a shorter secret would hide half of every message
_LEAST_IN_ANSWERS = 12  # servers without keys are given words like "none", which answers may hold


@dataclass(frozen=True)
class Address:
    """An endpoint's base URL, parted from what may not be shown.

    Attributes:
        url: Without user and password.
        login: `user:password` as they stood in it, percent signs resolved, or None.
    """

    url: str
    login: SecretStr | None


def address(base_url: str) -> Address:
    """Part a base URL from its credentials.

    Raises:
        PersbenchError: It is not an http(s) URL, or has a query; the message does not repeat it.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or re.search(r"[\s\x00-\x1f]", base_url.strip()):
        raise PersbenchError("the base URL of the endpoint is not one: give it as http(s)://HOST[:PORT]/v1.")
    if parts.query or parts.fragment:
        raise PersbenchError(
            f"the base URL of the endpoint at {host} has a query (?...) or a fragment (#...): give it without. "
            "A key belongs into the environment."
        )
    named = f"[{host}]" if ":" in host else host
    netloc = named if port is None else f"{named}:{port}"
    login = None
    if parts.username or parts.password:
        login = SecretStr(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}")
    return Address(urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", "")), login)


def key_from(variable: str) -> SecretStr | None:
    """Read an API key from an environment variable.

    Args:
        variable: Its name.

    Returns:
        The key without blanks around it, or None if the variable is not set or empty.

    Raises:
        PersbenchError: It cannot be sent in a header; the message does not repeat it.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise PersbenchError(
            f"the API key in {variable} holds a blank, a line break or a letter beyond ASCII, which no key has. "
            "Set the variable again."
        )
    return SecretStr(key)


class Secrets:
    """What must never be seen, and how it is taken out of texts that come from outside.

    Args:
        key: API key.
        login: `user:password`.
    """

    def __init__(self, key: SecretStr | None, login: SecretStr | None) -> None:
        self.key, self.login = key, login

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"

    def headers(self) -> dict[str, str]:
        """Return the header that shows who asks; a login in the URL goes before the key."""
        if self.login is not None:
            return {"Authorization": f"Basic {_basic(self.login)}"}
        return {} if self.key is None else {"Authorization": f"Bearer {self.key.get_secret_value()}"}

    def hide(self, text: str) -> str:
        """Return a message with every form of the secrets replaced by three stars."""
        return self._hidden(text, _LEAST)

    def hide_in_answer(self, text: str) -> str:
        """Do the same to a model's answer, save for secrets that are short enough to be a word of it."""
        return self._hidden(text, _LEAST_IN_ANSWERS)

    def _hidden(self, text: str, least: int) -> str:
        for form in sorted(self._forms(least), key=len, reverse=True):
            text = text.replace(form, HIDDEN)
        return text

    def _forms(self, least: int) -> set[str]:
        forms: set[str] = set()
        if self.key is not None:
            forms.add(self.key.get_secret_value())
        if self.login is not None:
            whole = self.login.get_secret_value()
            forms |= {whole, whole.partition(":")[2], _basic(self.login)}
        forms |= {quote(form, safe="") for form in forms}
        return {form for form in forms if len(form) >= least}


def _basic(login: SecretStr) -> str:
    return base64.b64encode(login.get_secret_value().encode()).decode()
