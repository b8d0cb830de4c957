"""What can go wrong at an endpoint, sorted by what to do about it, in words that hold no secret."""

from __future__ import annotations

import email.utils
import re
import time
from typing import TYPE_CHECKING, Final

import openai

from persbench.annotators.frames import one_line
from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.annotators.credentials import Secrets

LONGEST_PAUSE: Final = 600.0  # seconds; who asks for more means "another day"
_UNAUTHORIZED, _FORBIDDEN, _UNPAID, _NOT_FOUND, _TOO_LARGE, _TOO_MANY = 401, 403, 402, 404, 413, 429
_PASSING_STATUS: Final = {408, 409, 425, _TOO_MANY}
_SERVER: Final = 500
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:context|sequence|model|input)|prompt is too long"
    r"|too many (?:input )?tokens|max_model_len|string too long",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content[ _](?:filter|management|policy)|safety", re.IGNORECASE)
_QUOTA = re.compile(r"insufficient[ _]quota|billing|exceeded your current quota", re.IGNORECASE)


class PassingFault(Exception):  # noqa: N818 - a fault in the project's sense
    """An attempt that failed and may succeed when repeated.

    Attributes:
        kind: `rate_limit`, `server_error`, `connection`, `unreachable`, `timeout`, `malformed_body` or `empty`.
        pause: Seconds that the endpoint asks to wait, or None.
        taken: Tokens of prompt and answer that were charged all the same.
    """

    def __init__(self, kind: str, reason: str, pause: float | None = None, taken: tuple[int, int] = (0, 0)) -> None:
        super().__init__(reason)
        self.kind, self.pause, self.taken = kind, pause, taken


class CallRefused(Exception):  # noqa: N818 - a fault in the project's sense
    """A call that the endpoint will not answer however often it is asked.

    Attributes:
        kind: `too_long`, `filtered`, `empty` or `refused`.
        taken: Tokens of prompt and answer that were charged all the same.
    """

    def __init__(self, kind: str, reason: str, taken: tuple[int, int] = (0, 0)) -> None:
        super().__init__(reason)
        self.kind, self.taken = kind, taken


def sorted_fault(error: openai.OpenAIError, secrets: Secrets, where: str, variable: str, model: str) -> Exception:
    """Turn what the client raised into a `PassingFault`, a `CallRefused`, or a `PersbenchError` that ends the work.

    Args:
        error: What was raised.
        secrets: Taken out of everything that the endpoint says.
        where: Address of the endpoint, without credentials.
        variable: Name of the environment variable with the key.
        model: Name of the model.
    """
    if isinstance(error, openai.APIConnectionError):
        cause = type(error.__cause__).__name__
        if isinstance(error, openai.APITimeoutError) and not cause.startswith("Connect"):
            return PassingFault("timeout", f"{where} did not answer in time.")
        if cause.startswith(("Connect", "UnsupportedProtocol", "ProxyError")):
            return PassingFault("unreachable", f"{where} cannot be reached ({cause}).")
        return PassingFault("connection", f"the connection to {where} broke off ({cause}).")
    if isinstance(error, openai.APIStatusError):
        said = one_line(secrets.hide(_said(error)))
        return _by_status(error.status_code, said, error.response.headers, where, variable, model)
    return PassingFault("malformed_body", f"{where} sent what is no chat completion ({type(error).__name__}).")


def _by_status(status: int, said: str, headers: Mapping[str, str], where: str, variable: str, model: str) -> Exception:
    told = f'{status}: "{said}"' if said else str(status)
    pause = retry_after(headers)
    end = _end(status, told, where, variable, model) or _long_pause(pause, told, where)
    if end:
        return PersbenchError(f"{end} What was answered is kept: mend that, and repeat the command.")
    if status in _PASSING_STATUS or status >= _SERVER:
        kind = "rate_limit" if status == _TOO_MANY else "server_error"
        return PassingFault(kind, f"{where} answered {told}.", pause)
    if status == _TOO_LARGE or _TOO_LONG.search(said):
        return CallRefused("too_long", f"the prompt is too long for {model!r} ({told}).")
    if _FILTERED.search(said):
        return CallRefused("filtered", f"a filter of the endpoint refused the prompt ({told}).")
    return CallRefused(
        "refused",
        f"{where} refuses the request ({told}). If it is a parameter that it refuses, see `leave_out`, `token_limit` "
        "and `structured` in annotator.yaml.",
    )


def _end(status: int, told: str, where: str, variable: str, model: str) -> str | None:
    """Say why no call can be answered any more, if it is so."""
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        # What the endpoint says here may repeat parts of the key.
        return (
            f"{where} refuses the key, or its right to use {model!r} ({status}). The key is read from the environment "
            f"variable {variable}."
        )
    if status == _UNPAID or (status == _TOO_MANY and _QUOTA.search(told)):
        return f"the account at {where} has no credit left ({told})."
    if status == _NOT_FOUND:
        return (
            f"{where} knows no model {model!r}, or no chat completions at that address ({told}). The models that it "
            f"offers are listed at {where}/models."
        )
    return None


def _long_pause(pause: float | None, told: str, where: str) -> str | None:
    if pause is None or pause <= LONGEST_PAUSE:
        return None
    return f"{where} asks to wait {pause / 60:,.0f} minutes ({told})."


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds an answer asks to wait: a number or a date (RFC 9110, section 10.2.3), or None."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,12}(?:\.\d*)?", value):
            return float(value) / unit
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        # Code and message: some endpoints tell the reason in the one, some in the other.
        parts = [str(body.get(part)) for part in ("code", "message", "detail") if body.get(part)]
        return ": ".join(parts)
    return body if isinstance(body, str) else ""
