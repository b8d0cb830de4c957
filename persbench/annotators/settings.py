"""What can be set of an annotator, in `annotator.yaml` or by a spec on the command line."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from persbench.annotators.tally import Prices  # noqa: TC001 - pydantic reads it
from persbench.packs.texts import Line, Many, PackModel, complaint

OWN_PARAMETERS: Final = ("messages", "model", "n", "response_format", "stream", "max_tokens", "max_completion_tokens")
_SECRET = re.compile(r"api_?key|secret|password|authorization", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _variable(name: str) -> str:
    # Whoever writes the key itself here must not read it again in a message.
    if not _VARIABLE.fullmatch(name):
        raise complaint("not the name of an environment variable (the key itself never stands in a file)")
    return name


def _no_own(parameters: dict[str, Any]) -> dict[str, Any]:
    if taken := sorted(parameters.keys() & set(OWN_PARAMETERS)):
        raise complaint("{taken}: set by each call", taken=", ".join(taken))
    if secret := sorted(name for name in parameters if _SECRET.search(name)):
        raise complaint("{secret}: a key belongs into the environment, never into a file", secret=", ".join(secret))
    return parameters


class EndpointSettings(PackModel):
    """An OpenAI-compatible chat endpoint.

    Attributes:
        kind: "openai".
        model: The model's name at the endpoint.
        base_url: Address up to `/v1`; None for $OPENAI_BASE_URL, else the address of OpenAI itself.
        api_key_variable: Environment variable that holds the key. An endpoint that wants none needs none.
        concurrency: Calls at the same time.
        requests_per_minute: Limit over all of them; None for none.
        tokens_per_minute: Limit over all of them, prompts and answers together; None for none.
        timeout: Seconds without a byte after which an attempt has failed.
        attempts: Attempts for each call.
        backoff: Seconds; before attempt n + 1 a random time of at most `backoff * 2**n` passes, and what the endpoint
            asked for.
        structured: `auto` sends a call's JSON schema, and stops when the endpoint refuses it; `never` does not.
        token_limit: Name of the parameter that bounds an answer; None for `max_completion_tokens` at OpenAI itself,
            and `max_tokens` elsewhere.
        leave_out: Parameters that the model refuses and that are then not sent.
        parameters: Further parameters of every request.
        prices: For reports.
    """

    kind: Literal["openai"] = "openai"
    model: Line
    base_url: Line | None = Field(default=None, repr=False)  # it may hold a password
    api_key_variable: Annotated[str, AfterValidator(_variable)] = "OPENAI_API_KEY"
    concurrency: int = Field(default=8, ge=1, le=256)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    timeout: float = Field(default=120.0, gt=0)
    attempts: int = Field(default=8, ge=1, le=100)
    backoff: float = Field(default=0.5, ge=0)
    structured: Literal["auto", "never"] = "auto"
    token_limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    leave_out: Many[Literal["temperature", "seed"]] = ()
    parameters: Annotated[dict[str, Any], AfterValidator(_no_own)] = Field(default_factory=dict)
    prices: Prices | None = None


class LocalSettings(PackModel):
    """A model that runs here, through transformers.

    Attributes:
        kind: "local".
        model: Folder, relative to the file that names it, or id in the hub's local cache.
        batch: Calls in a forward pass. Answers may differ in rare words between batches: with 1 they never do.
        dtype: `auto`, `float32`, `bfloat16`, `float16`.
        device: `cpu`, `cuda:0`, ... or None for the first accelerator, else the CPU.
    """

    kind: Literal["local"] = "local"
    model: Line
    batch: int = Field(default=8, ge=1)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Line | None = None
