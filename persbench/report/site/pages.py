"""The pages themselves: templates filled with plain values, and written below a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from persbench.report.board import columns, table_titles
from persbench.report.site.evaluations import EVERYONE, Evaluation, personas_of
from persbench.report.site.reproduce import commands
from persbench.report.site.safe import name_of, slug
from persbench.report.site.transcripts import TITLES, Transcript
from persbench.report.site.values import TableView, table_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from persbench.report.site.drawings import Drawing
    from persbench.report.site.judges import JudgedView

CONVERSATIONS: Final = "conversations.html"
STATIC: Final = ("site.css", "site.js", "theme.js")
FAMILIES: Final = {
    "board": "Headlines",
    "resistance": "Resistance",
    "consistency": "Consistency",
    "dynamics": "Dynamics",
    "traits": "Traits",
    "rigidity": "Ordinary work",
    "replies": "Free replies",
    "letters": "By letter",
}


@dataclass(frozen=True)
class Site:
    """Everything that pages show.

    Attributes:
        found: Systems, then rules.
        talks: Transcript pages.
        drawings: Figures over systems.
        own_drawings: Slug of a system -> its figures.
        judged: What judges say of the systems.
        missing: What could not be drawn, and why.
        conversations: A page of its own, as HTML, about personas in conversation.
    """

    found: Sequence[Evaluation]
    talks: Sequence[Transcript] = ()
    drawings: Sequence[Drawing] = ()
    own_drawings: dict[str, list[Drawing]] = field(default_factory=dict)
    judged: Sequence[JudgedView] = ()
    missing: Sequence[str] = ()
    conversations: str = ""

    @cached_property
    def entries(self) -> list[tuple[str, str]]:
        """File and title of the pages that every page links to."""
        wanted = {
            "Board": ("index.html", True),
            "Figures": ("figures.html", bool(self.drawings or self.missing)),
            "Transcripts": ("transcripts.html", bool(self.talks)),
            "Conversations": (CONVERSATIONS, bool(self.conversations)),
            "Judges": ("judged.html", bool(self.judged)),
            "How to read": ("reading.html", True),
        }
        return [(page, title) for title, (page, there) in wanted.items() if there]

    @cached_property
    def systems(self) -> list[Evaluation]:
        """Systems without rules."""
        return [one for one in self.found if not one.is_sanity]

    @cached_property
    def by_slug(self) -> dict[str, Evaluation]:
        """Systems and rules by the name of their page."""
        return {one.slug: one for one in self.found}

    @cached_property
    def personas(self) -> tuple[str, ...]:
        """Personas of all systems."""
        return personas_of([cell for one in self.systems for cell in one.cells])

    @cached_property
    def models(self) -> list[str]:
        """Names of the base models."""
        return sorted({one.model for one in self.systems if one.model})

    @cached_property
    def tables(self) -> list[str]:
        """Tables in which some system has a number."""
        return [table for table in table_titles() if any((EVERYONE, table) in one.lines for one in self.systems)]

    def personas_in(self, table: str) -> list[str]:
        """Return the personas over which some system has a number in a table."""
        return [name for name in self.personas if any((name, table) in one.lines for one in self.systems)]

    def view(self, table: str, persona: str) -> TableView:
        """Return a table, computed once."""
        key = (table, persona)
        if key not in self._views:
            self._views[key] = table_view(self.found, table, persona)
        return self._views[key]

    @cached_property
    def _views(self) -> dict[tuple[str, str], TableView]:
        return {}


def page_of(table: str, persona: str = EVERYONE) -> str:
    """Return the file name of a table's page."""
    if persona == EVERYONE:
        return "index.html" if table == "board" else f"{table}.html"
    return f"{table}-{slug(persona)}.html"


