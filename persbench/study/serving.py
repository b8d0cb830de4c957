"""Where a study listens: loopback unless told otherwise, and behind a key where others reach it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from persbench.errors import PersbenchError
from persbench.study.guard import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

KEY_FILE: Final = "access.key"
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - not bound here, but known
_LONGEST_KEY: Final = 200
_AT_ONCE: Final = 400  # connections
_SECONDS_TO_END: Final = 3


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of a study.

    Args:
        host: Name or address.
        port: 0 takes any that is free.

    Raises:
        PersbenchError: There is no such address here, or somebody listens there already.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise PersbenchError(
            f"cannot listen on {host} port {port}: {error.strerror or error}. Give another --port or --host."
        ) from error


def access_key(folder: Path) -> str:
    """Return the access key of a study, made once: links that were sent to raters hold it.

    Raises:
        PersbenchError: It cannot be read or written, or is no key.
    """
    path = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(secrets.token_urlsafe(24) + "\n")
        key = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise PersbenchError(f"cannot use {path}: {error}. Delete it, and give raters the new link.") from error
    if not 16 <= len(key) <= _LONGEST_KEY or not key.replace("-", "").replace("_", "").isalnum():  # noqa: PLR2004
        raise PersbenchError(f"{path} holds no key. Delete it, and give raters the new link.")
    return key


def link(host: str, port: int, key: str | None) -> str:
    """Return what raters open; a wildcard address stands as HOST, since only they know a name for it."""
    shown = "HOST" if host in _WILDCARDS else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"?key={key}" if key else "")


def needs_key(host: str) -> bool:
    """Return whether others than this machine may reach a server there."""
    return not is_loopback(host)


def run(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or a signal to end.

    Nothing is logged of requests: no address, no browser.

    Args:
        app: The application.
        listening: An open socket.
        ready: Called once it answers.
    """
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=_SECONDS_TO_END,
        lifespan="on",
        ws="none",
    )
    ready()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
