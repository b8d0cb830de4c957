"""The site in a headless browser, opened from the disk: sorted, filtered, read, on a phone and in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from site_world import cell, cells, watched

from persbench.report.site.build import build_site
from persbench.report.site.safe import slug

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "site"
    made = cells(vanilla=0.0, prompt=0.1, persllm=0.9)
    made += [cell("prompt", persona, 0.3, model="Other-1B@99") for persona in ("ada", "bo")]
    unscored = cell("aaa-mine", "ada", 0.2)
    for row in unscored.tasks["persbench_attitude"]:
        row["metrics"]["attitude_acc"] = [None, False]
    build_site([*made, unscored, cell("sanity:longest", "ada", 0.0)], out, figures=False)
    return out


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page; the test fails if anything is written to the console, or asked for off the disk."""
    with watched(chromium, **getattr(request, "param", {})) as opened:
        yield opened


def names(page: Page) -> list[str]:
    """Systems as they stand in the table, those that are hidden left out."""
    return page.locator("table[data-sortable] tbody tr:visible th a").all_inner_texts()


def follow(page: Page, link: Locator) -> None:
    """Click, and wait until the next page is loaded with its script run."""
    with page.expect_navigation(wait_until="load"):
        link.click()


def first_column(page: Page, column: int) -> list[float]:
    cells_ = page.locator(f"table[data-sortable] tbody tr td:nth-child({column})").evaluate_all(
        "all => all.map(cell => cell.dataset.v)"
    )
    return [float(text) if text else float("nan") for text in cells_]


def test_sorting_by_click_and_by_keyboard(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    at_first = names(page)
    button = page.locator('button[data-sort="attitude_acc"]')
    button.click()
    head = page.locator("th", has=button)
    assert head.get_attribute("aria-sort") == "descending"
    assert "sort=attitude_acc" in page.url
    values = first_column(page, 4)
    assert values[:-1] == sorted(values[:-1], reverse=True)
    assert names(page)[-1] == "aaa-mine"  # unscored stands last, whichever way
    button.focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    rising = first_column(page, 4)
    assert rising[:-1] == sorted(values[:-1])
    assert names(page)[-1] == "aaa-mine"
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert names(page) == at_first
    page.locator('button[data-sort="system"]').click()
    assert names(page) == sorted(names(page))
    assert page.locator("th[aria-sort]").count() == 1


def test_filters_stand_in_the_address_and_survive_a_change_of_page(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("prom")
    assert names(page) == ["prompt", "prompt"]
    page.select_option("select[data-model]", "Other-1B")
    assert names(page) == ["prompt"]
    assert page.locator("[data-told]").inner_text().startswith("1 of 5 systems")
    page.locator('button[data-sort="voice_acc"]').click()
    follow(page, page.get_by_role("link", name="ada", exact=True))
    assert f"board-{slug('ada')}.html#" in page.url
    assert names(page) == ["prompt"]
    assert page.locator("th[aria-sort]").inner_text().startswith("voice")
    page.reload()
    assert names(page) == ["prompt"]
    page.locator("[data-search]").fill("nobody at all")
    assert page.locator("[data-nothing]").is_visible()
    page.locator("[data-clear]").click()
    assert len(names(page)) == 5
    assert "#" not in page.url
    follow(page, page.get_by_role("link", name="Resistance"))
    assert "resistance" in page.url


def test_a_persona_has_numbers_of_its_own(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.check("[data-more]")
    assert page.locator("tbody tr", has_text="persllm").locator(".x").last.inner_text() == "n 24"
    follow(page, page.get_by_role("link", name="bo", exact=True))
    assert page.locator("tbody tr", has_text="persllm").locator(".x").last.inner_text() == "n 12"
    assert "aaa-mine" not in names(page)


def test_two_systems_can_be_read_side_by_side(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    follow(page, page.get_by_role("link", name="persllm"))
    follow(page, page.locator("ul.talks a").first)
    assert "transcripts/" in page.url
    shown = page.locator("article.reply:visible")
    assert set(shown.locator("h3").all_inner_texts()[:2]) != {""}
    assert "persllm" in shown.first.inner_text() or "persllm" in shown.nth(1).inner_text()
    page.select_option("[data-side=b]", label="vanilla, SmolLM2-135M-Instruct")
    left, right = shown.nth(0).bounding_box(), shown.nth(1).bounding_box()
    assert left
    assert right
    assert left["y"] == right["y"]
    assert left["x"] != right["x"]
    assert {"I hold that vanilla (1)", "I hold that persllm (1)"} == set(
        page.locator("article.reply:visible .text").all_inner_texts()[:2]
    )
    follow(page, page.locator("[rel=next]"))
    assert "vanilla" in page.locator("article.right:visible h3").first.inner_text()
    page.select_option("[data-side=b]", "")
    assert page.locator("article.right:visible").count() == 0
    assert page.locator("article.left:visible").count() == 3


@pytest.mark.parametrize("page", [{"viewport": PHONE, "is_mobile": True, "has_touch": True}], indirect=True)
def test_on_a_phone_the_page_does_not_move_sideways_and_names_stay(page: Page, site: Path) -> None:
    for name in ("index.html", "resistance.html", "transcripts.html", "reading.html"):
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
    for folder in ("systems", "transcripts"):
        for path in sorted((site / folder).iterdir())[:2]:
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path.name
    page.goto((site / "index.html").as_uri())
    name_cell = page.locator("table[data-sortable] tbody th").first
    before = name_cell.bounding_box()
    page.locator(".scroll").first.evaluate("box => { box.scrollLeft = 400; }")
    after = name_cell.bounding_box()
    assert before
    assert after
    assert before["x"] == after["x"]


def test_the_head_of_a_long_table_stays_in_sight(page: Page, site: Path) -> None:
    page.set_viewport_size({"width": 1000, "height": 420})
    page.goto((site / "index.html").as_uri())
    box = page.locator(".scroll").first
    top = box.bounding_box()
    box.evaluate("box => { box.scrollTop = 200; }")
    head = page.locator("table[data-sortable] thead").bounding_box()
    assert box.evaluate("box => box.scrollTop") > 0
    assert top
    assert head
    assert abs(head["y"] - top["y"]) <= 2


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_the_dark_follows_the_system_and_the_button(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())

    def lightness() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))

    assert lightness() < 150
    page.locator("[data-theme-toggle]").click()
    assert lightness() > 600
    follow(page, page.locator("nav a", has_text="How to read"))
    assert lightness() > 600
    page.emulate_media(color_scheme="light")
    page.locator("[data-theme-toggle]").click()
    assert lightness() < 150


def test_without_scripts_everything_is_there_to_read(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(90_000)
    opened = context.new_page()
    opened.goto((site / "index.html").as_uri())
    assert len(names(opened)) == 5
    assert not opened.locator("[data-tools]").is_visible()
    opened.goto(next(iter(sorted((site / "transcripts").glob("pressure-*")))).as_uri())
    assert opened.locator("article.reply:visible").count() == 12 + 3 * ("ada" in opened.url)
    context.close()