def render(site: Site) -> Iterator[tuple[str, str]]:
    """Fill the templates.

    Args:
        site: With at least one system.

    Yields:
        Path below the site's folder, and content.
    """
    env = _environment()
    first = site.tables[0] if site.tables else "board"
    for table in site.tables:
        for persona in (EVERYONE, *site.personas_in(table)):
            page = page_of(table, persona)
            values: dict[str, Any] = {
                "view": site.view(table, persona),
                "personas": site.personas_in(table),
                "page": page,
            }
            yield page, _filled(env, "table", site, here=page, **values)
            if table == first != "board" and persona == EVERYONE:
                yield "index.html", _filled(env, "table", site, here="index.html", **values)
    for one in site.found:
        yield f"systems/{one.slug}.html", _filled(env, "system", site, root="../", one=one, **_of_system(site, one))
    for talk, before, after in _neighbours(site.talks):
        around: dict[str, Any] = {"talk": talk, "before": before, "after": after, "title": TITLES[talk.task]}
        yield f"transcripts/{talk.slug}.html", _filled(env, "transcript", site, root="../", **around)
    yield from _single(env, site)
    for name in STATIC:
        yield name, files("persbench.report.site").joinpath("static", name).read_text("utf-8")


def _single(env: Environment, site: Site) -> Iterator[tuple[str, str]]:
    """Fill the pages of which there is one at most."""
    if site.talks:
        yield "transcripts.html", _filled(env, "transcripts", site, here="transcripts.html", shelves=_shelves(site))
    if site.drawings or site.missing:
        yield "figures.html", _filled(env, "figures", site, here="figures.html")
    if site.judged:
        yield "judged.html", _filled(env, "judged", site, here="judged.html")
    if site.conversations:
        yield CONVERSATIONS, site.conversations
    yield "reading.html", _filled(env, "reading", site, here="reading.html")


def _filled(env: Environment, template: str, site: Site, *, root: str = "", here: str = "", **values: Any) -> str:
    return env.get_template(f"{template}.html.j2").render(site=site, root=root, here=here, **values) + "\n"


def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("persbench.report.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals |= {"page_of": page_of, "families": FAMILIES, "EVERYONE": EVERYONE, "task_titles": TITLES, "zip": zip}
    env.filters["name"] = name_of
    env.tests["unchecked"] = Evaluation.not_recomputed
    return env


def _of_system(site: Site, one: Evaluation) -> dict[str, Any]:
    """Return what a system's own page shows: its row of every table, and the headlines persona by persona."""

    def row_of(view: TableView) -> Any:
        rows = (*view.rows, *view.rules, *view.floors)
        return next((row for row in rows if row.evaluation is one), None)

    tables = [(view, row_of(view)) for view in (site.view(table, EVERYONE) for table in site.tables)]
    board = [(site.view("board", name), name) for name in one.personas if (name, "board") in one.lines]
    tasks = sorted({task for cell in one.cells for task in cell.tasks})
    return {
        "tables": [(view, row) for view, row in tables if row is not None],
        "by_persona": [(name, view, row_of(view)) for view, name in board],
        "headline_columns": [c for c in columns("board") if any(c in view.columns for view, _ in board)],
        "talks": [talk for talk in site.talks if one.slug in talk.systems],
        "notes": list(dict.fromkeys(note for line in one.lines.values() for note in line.notes)),
        "facts": {name_of(key): name_of(value, 400) for key, value in one.signature.items()},
        "commands": commands(one.system, one.personas, one.signature, tasks),
    }


def _neighbours(talks: Sequence[Transcript]) -> Iterator[tuple[Transcript, Transcript | None, Transcript | None]]:
    for i, page in enumerate(talks):
        before, after = (talks[j] if 0 <= j < len(talks) else None for j in (i - 1, i + 1))
        yield page, before, after


def _shelves(site: Site) -> dict[str, dict[str, list[Transcript]]]:
    """Return the transcript pages as task -> persona -> pages."""
    found: dict[str, dict[str, list[Transcript]]] = {}
    for page in site.talks:
        found.setdefault(page.task, {}).setdefault(page.persona, []).append(page)
    return found
