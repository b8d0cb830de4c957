"""Trait profiles: what each persona-stage answers on five domains, against what it should be like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from persbench.report.corpus import STATISTICS, likert_answers, trait_targets
from persbench.report.figures.entrants import choose
from persbench.report.figures.names import drawn_name
from persbench.report.figures.panels import by_life, grid, life_order
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import BLACK, look, titled
from persbench.report.figures.values import NothingToDrawError, height, number, sentences, span, with_ends
from persbench.scoring.traits import POINTS, domain_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Entrant
    from persbench.report.figures.style import Look
    from persbench.scoring.stats import Interval
    from persbench.scoring.traits import Cell, DomainScore

TASK: Final = "persbench_traits"
DOMAINS: Final = ("O", "C", "E", "A", "N")
MIDDLE: Final = 3  # what blind answers approach
MOST_LINES: Final = 5  # more in a panel would not be told apart
MOST_PANELS: Final = 24
HOW_TO_READ: Final = (
    "Each panel is a persona at a stage of its life. Black bars: what it should be like, by the pack. Marks: the mean "
    "of what the system answers to statements about itself, turned towards the domain (O openness, C "
    "conscientiousness, E extraversion, A agreeableness, N neuroticism), over wordings and option orders. Marks that "
    "follow the bars from panel to panel are a character; marks alike in all panels are the model's own. A generic "
    "good character reaches a correlation of about 0.3 to 0.45."
)
NAMED_IN_TITLE: Final = 3


@dataclass(frozen=True)
class Profile:
    """A system's answers.

    Attributes:
        scores: (persona, stage, domain) -> mean answer towards the domain, 1 to 5.
        targets: The same for what the persona should be like.
        r: Correlation of the two, as on the board.
    """

    scores: Mapping[Cell, DomainScore]
    targets: Mapping[Cell, float]
    r: Interval


def profile_of(entrant: Entrant) -> Profile | None:
    """Return a system's profile; None where it answered nothing."""
    rows = entrant.rows(TASK)
    scores = domain_scores(likert_answers(rows))
    if not any(score.mean is not None for score in scores.values()):
        return None
    return Profile(scores, trait_targets(rows), STATISTICS["trait_r"](rows))


def draw_traits(everyone: Sequence[Entrant], baseline: str) -> Sketch:
    """Draw a panel for each persona-stage: its targets, and what each system answers in its place.

    Raises:
        NothingToDrawError: No system has scored trait items.
    """
    profiles = {one.label: profile for one in everyone if (profile := profile_of(one)) is not None}
    having = [one for one in everyone if one.label in profiles]
    if not having:
        raise NothingToDrawError(f"no system has scored items of {TASK}")
    choice = choose(
        having, lambda one: profiles[one.label].r.mean, "correlation with the targets", baseline,
        most=MOST_LINES, rest="are left out",
    )  # fmt: skip
    shown = [profiles[one.label] for one in choice.named]
    cells = {cell for profile in shown for cell in (*profile.scores, *profile.targets)}
    asked = {domain for *_, domain in cells}
    domains = [domain for domain in DOMAINS if domain in asked] + sorted(asked - set(DOMAINS))
    stages = by_life({f"{persona}/{stage}" for persona, stage, _ in cells}, life_order(everyone))
    figure, panels = grid(min(len(stages), MOST_PANELS), _columns(stages[:MOST_PANELS]), 1.9, 1.85)
    for panel, label in zip(panels, stages, strict=False):
        persona, _, stage = label.partition("/")
        places = [(persona, stage, domain) for domain in domains]
        panel.axhline(MIDDLE, color="#999999", linewidth=0.8, linestyle=":", zorder=1)
        targets = {cell: value for profile in shown for cell, value in profile.targets.items()}
        _draw_targets(panel, [targets.get(cell) for cell in places])
        for place, (one, profile) in enumerate(zip(choice.named, shown, strict=True)):
            means = [profile.scores[cell].mean if cell in profile.scores else None for cell in places]
            _draw_profile(panel, means, one.name, look(place))
        panel.set(xlim=(-0.5, len(domains) - 0.5), ylim=(0.8, POINTS + 0.2), yticks=range(1, POINTS + 1))
        panel.set_xticks(range(len(domains)), [drawn_name(domain, 6) for domain in domains])
        panel.set_title(drawn_name(label.replace("/", ", "), 26), loc="left", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))
    figure.supylabel("mean answer towards the domain (1 to 5; dotted: 3, blind answers)", fontsize=9)
    title = _title([one.name for one in having], [profiles[one.label] for one in having])
    titled(figure, title)
    hidden = len(stages) - len(panels)
    left_out = f"{hidden} more persona-stages are left out." if hidden else ""
    told = {one.label: f"{one.name} r {with_ends(profiles[one.label].r)}" for one in having}
    alt = (
        f"Profiles of {len(panels)} persona-stages on {len(domains)} trait domains against their targets. "
        f"Correlation with the targets: {'; '.join(told.values())}."
    )
    rest = f"Without lines: {', '.join(told[one.label] for one in choice.rest)}." if choice.rest else ""
    return Sketch(figure, title, sentences(HOW_TO_READ, choice.rule, rest, left_out, _counts(shown)), alt)


def _counts(shown: Sequence[Profile]) -> str:
    scores = [score for profile in shown for score in profile.scores.values()]
    unscored = sum(score.unscored for score in scores)
    more = f", {unscored:,} answers unscored in all" if unscored else ""
    return f"n: {span(score.n for score in scores)} answers a mark{more}."


def _draw_targets(panel: Axes, targets: Sequence[float | None]) -> None:
    heights = [height(target) for target in targets]
    panel.plot(
        range(len(heights)), heights, color=BLACK, marker="_", linestyle="none", markersize=15, markeredgewidth=2.2,
        label="target", zorder=2,
    )  # fmt: skip


def _draw_profile(panel: Axes, means: Sequence[float | None], name: str, style: Look) -> None:
    """Draw a profile; nothing stands where nothing is scored."""
    heights = [height(mean) for mean in means]
    panel.plot(
        range(len(heights)), heights, color=style.colour, marker=style.mark, linestyle=style.line, linewidth=1.1,
        markersize=4.5, markeredgewidth=0.4, markeredgecolor="white", label=name, zorder=3,
    )  # fmt: skip


def _columns(labels: Sequence[str]) -> int:
    """Return how many panels stand side by side: whole lives, as many as fit."""
    people = [label.partition("/")[0] for label in labels]
    longest = max(people.count(person) for person in set(people))
    return max(1, 4 // longest) * longest if longest <= 4 else 4  # noqa: PLR2004 - four panels are a page's width


def _title(names: Sequence[str], shown: Sequence[Profile]) -> str:
    found = [profile.r.mean for profile in shown if profile.r.mean is not None]
    if not found:
        return "Trait answers beside their targets"
    if len(names) == 1:
        return f"{names[0]}: trait answers follow their targets with r = {with_ends(shown[0].r)}"
    if len(names) <= NAMED_IN_TITLE:
        told = ", ".join(f"{number(profile.r.mean)} ({name})" for name, profile in zip(names, shown, strict=True))
        return f"Trait answers follow their targets with r = {told}"
    return f"Trait answers follow their targets with r = {number(min(found))} to {number(max(found))}"
