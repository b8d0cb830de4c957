"""One rater in a browser: what the tests of the page do there, and what they watch."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

SECRETS = ("plain-one", "told-one", "vanilla", "prompt")  # names and specifications of the systems


class RaterPage:
    """A rater with a browser context of their own."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.url = url
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(90_000)  # a busy machine is no fault
        self.page = self.context.new_page()
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self._went(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))

    def _went(self, url: str) -> None:
        if not url.startswith(self.url + "/"):
            self.elsewhere.append(url)

    def begin(self) -> None:
        self.page.goto(self.url + "/")
        self.page.check("input[name=agree]")
        self.page.click("text=Begin")
        self.at("chat")

    def at(self, step: str) -> None:
        """Wait until the page is at a step, and look for what no rater may see."""
        self.page.wait_for_selector(f"main[data-step={step}]")
        self.page.wait_for_load_state()  # the page is shown before its script listens
        found = [secret for secret in SECRETS if secret in self.page.content()]
        assert not found, f"the page names {found}"

    def send(self, text: str) -> None:
        self.page.fill("textarea", text)
        self.page.click("button.send")

    def wait_for_reply(self, number: int) -> str:
        """Wait for the whole reply number `number` (from 1) of this conversation."""
        bubble = self.page.locator(".partner:not(.pending) .said").nth(number - 1)
        bubble.wait_for()
        return str(bubble.inner_text())

    def talk(self, *texts: str) -> None:
        for number, text in enumerate(texts, start=1):
            self.send(text)
            self.wait_for_reply(number)

    def rate(self, values: dict[str, int | str]) -> None:
        self.page.click("text=Rate this conversation")
        self.at("rate")
        for scale, value in values.items():
            self.page.check(f"input[name=scale-{scale}][value='{value}']")
        self.page.click("text=Save and go on")

    def code(self) -> str:
        self.page.goto(self.url + "/code")
        return str(self.page.inner_text(".code"))

    def pseudonym(self) -> str:
        found = re.search(r"R\d{4}", self.page.inner_text("footer"))
        assert found
        return found.group()

    def cookie(self) -> str:
        return "; ".join(f"{each['name']}={each['value']}" for each in self.context.cookies())

    def close(self) -> None:
        self.context.close()
        assert not self.elsewhere, f"requests off the page: {self.elsewhere}"
        assert not self.complaints, self.complaints


def stored(folder: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read the database of a study."""
    connection = sqlite3.connect(f"file:{folder / 'study.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def said(folder: Path, pseudonym: str) -> list[tuple[int, int, str, str]]:
    """Return position, turn, role and text of all messages of a rater."""
    query = (
        "SELECT t.position, m.turn, m.role, m.text FROM messages m JOIN tasks t ON t.id = m.task "
        "JOIN raters r ON r.id = t.rater WHERE r.pseudonym = ? ORDER BY t.position, m.turn, m.role DESC"
    )
    return [(position, turn, role, text) for position, turn, role, text in stored(folder, query, pseudonym)]
