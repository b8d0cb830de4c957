"""Sorting a long table in a headless browser: what is in sight comes at once and stays, and the rest follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from site_world import cells, watched

from persbench.report.site.build import build_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with watched(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with 101 rows: the n-th (from 0) has the attitude n * 37 % 101."""
    site = tmp_path_factory.mktemp("sorting") / "site"
    build_site(cells(vanilla=0.0, prompt=0.1), site, figures=False)
    before, _, rest = (site / "index.html").read_text("utf-8").partition("<tbody>")
    rows, _, after = rest.partition("</tbody>")
    row = rows[: rows.index("</tr>") + len("</tr>")]
    made = [re.sub(r'data-v="[^"]*"', f'data-v="{place * 37 % 101}"', row) for place in range(101)]
    (site / "many.html").write_text(f"{before}<tbody>{''.join(made)}</tbody>{after}", "utf-8")
    return (site / "many.html").as_uri()


VALUES = "() => [...document.querySelectorAll('[data-sortable] tbody tr')].map(row => Number(row.cells[3].dataset.v))"
IN_SIGHT = """() => {
  const box = row => row.getBoundingClientRect();
  const [frame, head] = [".scroll", "[data-sortable] thead"].map(name => box(document.querySelector(name)));
  return [...document.querySelectorAll("[data-sortable] tbody tr")]
    .filter(row => box(row).height && box(row).bottom > head.bottom + 1 && box(row).top < frame.bottom - 1)
    .map(row => [row.cells.length ? Number(row.cells[3].dataset.v) : -1, box(row).top]);
}"""
SORT = "name => document.querySelector(`[data-sort=${name}]`).click()"


def whole(page: Page) -> None:
    page.wait_for_selector("[data-sortable] tbody:not([aria-busy])")


def test_of_many_rows_those_in_sight_move_first_and_all_of_them_in_the_end(page: Page, many: str) -> None:
    page.goto(many)
    at_once = page.evaluate(f"() => {{ ({SORT})('attitude_acc'); return ({IN_SIGHT})() }}")
    assert len(at_once) > 5
    assert [value for value, _ in at_once] == [*range(100, 100 - len(at_once), -1)]
    whole(page)
    assert page.evaluate(IN_SIGHT) == at_once
    assert page.evaluate(VALUES) == [*range(100, -1, -1)]
    assert page.locator("[data-sortable] tbody tr.later").count() == 0
    # a second wish before the first is carried out: the last one counts, and no row is lost
    page.evaluate(f"() => {{ for (const name of ['system', 'attitude_acc', 'attitude_acc']) ({SORT})(name) }}")
    whole(page)
    assert page.evaluate(VALUES) == [*range(101)]


@pytest.mark.parametrize("top", [1500, 100_000])
def test_sorted_in_the_middle_the_rows_in_sight_stay_where_they_came(page: Page, many: str, top: int) -> None:
    page.goto(many)
    page.locator(".scroll").first.evaluate("(box, top) => { box.scrollTop = top; }", top)
    page.wait_for_timeout(100)  # until the rows that came into sight are laid out
    at_once = page.evaluate(f"() => {{ ({SORT})('attitude_acc'); return ({IN_SIGHT})() }}")
    values = [value for value, _ in at_once]
    assert len(values) > 5
    assert values == [*range(values[0], values[0] - len(values), -1)]
    assert values[0] < 90
    whole(page)
    page.wait_for_timeout(100)
    after = page.evaluate(IN_SIGHT)
    assert page.evaluate(VALUES) == [*range(100, -1, -1)]
    assert [value for value, _ in after][:6] == values[:6]
    assert abs(after[0][1] - at_once[0][1]) <= 2


def test_what_is_printed_while_rows_are_on_their_way_is_whole(page: Page, many: str) -> None:
    page.goto(many)
    page.locator(".scroll").first.evaluate("box => { box.scrollTop = 1500; }")
    printed = f"() => {{ ({SORT})('attitude_acc'); dispatchEvent(new Event('beforeprint')); return ({VALUES})() }}"
    assert page.evaluate(printed) == [*range(100, -1, -1)]
    assert page.locator("[data-sortable] tbody tr:visible").count() == 101
    assert page.locator("[data-told]").inner_text().endswith("by attitude, falling")
