"""The transcript page: all that was said, nothing that runs, whatever it was."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from known_talks import KnownBackground, probe, record, talk, the_pack

from persbench.conversation import report
from persbench.conversation.page import page, write_page
from persbench.conversation.records import Agent, ConversationRecord, Turn
from persbench.conversation.report import conversation_table
from persbench.conversation.views import LONGEST, shown
from persbench.packs.pack import Pack

SCRIPT = "</div></script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
ODDS = {"My lamp is by the oven.": -2.0, "The flour needs a lamp.": 3.0, "Flour, flour and dough for the boat.": -1.0}


@pytest.fixture(scope="module")
def pack() -> Pack:
    return the_pack()


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "Background", lambda pack: KnownBackground(pack, ODDS))


def html_of(records: list[ConversationRecord], pack: Pack) -> str:
    return page(records, conversation_table(records, pack), pack)


class Elements(HTMLParser):
    """Tags, event handlers and links of a page, and its text by the class of what holds it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, kind: str) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.tags if kind in attrs.get("class", "").split()]


def test_a_talk_is_shown_with_its_marks_probes_and_figures(pack: Pack) -> None:
    probes = [
        probe("a", "q01", 0, "a"), probe("a", "q01", 3, "b"), probe("b", "q01", 3, None),
        probe("b", "q03", 3, "c", own=None),
    ]  # fmt: skip
    html = html_of([record([talk(probes=probes)], pack)], pack)
    elements = Elements(html)
    assert len(elements.of("turn")) == 5
    assert len(elements.of("authored")) == 1
    for text in ("Ada Crumb", "the spring of the year 10", "Two meet in the fog beside a boat.", "You want bread."):
        assert text in html
    assert '<mark class="taken">lamp</mark> is by the oven.' in html
    assert 'The <mark class="new">flour</mark> needs a lamp.' in html
    assert html.count('<p class="soft">said before, word for word</p>') == 1
    signs = [attrs["title"] for attrs in elements.of("probe")]
    assert signs == ["held", "not held", "unscored", "no stance of its own"]
    assert "Asked aside before the talk" in html
    # after the third utterance, before the fourth
    assert html.index("The <mark") < html.index("Asked aside after this") < html.index(">said before, word")
    own = pack.question("q01").stance("a").text
    assert f"Own: “<bdi>{own.replace(chr(39), '&#39;')}</bdi>”" in html
    assert html.count("<polyline") == 2


def test_systems_of_one_scenario_stand_in_one_section(pack: Pack) -> None:
    talks = [talk(seed=seed) for seed in (0, 1)]
    mine = record(talks, pack)
    theirs = record(
        [replace(t, a=replace(t.a, system="vanilla"), b=replace(t.b, system="vanilla")) for t in talks], pack
    )
    html = html_of([mine, theirs], pack)
    found = [(attrs["data-system"], attrs["data-seed"]) for attrs in Elements(html).of("talk")]
    assert found == [("prompt", "0"), ("vanilla", "0"), ("prompt", "1"), ("vanilla", "1")]
    assert html.count('<section class="scenario"') == 1
    assert "<option selected>vanilla</option>" in html
    mixed = record([talk(system="prompt", other="vanilla")], pack)
    assert [attrs["data-system"] for attrs in Elements(html_of([mixed], pack)).of("talk")] == ["prompt / vanilla"]


def hostile(pack: Pack) -> tuple[ConversationRecord, Pack]:
    people = tuple(
        replace(data, persona=data.persona.model_copy(update={"name": f"{data.persona.name} {SCRIPT}"}))
        for data in pack.personas
    )
    turns = (
        Turn("a", SCRIPT, authored=True), Turn("b", f"oven {SCRIPT}", analysis=SCRIPT),
        Turn("a", "{{ 7 * 7 }} {% raw %}"),
        Turn("b", "\x00\x1b[2J\x7f\x85\u202etxet\u2028 \ud800"), Turn("a", "x" * 1_000_000), Turn("b", ""),
    )  # fmt: skip
    probes = (replace(probe("a", SCRIPT, 2, None), ask=SCRIPT, own=SCRIPT, stances=(SCRIPT, "b", "c", "d")),)
    one = talk(
        SCRIPT, kind=SCRIPT, turns=turns, probes=probes, fault=SCRIPT,
        a=Agent(SCRIPT, "ada", "early"), b=Agent(SCRIPT, "bo", "early"),
    )  # fmt: skip
    made = record([one], pack, model=SCRIPT)
    row = {"setting": SCRIPT, "aim_a": SCRIPT, "aim_b": SCRIPT, "questions": [SCRIPT, "q01"]}
    return replace(made, scenarios={SCRIPT: row}), replace(pack, personas=people)


def test_hostile_texts_stay_texts(pack: Pack) -> None:
    made, world = hostile(pack)
    html = html_of([made], world)
    elements = Elements(html)
    assert [tag for tag, _ in elements.tags].count("script") == 1
    assert not [tag for tag, _ in elements.tags if tag in ("img", "link", "iframe", "object", "base", "form")]
    assert not [
        name for _, attrs in elements.tags for name in attrs if name.startswith("on") or name in ("src", "href")
    ]
    assert "{{ 7 * 7 }} {% raw %}" in html
    assert "\u2400\u241b[2J\u2421\ufffd" in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\ud800-\udfff]", html)
    assert f"{1_000_000 - LONGEST:,} more characters in the record" in html
    assert len(html) < 200_000


def test_a_page_of_nothing_is_a_page(pack: Pack) -> None:
    assert "There are no conversations" in html_of([], pack)
    assert "There are no conversations" in html_of([record([], pack)], pack)
    assert "Nothing was said." in html_of([record([talk(script=())], pack)], pack)
    lone = html_of([record([talk(script=(("a", "Sit down."),))], pack)], pack)
    assert "Sit down." in lone
    assert "<svg" not in lone


def test_controls_are_made_visible_and_texts_kept() -> None:
    assert shown("a\tb\nc é 中 \u202b") == "a\tb\nc é 中 \u202b"
    assert shown("\r\x0b\ud83d") == "\u240d\u240b\ufffd"


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_nothing_runs_nothing_is_fetched_and_two_systems_show(
    chromium: Any, pack: Pack, tmp_path: Path, width: int
) -> None:
    made, world = hostile(pack)
    talks = [talk(seed=seed) for seed in (0, 1)]
    records = [made] + [
        record([replace(t, a=replace(t.a, system=name), b=replace(t.b, system=name)) for t in talks], pack)
        for name in ("prompt", "rag", "vanilla")
    ]
    write_page(tmp_path / "page.html", records, conversation_table(records, world), world)
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.set_default_timeout(90_000)
    asked: list[str] = []
    faults: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto((tmp_path / "page.html").as_uri())
    assert tab.evaluate("window.hit") is None
    assert len(asked) == 1
    assert faults == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    shown_talks = "[...document.querySelectorAll('.talk')].filter((one) => !one.hidden)"
    visible = f"{shown_talks}.map((one) => [one.dataset.system, one.dataset.seed])"
    assert max(map(tuple, tab.evaluate(visible))) == ("vanilla", "0")
    tab.select_option("#left", "prompt")
    tab.select_option("#right", "rag")
    tab.select_option("#sample", "1")
    assert [tuple(one) for one in tab.evaluate(visible)][1:] == [("prompt", "1"), ("rag", "1")]
    # side by side where there is room, else one below the other
    tops = tab.evaluate(f"{shown_talks}.slice(1).map((one) => one.getBoundingClientRect().top)")
    assert (tops[0] == tops[1]) == (width == 1280)
    tab.close()
