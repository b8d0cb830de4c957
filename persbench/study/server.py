"""The pages of a study over HTTP: what a rater sends goes to the store, and the answer is where they stand now."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from persbench.study.actions import ACTIONS
from persbench.study.desk import Desk, Outcome
from persbench.study.guard import Guard
from persbench.study.page import WEB
from persbench.study.posts import Form
from persbench.study.refusals import StudyFullError, StudyRefusalError, StudyStoreError, UnknownRaterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from persbench.packs.pack import Pack
    from persbench.study.actions import Action
    from persbench.study.conversations import Speak
    from persbench.study.store import Store

COOKIE_SECONDS = 90 * 24 * 3600


def build_app(
    store: Store,
    pack: Pack,
    speak: Speak,
    *,
    local: bool,
    key: str | None,
    complain: Callable[[str], None],
) -> Guard:
    """Build the web application of one study.

    Args:
        store: Where everything goes; its settings say what is asked.
        pack: The world of the study.
        speak: Speaks one reply piece by piece.
        local: Whether the server listens on loopback.
        key: Access token; None where everybody who reaches the server may take part.
        complain: Is told in one line what went wrong; nothing of it names a rater.
    """
    desk = Desk(store, pack, speak, complain)
    site = Site(desk, complain)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.close)

    def refuse(status: int, heading: str, text: str) -> Response:
        return HTMLResponse(desk.pages.notice(heading, text), status)

    routes = [
        Route("/", site.home),
        Route("/code", site.code),
        Route("/reply", site.reply),
        Mount("/static", StaticFiles(directory=WEB / "static")),
        *(Route(f"/{name}", site.taking(action), methods=["POST"]) for name, action in ACTIONS.items()),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: site.unknown, 405: site.unknown, 500: site.broken},
    )
    return Guard(app, local=local, key=key, refuse=refuse)  # around all of it, faults of the program too


class Site:
    """Requests in, responses out."""

    def __init__(self, desk: Desk, complain: Callable[[str], None]) -> None:
        self.desk, self.complain = desk, complain
        # Cookies know no ports: two studies on one machine must not take each other's raters for their own.
        self.cookie = f"rater_{desk.store.study.hash[:8]}"

    def home(self, request: Request) -> Response:
        """Show where a rater stands, or the first page."""
        token = request.cookies.get(self.cookie, "")
        return self._answer(lambda: self.desk.here(token, rating=request.query_params.get("rate", "")))

    def code(self, request: Request) -> Response:
        """Show a rater's code."""
        token = request.cookies.get(self.cookie, "")
        return self._answer(lambda: self.desk.code(token))

    def reply(self, request: Request) -> Response:
        """Say as JSON how far a reply has come."""
        try:
            state = self.desk.reply(request.cookies.get(self.cookie, ""))
        except UnknownRaterError:
            return JSONResponse({"state": "unknown"}, 403)
        except StudyStoreError as error:
            self.complain(str(error))
            return JSONResponse({"state": "busy"}, 503)
        return JSONResponse(state)

    def taking(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint that takes what one form sends."""

        async def take(request: Request) -> Response:
            body = await request.body()
            token, kind = request.cookies.get(self.cookie, ""), request.headers.get("content-type", "")

            def act() -> Outcome:
                return action(self.desk, token, Form(kind, body))

            return await run_in_threadpool(self._answer, act, token)

        return take

    def _answer(self, act: Callable[[], Outcome], token: str = "") -> Response:
        """Do it, and turn what is refused into a page that says why, with where the rater stands below it."""
        try:
            outcome = act()
        except UnknownRaterError:
            outcome = self.desk.here(token)
        except StudyFullError as error:
            outcome = Outcome(self.desk.pages.notice("No place is free", str(error)), 403)
        except StudyRefusalError as error:
            outcome = self.desk.here(token, notice=str(error), status=409)
        except StudyStoreError as error:
            self.complain(str(error))
            text = "It could not be stored just now. Please go back and send it again in a moment."
            outcome = Outcome(self.desk.pages.notice("Not stored", text), 503)
        response: Response = (
            HTMLResponse(outcome.page, outcome.status) if outcome.page else RedirectResponse(outcome.go, 303)
        )
        if outcome.token:
            response.set_cookie(self.cookie, outcome.token, max_age=COOKIE_SECONDS, httponly=True, samesite="strict")
        elif outcome.token is not None:
            response.delete_cookie(self.cookie, httponly=True, samesite="strict")
        return response

    async def unknown(self, _request: Request, _error: Exception) -> Response:
        """Answer for a page that does not exist."""
        return HTMLResponse(self.desk.pages.notice("Nothing here", "There is no such page."), 404)

    async def broken(self, _request: Request, error: Exception) -> Response:
        """Answer for a fault of the program; what was stored is kept."""
        self.complain(f"a page failed: {type(error).__name__}: {str(error)[:500]}")
        text = "Something went wrong here. What you have sent is kept."
        return HTMLResponse(self.desk.pages.notice("Not possible just now", text), 500)
