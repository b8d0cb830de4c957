"""From a source to a pack: licence, reading, account, check, and a folder that is written whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persbench.errors import FaultsError, PersbenchError, UnknownNameError
from persbench.importers import charactereval, persllm, personagym, rolebench
from persbench.importers.account import FILE, account
from persbench.importers.findings import Findings
from persbench.importers.form import Format, Options, tasks_of
from persbench.importers.licence import Licence, settle_licence
from persbench.importers.source import Source
from persbench.importers.writer import PackWriter
from persbench.packs.load import load_pack
from persbench.records import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persbench.importers.form import World
    from persbench.packs.pack import Pack

FORMATS: Final[dict[str, Format]] = {
    "persllm": persllm.FORMAT,
    "rolebench": rolebench.FORMAT,
    "charactereval": charactereval.FORMAT,
    "personagym": personagym.FORMAT,
}


@dataclass(frozen=True)
class Imported:
    """A finished import.

    Attributes:
        pack: The pack as loaded.
        counts: File stem to rows; `personas` to personas.
        findings: What was left out, noticed, left aside.
        tasks: Tasks with items.
        licence: What world.yaml says, and what the user should know of it.
        unchanged: Whether this very pack was there already.
    """

    pack: Pack
    counts: Mapping[str, int]
    findings: Findings
    tasks: tuple[str, ...]
    licence: Licence
    unchanged: bool


def import_pack(
    name: str, source: Path, out: Path, options: Options | None = None, progress: Callable[[int], Any] = int
) -> Imported:
    """Import a data set.

    Args:
        name: One of `FORMATS`.
        source: Its folder, or its only file.
        out: The folder to write: new, empty, or already this very pack.
        options: What the user says about it.
        progress: Called with 1 for each row read.

    Raises:
        UnknownNameError: No such format.
        FaultsError: Files of the source cannot be read as what they are; every fault at once, and nothing is written.
        PersbenchError: No licence, nothing to import, an option that the format does not take, or something else in the
            folder.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, list(FORMATS))
    form, options = FORMATS[name], options or Options()
    for option in ("profiles", "name"):
        if getattr(options, option) is not None and option not in form.options:
            takers = ", ".join(n for n, f in FORMATS.items() if option in f.options)
            raise PersbenchError(f"--{option} means nothing to {name}: leave it out (it is for {takers}).")
    if options.language is not None and not (options.language.strip() and options.language.isprintable()):
        raise PersbenchError("--language: name the language in one line, such as en.")
    findings = Findings()
    opened = Source.open(source, findings, progress)
    _require_outside(source, out)
    _require_own(out)
    licence = settle_licence(source, options.accept_licence, form.title, form.published)
    temporary = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name[:40]}."))
        writer = PackWriter(temporary, findings)
        world = form.load(opened, writer, options)
        writer.flush()
        opened.require_sound()
        findings.aside.pop(licence.origin, None)
        _require_something(writer, source, form)
        files = opened.fingerprints()
        tasks = tasks_of(writer)
        writer.world(_world(name, form, licence, world, files))
        if licence.file is not None:
            shutil.copyfile(licence.file, temporary / "LICENSE")
        write_atomic(temporary / FILE, account(form, licence, files, writer.counts, tasks, findings).encode())
        pack, unchanged = _settled(temporary, out)
    except OSError as error:
        raise PersbenchError(
            f"cannot write {out}: {error.strerror or error}. Name another folder: --out DIR."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return Imported(pack, writer.counts, findings, tasks, licence, unchanged)


def _require_outside(source: Path, out: Path) -> None:
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise PersbenchError(f"--out {out} lies in the source: name a folder outside of {source}.")


def _require_own(out: Path) -> None:
    """Refuse early what could not be replaced in the end."""
    if out.exists() and not out.is_dir():
        raise PersbenchError(f"--out {out} is a file: name a folder.")
    if out.is_dir() and any(out.iterdir()) and not (out / FILE).is_file():
        raise PersbenchError(f"{out} holds something else already. Remove it, or name another folder: --out DIR.")


def _require_something(writer: PackWriter, source: Path, form: Format) -> None:
    if writer.counts["personas"]:
        return
    groups = writer.findings.dropped.items()
    told = "".join(f"\n  {reason}: {group.count:,}, first {group.names[0]}" for reason, group in groups)
    raise PersbenchError(f"{source} holds no persona that could be imported as {form.title}.{told}")


def _world(name: str, form: Format, licence: Licence, world: World, files: Mapping[str, str]) -> dict[str, Any]:
    """Make world.yaml: the version and the canary follow from the bytes that were read."""
    digest = hashlib.sha256(
        "".join(f"{n}\n{d}\n" for n, d in sorted(files.items())).encode(errors="replace")
    ).hexdigest()
    return {
        "id": name,
        "name": f"{form.title} (imported)",
        "version": f"import-{digest[:12]}",
        "licence": licence.text,
        "canary": f"persbench import of {name} {digest[:32]}, for evaluation: keep it out of training corpora",
        "language": world.language,
        "setting": world.setting,
        "stages": [stage.model_dump(mode="json") for stage in world.stages],
    }


def _settled(temporary: Path, out: Path) -> tuple[Pack, bool]:
    """Check what was written, and put it in its place unless it is there already."""
    try:
        written = load_pack(temporary)
    except FaultsError as error:
        raise FaultsError("what would be written is no valid pack", error.faults) from None
    if out.is_dir() and any(out.iterdir()):
        try:
            there: Pack | None = load_pack(out)
        except FaultsError:
            there = None
        if there is not None and there.hash == written.hash:
            return there, True
        raise PersbenchError(
            f"{out} holds another import (of other files, or with other options). Remove it, or name another folder: "
            "--out DIR."
        )
    temporary.chmod(0o755)  # temporary folders are private, results are not
    temporary.replace(out)
    return replace(written, path=out), False
