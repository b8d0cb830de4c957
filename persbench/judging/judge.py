"""A judge: a folder with settings and prompts, bound to whatever model answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field

from persbench import __version__
from persbench.annotators.prompts import PromptFile, prompt
from persbench.annotators.spec import FILE_NAME as ANNOTATOR_FILE
from persbench.annotators.spec import load_annotator
from persbench.errors import Fault, FaultsError, PersbenchError
from persbench.packs.complaints import unknown_name, validated
from persbench.packs.texts import Id, Line, PackModel, complaint
from persbench.packs.yaml_file import read_yaml
from persbench.provenance import digest, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from persbench.annotators.base import Annotator

FILE_NAME: Final = "judge.yaml"
DEFAULT: Final = Path(__file__).resolve().parent / "default"
FORMAT: Final = 1  # raised when the same prompts would be asked or read in another way

# Prompt -> inputs that it may use; those of `NEEDED` it must use.
PROMPTS: Final[dict[str, tuple[str, ...]]] = {
    "sort": ("question", "reference"),
    "agree": ("question", "reference", "reply"),
    "rank": ("speaker", "question", "reference", "replies"),
    "resist": ("speaker", "prompt", "truth", "reply"),
    "contradict-prompt": ("held", "asked", "line"),
    "contradict-line": ("held_asked", "held", "asked", "line"),
    "contradict-answer": ("held_asked", "held", "asked", "line"),
}
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "sort": ("question",),
    "agree": ("reference", "reply"),
    "rank": ("question", "replies"),
    "resist": ("prompt", "reply"),
    "contradict-prompt": ("held", "line"),
    "contradict-line": ("held", "line"),
    "contradict-answer": ("held", "line"),
}
_SPEC = re.compile(r"(?:openai|local):")


def _even(orders: int) -> int:
    if orders % 2:
        raise complaint(
            "{n} orders leave one without its reverse, so that a leaning to a place stays: give an even number",
            n=orders,
        )
    return orders


class JudgeSettings(PackModel):
    """judge.yaml.

    Attributes:
        name: How tables call the judge; None for the folder's name.
        annotator: Who answers: a spec, or a folder with annotator.yaml, relative to this file. None where it is bound
            at run time, or by an annotator.yaml in the same folder.
        orders: In how many orders the replies of a ranking are shown, as far as there are so many; even, so that each
            has its reverse beside it.
        longest: Characters; a longer reply is not sent, and stays unscored.
    """

    name: Id | None = None
    annotator: Line | None = None
    orders: Annotated[int, Field(ge=2, le=12), AfterValidator(_even)] = 2
    longest: int = Field(default=12_000, ge=1)


@dataclass(frozen=True)
class Judge:
    """Prompts, how they are asked, and who answers.

    Attributes:
        name: For tables and folders.
        annotator: Answers.
        prompts: Name, a key of `PROMPTS` -> prompt.
        orders: See `JudgeSettings`.
        longest: See `JudgeSettings`.
    """

    name: str
    annotator: Annotator
    prompts: Mapping[str, PromptFile]
    orders: int = 2
    longest: int = 12_000

    @property
    def versions(self) -> dict[str, str]:
        """Prompt -> hash of its file."""
        return {name: found.version for name, found in sorted(self.prompts.items())}

    @property
    def prompt_hash(self) -> str:
        """One hash over all prompts and how they are asked."""
        return digest([FORMAT, self.versions, self.orders, self.longest])

    @property
    def id(self) -> str:
        """Who answers, and by which prompts: what keys and signatures hold. No credentials stand in it."""
        return f"{self.name}@{self.prompt_hash}|{self.annotator.id}"

    @property
    def folder_name(self) -> str:
        """A name for a folder that no other judge has."""
        return f"{self.name}-{digest(self.id, 8)}"

    @property
    def signature(self) -> str:
        """What is printed beside every figure of this judge."""
        return signature(self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """The parts of the signature."""
        return {
            "judge": self.name,
            "prompts": self.prompt_hash,
            "by": self.annotator.id,
            "orders": self.orders,
            "persbench": __version__,
        }


def load_judge(
    spec: str | Path,
    *,
    cache: Path | None,
    budget: int | None = None,
    annotator: str | None = None,
    tell: Callable[[str], Any] | None = None,
) -> Judge:
    """Make a judge; no model is loaded and nothing is sent before it is asked.

    Args:
        spec: A folder with judge.yaml (prompts that are not in it are the bundled ones), or whatever names an
            annotator: then all prompts are the bundled ones.
        cache: File of the call cache, or a folder for it; None keeps answers in memory alone.
        budget: Tokens that all answers used may take together; None for no bound.
        annotator: Who answers, instead of what judge.yaml says.
        tell: Is told in a sentence of a damaged cache.

    Raises:
        FaultsError: Every fault of judge.yaml and its prompts at once.
        PersbenchError: There is no such judge, nobody is named to answer, or the annotator cannot be made.
    """
    folder = _folder(spec)
    home = DEFAULT if folder is None else folder
    settings, prompts = read_judge(home)
    if folder is None:
        if annotator is not None:
            raise PersbenchError(
                f"--annotator binds a judge's folder, and {shown_spec(spec)} is none: give one of the two."
            )
        who = str(spec)
    else:
        who = annotator or _bound(folder, settings)
    asked = load_annotator(who, cache=cache, budget=budget, tell=tell)
    return Judge(settings.name or home.resolve().name, asked, prompts, settings.orders, settings.longest)


def read_judge(folder: Path) -> tuple[JudgeSettings, dict[str, PromptFile]]:
    """Read settings and prompts of a judge.

    Args:
        folder: Holds judge.yaml, and any of the prompts of `PROMPTS` as NAME.md.

    Raises:
        FaultsError: Every fault of all files at once, with its line.
    """
    faults: list[Fault] = []
    document = read_yaml(folder / FILE_NAME, FILE_NAME, faults)
    settings = None if document is None else validated(JudgeSettings, document.data, FILE_NAME, faults, document.line)
    faults += [
        Fault(path.name, None, *unknown_name("prompt", path.stem, list(PROMPTS)))
        for path in sorted(folder.glob("*.md"))
        if path.stem not in PROMPTS and path.stem != "README"
    ]
    prompts: dict[str, PromptFile] = {}
    for name in PROMPTS:
        home = folder if (folder / f"{name}.md").exists() else DEFAULT
        try:
            prompts[name] = prompt(home, name)
        except FaultsError as error:
            faults += error.faults
        else:
            faults += _misfit(prompts[name])
    if faults or settings is None:
        raise FaultsError(f"the judge in {folder}", faults)
    return settings, prompts


def _misfit(found: PromptFile) -> list[Fault]:
    """Say where the inputs of a prompt are not those of its judgement."""
    shown, may, must = f"{found.task}.md", PROMPTS[found.task], NEEDED[found.task]
    faults = [Fault(shown, None, *unknown_name("input", name, may)) for name in sorted(found.inputs.keys() - set(may))]
    faults += [
        Fault(shown, None, f"the input {name} is not there", f"inputs: {{{name}: material, ...}}")
        for name in must
        if name not in found.inputs
    ]
    # A line is cut at its end and stands outside of frames: what a system said must not stand there.
    faults += [
        Fault(shown, None, f"the input {name} is a line", f"{name}: material")
        for name, kind in found.inputs.items()
        if kind != "material" and name in may
    ]
    return faults


def _folder(spec: str | Path) -> Path | None:
    """Return the judge's folder that a spec names, or None where it names an annotator."""
    if isinstance(spec, str) and (_SPEC.match(spec) or not spec.strip()):
        return None
    path = Path(spec)
    try:
        if (path / FILE_NAME).exists():
            return path
        if path.is_dir() and not (path / ANNOTATOR_FILE).exists():
            raise PersbenchError(
                f"{path} holds neither {FILE_NAME} (a judge) nor {ANNOTATOR_FILE} (a model that the bundled prompts "
                "are put to): add one, or give openai:MODEL@URL or local:PATH."
            )
    except (OSError, ValueError):
        pass  # too long or with a NUL: no folder has such a name
    return None


def _bound(folder: Path, settings: JudgeSettings) -> str:
    if settings.annotator is not None:
        beside = folder / settings.annotator
        return str(beside) if not _SPEC.match(settings.annotator) and beside.is_dir() else settings.annotator
    if (folder / ANNOTATOR_FILE).exists():
        return str(folder)
    raise PersbenchError(
        f"nobody answers for the judge in {folder}: give --annotator openai:MODEL@URL or local:PATH, or write "
        f"`annotator: ...` into its {FILE_NAME}."
    )


def shown_spec(spec: str | Path) -> str:
    """Return a spec as it may be printed: without user and password of its address."""
    return re.sub(r"//[^/\s]*@", "//***@", str(spec))
