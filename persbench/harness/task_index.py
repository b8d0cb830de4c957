"""Finding and loading tasks strictly: lm-eval skips a malformed YAML without a word, persbench does not."""

from __future__ import annotations

import hashlib
import importlib
import sys
from dataclasses import dataclass
from functools import cache
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from persbench.errors import Fault, FaultsError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class TaskFile:
    """One YAML of the task folder: a task with its hooks, or a group with its members."""

    name: str
    path: Path
    members: tuple[str, ...]  # empty for a task
    version: str
    hash: str
    needs_likelihoods: bool = False
    about: str = ""  # of a task: what it asks, in a sentence

    @property
    def is_group(self) -> bool:
        """Whether this file names other tasks."""
        return bool(self.members)


def tasks_folder() -> Path:
    """Return the folder of lm-eval YAML files: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "tasks"
    return (
        checkout
        if checkout.is_dir() and (package.parent / "pyproject.toml").exists()
        else package / "_bundled" / "tasks"
    )


@cache
def read_tasks(folder: Path) -> dict[str, TaskFile]:
    """Read every YAML of a task folder.

    Raises:
        FaultsError: Every file that does not parse, lacks a name or names a hook that does not exist.
    """
    faults: list[Fault] = []
    found: dict[str, TaskFile] = {}
    for path in sorted(folder.rglob("*.yaml")):
        where = path.relative_to(folder).as_posix()
        try:
            raw = path.read_bytes()
            content = yaml.load(raw, Loader=_loader(where, faults))  # noqa: S506 - a SafeLoader with one tag
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            faults.append(
                Fault(where, mark.line + 1 if mark else None, f"not readable YAML: {getattr(error, 'problem', error)}")
            )
            continue
        task = _task_file(path, where, content, hashlib.sha256(raw).hexdigest()[:12], faults)
        if task is not None and task.name in found:
            faults.append(Fault(where, None, f"task name {task.name!r} stands also in {found[task.name].path.name}"))
        elif task is not None:
            found[task.name] = task
    for task in found.values():
        faults += [
            Fault(
                task.path.relative_to(folder).as_posix(),
                None,
                f"member {m!r} is no task of this folder",
                ", ".join(sorted(found)),
            )
            for m in task.members
            if m not in found
        ]
    if faults:
        raise FaultsError(f"task folder {folder.name}", faults)
    return found


def _loader(where: str, faults: list[Fault]) -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        pass

    def hook(loader: yaml.SafeLoader, node: yaml.Node) -> str:
        spec = str(loader.construct_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""
        module, _, name = spec.rpartition(".")
        try:
            getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            faults.append(Fault(where, node.start_mark.line + 1, f"hook {spec!r} cannot be loaded: {error}"))
        return spec

    Loader.add_constructor("!function", hook)
    return Loader


def _task_file(path: Path, where: str, content: Any, digest: str, faults: list[Fault]) -> TaskFile | None:
    name = content.get("task") if isinstance(content, dict) else None
    group = content.get("group") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(group or name, str):
        faults.append(
            Fault(
                where,
                None,
                "neither a task nor a group",
                "a mapping with `task: NAME`, or `group: NAME` and a list `task:`",
            )
        )
        return None
    members = tuple(str(member) for member in name) if group and isinstance(name, list) else ()
    version = str((content.get("metadata") or {}).get("version", ""))
    if not version:
        faults.append(Fault(where, None, "no version", "`metadata: {version: ...}`"))
    likelihoods = content.get("output_type") == "multiple_choice"
    return TaskFile(str(group or name), path, members, version, digest, likelihoods, _about(content.get("class")))


def _about(spec: Any) -> str:
    """Return the first sentence that a task's class says of itself; none where the class has a fault of its own."""
    module, _, name = str(spec or "").rpartition(".")
    found = getattr(importlib.import_module(module), name, None) if module in sys.modules else None
    return (getdoc(found) or "").partition("\n")[0]


def expand(names: Iterable[str], folder: Path) -> list[TaskFile]:
    """Resolve task and group names to tasks, each once, in order.

    Raises:
        UnknownNameError: No such task or group; lists the near ones.
    """
    known = read_tasks(folder)
    tasks: dict[str, TaskFile] = {}
    for name in names:
        if name not in known:
            raise UnknownNameError("task", name, sorted(known))
        members: Sequence[str] = known[name].members
        for task in expand(members, folder) if members else [known[name]]:
            tasks.setdefault(task.name, task)
    return list(tasks.values())
