"""What stands before every page: who may ask, from where, and how much; and what a browser may do with the answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_BODY: Final = 64_000  # bytes; a message has a limit of its own
LONGEST_WAIT: Final = 60  # seconds for a body to come
LONGEST_HEARD: Final = 8_000_000  # a browser shows the refusal only after it has sent everything
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Same-origin, not no-referrer: a form's Origin would be `null` under that one.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(header: str) -> str:
    """Return the name in a Host header, without its port; empty where it is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """Middleware: refuses what does not belong here, and sends security headers with everything.

    Args:
        app: What it guards.
        local: Whether the server listens on loopback: then requests for other host names are refused, since they come
            from a page that has made its own name point here.
        key: Access token that must be shown once, as `?key=` or cookie; None where everybody may ask.
        refuse: Renders a refusal from status, heading and text.
    """

    def __init__(
        self, app: ASGIApp, *, local: bool, key: str | None, refuse: Callable[[int, str, str], Response]
    ) -> None:
        self.app, self.local, self.key, self.refuse = app, local, key, refuse
        # Cookies know no ports: two studies on one machine must not overwrite each other's.
        self.door = f"door_{hashlib.sha256((key or '').encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":  # no page asks for a websocket
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, sending)
            return
        if scope["method"] != "POST":
            await self.app(scope, receive, sending)
            return
        body = await _within(_body(receive))
        if body is None:
            await self.refuse(413, "Too long", "This is too long to be sent. Please go back and shorten it.")(
                scope, receive, sending
            )
            return

        await self.app(scope, _again(body, receive), sending)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = host_of(headers.get("host", ""))
        if self.local and not is_loopback(host):
            return self.refuse(421, "Wrong address", "This page answers only under the address of this machine.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return self.refuse(405, "Not possible", "This page is only read and filled in.")
        if scope["method"] == "POST" and not _from_here(headers):
            return self.refuse(403, "Not from here", "This was sent from another page. Please fill in this one.")
        return None if self.key is None or scope["path"].startswith("/static/") else self._at_door(scope, headers)

    def _at_door(self, scope: Scope, headers: Headers) -> Response | None:
        """Ask for the access token, and remember it by a cookie."""
        key = self.key or ""
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        if shown and _same(shown, key):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self.door, shown, httponly=True, samesite="strict", max_age=90 * 24 * 3600)
            return answer
        if _same(_cookie(headers, self.door), key):
            return None
        text = "Please open the whole link that you were given, with the key in it."
        return self.refuse(403, "A key is needed", text)


def _same(shown: str, key: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), key.encode())


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _from_here(headers: Headers) -> bool:
    """Return whether a form was sent from a page of this server, as far as the browser says."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


async def _within(reading: Coroutine[Any, Any, bytes | None]) -> bytes | None:
    """Wait for a body only so long: who sends one byte a minute holds a place for nothing."""
    try:
        return await asyncio.wait_for(reading, LONGEST_WAIT)
    except TimeoutError:
        return None


async def _body(receive: Receive) -> bytes | None:
    """Read a request's body, or None where it is too long or its sender is gone."""
    body, length = b"", 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        length += len(message.get("body", b""))
        if length <= LONGEST_BODY:
            body += message.get("body", b"")
        elif length > LONGEST_HEARD:
            return None
        if not message.get("more_body", False):
            return body if length <= LONGEST_BODY else None


def _again(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read already to who asks next."""
    waiting = [body]

    async def received() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return received
