"""Personality or costume: content accuracy against voice accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from persbench.report.figures.entrants import choose
from persbench.report.figures.plane import draw_points, name_points, name_regions, placed
from persbench.report.figures.save import Sketch
from persbench.report.figures.style import FAINT, GREY, titled
from persbench.report.figures.values import Measure, counted, how_many, number, sentences, with_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from persbench.report.figures.entrants import Choice, Entrant
    from persbench.report.figures.plane import Place

CONTENT: Final = Measure("persbench_costume", "content_acc", "content accuracy")
VOICE: Final = Measure("persbench_costume", "voice_acc", "voice accuracy")
LOWEST: Final = 0.3  # the axes begin here, or lower where a value does
AIR: Final = 0.03
HOW_TO_READ: Final = (
    "Each mark is a system over all its personas, with 95% intervals both ways (bootstrap over questions). To the "
    "right: it prefers the persona's own answer to one of the same stance in another's voice. Upwards: it prefers it "
    "to one of the same voice with another stance. Dashed lines are chance; a costume moves to the right alone, a "
    "personality into the shaded corner."
)
ALONG: Final = [step / 100 for step in range(101)]  # where names keep off the lines of chance


def draw_content_voice(everyone: Sequence[Entrant], baseline: str) -> Sketch:
    """Draw who holds what the persona holds, and who only sounds like it.

    Raises:
        NothingToDrawError: No system has scored items of the costume task.
    """
    having = placed(everyone, VOICE, CONTENT)
    choice = choose(having, CONTENT.mean, CONTENT.name, baseline)
    chance = (VOICE.chance(having), CONTENT.chance(having))
    figure = Figure(figsize=(5.6, 5.7), layout="constrained")
    axis = figure.subplots()
    places = draw_points(axis, choice, VOICE, CONTENT)
    ends = [end for place in places for one in place for end in (one.low, one.mean) if end is not None]
    ends += [value for one in choice.rest for each in (VOICE, CONTENT) if (value := each.mean(one)) is not None]
    low = max(-AIR, min([LOWEST, *(end - AIR for end in ends)]))
    axis.set(xlim=(low, 1 + AIR), ylim=(low, 1 + AIR), aspect="equal")
    lines = _draw_chance(axis, *chance)
    axis.set_xlabel(f"voice accuracy: own answer over another's voice, same stance (chance {number(chance[0])})")
    axis.set_ylabel(f"content accuracy: own answer over another stance, same voice (chance {number(chance[1])})")
    name_regions(
        axis,
        "holds it,\nin another voice",
        "personality:\nsounds like it and holds what it holds",
        "neither",
        "costume:\nsounds like it, holds something else",
    )
    title = _title(choice, places, chance)
    titled(figure, title)
    name_points(axis, choice, places, lines)
    told = "; ".join(
        f"{one.name}: content {with_ends(up)}, voice {with_ends(across)}"
        for one, (across, up) in zip(choice.named, places, strict=True)
    )
    alt = f"Scatter plot of content accuracy against voice accuracy, chance {number(chance[1])}. {told}."
    return Sketch(figure, title, sentences(HOW_TO_READ, choice.rule, counted([up for _, up in places])), alt)


def _draw_chance(axis: Axes, voice: float | None, content: float | None) -> list[tuple[float, float]]:
    """Draw the lines of chance and shade the corner above both; return points of the lines, for names to keep off."""
    if voice is not None:
        axis.axvline(voice, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    if content is not None:
        axis.axhline(content, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    if voice is None or content is None:
        return []
    axis.add_patch(Rectangle((voice, content), 1 + AIR - voice, 1 + AIR - content, color=FAINT, zorder=0))
    return [(voice, y) for y in ALONG] + [(x, content) for x in ALONG]


def _title(choice: Choice, places: Sequence[Place], chance: Sequence[float | None]) -> str:
    above = [
        [
            one.low is not None and level is not None and one.low > level
            for one, level in zip(place, chance, strict=True)
        ]
        for place in places
    ]
    voice, content = (sum(column) for column in zip(*above, strict=True))
    if len(places) == 1:
        words = {True: "above chance", False: "not told from chance"}
        return f"{choice.named[0].name}: {words[bool(voice)]} in voice, {words[bool(content)]} in content"
    voices = how_many(voice, len(places), named=bool(choice.rest))
    return f"Above chance in voice: {voices}; in content: {content or 'none'}"
