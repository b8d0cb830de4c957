"""An OpenAI-compatible chat endpoint as an annotator's backend: paced, retried, and told apart by its faults."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from persbench.annotators.calls import Unanswered, most_tokens
from persbench.annotators.credentials import Secrets, address, key_from
from persbench.annotators.rate import RateLimit
from persbench.errors import PersbenchError
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenacity import RetryCallState

    from persbench.annotators.calls import Answer, Call, Reply
    from persbench.annotators.settings import EndpointSettings
    from persbench.annotators.tally import Tally

OPENAI_URL: Final = "https://api.openai.com/v1"
LONGEST_BACKOFF: Final = 60.0
LONGEST_CONNECT: Final = 20.0
ATTEMPTS_TO_REACH: Final = 3  # a wrong address should not take minutes to be told
STOPPED: Final = Unanswered("stopped before it was answered", "stopped")


class EndpointBackend:
    """Asks a chat endpoint, one call a thread.

    The client's own retries are off: tenacity repeats what may pass (429, 5xx, broken connections, time-outs, malformed
    or empty bodies) after a random, exponentially growing time and never sooner than `Retry-After`, which holds the
    other threads too.

    Args:
        settings: What to ask, and how.

    Raises:
        PersbenchError: The address is no URL.
    """

    batch = 1

    def __init__(self, settings: EndpointSettings) -> None:
        found = address(settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)
        self.url, self._login = found.url, found.login
        self.settings = settings.model_copy(update={"base_url": found.url})
        self.workers = settings.concurrency
        self._rate = RateLimit(settings.requests_per_minute, settings.tokens_per_minute)
        self._opening = threading.Lock()
        self._client: Any = None
        self._secrets = Secrets(None, found.login)
        self._reached = False
        self._takes_schemas: bool | None = None if settings.structured == "auto" else False

    @property
    def id(self) -> str:
        """Kind, model, address without credentials, and a digest of the settings that can change an answer."""
        settings = self.settings
        decisive = {
            "structured": settings.structured,
            "token_limit": self._token_limit,
            "leave_out": sorted(settings.leave_out),
            "parameters": settings.parameters,
        }
        return f"openai:{settings.model}@{self.url}#{digest(decisive, 8)}"

    def answer(self, calls: Sequence[Call], *, tally: Tally, stop: threading.Event) -> list[Reply]:
        """See `Backend.answer`."""
        return [self._answer(call, tally, stop) for call in calls]

    def _answer(self, call: Call, tally: Tally, stop: threading.Event) -> Reply:
        from tenacity import Retrying, retry_if_exception_type  # noqa: PLC0415 - of an extra

        from persbench.annotators.endpoint_faults import CallRefused, PassingFault  # noqa: PLC0415

        retrying = Retrying(
            retry=retry_if_exception_type(PassingFault),
            stop=self._enough,
            wait=self._pause,
            sleep=lambda seconds: cast("None", stop.wait(seconds)),
            before_sleep=lambda _: tally.retry(call.task),
            reraise=True,
        )
        try:
            return retrying(self._attempt, call, tally, stop)
        except _StoppedError:
            return STOPPED
        except CallRefused as error:
            tally.fault(call.task, error.kind, error.taken)
            return Unanswered(str(error), error.kind)
        except PassingFault as error:
            if error.kind == "unreachable" and not self._reached:
                raise PersbenchError(
                    f"{error} Check the address, and that the server runs; then repeat the command."
                ) from None
            return Unanswered(f"{error} That was attempt {self.settings.attempts}.", error.kind)

    def _attempt(self, call: Call, tally: Tally, stop: threading.Event) -> Answer:
        from persbench.annotators.endpoint_faults import PassingFault  # noqa: PLC0415

        most = most_tokens(call)
        if not self._rate.wait(most, stop):
            raise _StoppedError
        try:
            answer = self._asked(call, tally)
        except PassingFault as error:
            tally.fault(call.task, error.kind, error.taken)
            if error.pause:
                self._rate.pause(error.pause)
            raise
        self._rate.correct(answer.tokens - most)
        return answer

    def _asked(self, call: Call, tally: Tally) -> Answer:
        from persbench.annotators.endpoint_faults import CallRefused  # noqa: PLC0415

        with_schema = call.schema is not None and self._takes_schemas is not False
        try:
            return self._request(call, with_schema=with_schema)
        except CallRefused as error:
            if error.kind != "refused" or not with_schema or self._takes_schemas:
                raise
        # Perhaps it is the schema that it refuses: if the call is answered without, it is.
        answer = self._request(call, with_schema=False)
        self._takes_schemas = False
        tally.fault(call.task, "schema_refused")
        return answer

    def _request(self, call: Call, *, with_schema: bool) -> Answer:
        import openai  # noqa: PLC0415 - of an extra, and slow to import

        from persbench.annotators.completions import read_completion  # noqa: PLC0415
        from persbench.annotators.endpoint_faults import sorted_fault  # noqa: PLC0415

        client = self._opened()
        try:
            response = client.chat.completions.with_raw_response.create(**self._body(call, with_schema))
        except openai.OpenAIError as error:
            fault = sorted_fault(error, self._secrets, self.url, self.settings.api_key_variable, self.settings.model)
            self._reached = self._reached or not isinstance(error, openai.APIConnectionError)
            raise fault from None
        self._reached = True
        answer = read_completion(response.http_response.content, call)
        if with_schema:
            self._takes_schemas = True
        # No prompt holds the key, but a server could send back the header that does.
        return replace(answer, text=self._secrets.hide_in_answer(answer.text))

    def _body(self, call: Call, with_schema: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": list(call.messages),
            "temperature": call.temperature,
            "seed": call.seed,
            self._token_limit: call.max_tokens,
        }
        for parameter in self.settings.leave_out:
            del body[parameter]
        if with_schema:
            name = "".join(c if c.isascii() and c.isalnum() else "_" for c in call.task)[:64]
            schema = {"name": name, "schema": call.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | {"extra_body": self.settings.parameters}

    @property
    def _token_limit(self) -> str:
        # OpenAI's newer models refuse the older name, most other servers know only that.
        own = "max_completion_tokens" if self.url == OPENAI_URL else "max_tokens"
        return self.settings.token_limit or own

    def _opened(self) -> Any:
        """Return the client, made at the first call: a dry run needs no key."""
        with self._opening:
            if self._client is None:
                import openai  # noqa: PLC0415

                key = key_from(self.settings.api_key_variable)
                if key is None and self._login is None and self.url == OPENAI_URL:
                    raise PersbenchError(
                        f"{self.url} wants an API key: set the environment variable {self.settings.api_key_variable}."
                    )
                self._secrets = Secrets(key, self._login)
                self._client = openai.OpenAI(
                    api_key="none",  # what is sent stands in the headers
                    base_url=self.url,
                    default_headers=self._secrets.headers(),
                    timeout=openai.Timeout(self.settings.timeout, connect=min(self.settings.timeout, LONGEST_CONNECT)),
                    max_retries=0,
                )
            return self._client

    def _enough(self, state: RetryCallState) -> bool:
        unreachable = getattr(_exception(state), "kind", "") == "unreachable" and not self._reached
        return state.attempt_number >= (
            min(ATTEMPTS_TO_REACH, self.settings.attempts) if unreachable else self.settings.attempts
        )

    def _pause(self, state: RetryCallState) -> float:
        from tenacity import wait_random_exponential  # noqa: PLC0415

        drawn = float(wait_random_exponential(multiplier=self.settings.backoff, max=LONGEST_BACKOFF)(state))
        return max(drawn, getattr(_exception(state), "pause", None) or 0.0)


class _StoppedError(Exception):
    """The work was stopped while a call waited for its turn."""


def _exception(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
