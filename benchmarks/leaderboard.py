"""The leaderboard's site with many systems: how long the index takes to load, and to sort, in headless Chromium.

Two hundred invented systems on two personas are built into a site, which is opened from the disk. Loading is the time
from the start of navigation to the end of the load event. Sorting is the time from a click of the mouse on a column's
head until the frame with the rows in sight in their new order is on the screen, as the browser's Event Timing tells it
(in steps of 8 ms), with the table at its beginning and scrolled to its end; of it are printed, too, the script's own
part and the time until the page's thread has made that frame, and apart from it the time until the rows out of sight
have followed. A page is left alone for a second before its first click. All are medians and worst of several rounds.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright

from persbench.report.cells import Cell
from persbench.report.site.build import build_site

TASKS = {
    "persbench_costume": {"content_acc": 0.5, "voice_acc": 0.5},
    "persbench_attitude": {"attitude_acc": 0.25},
    "persbench_knowledge": {"knowledge_acc": 0.25},
    "persbench_stages": {"stage_item_acc": 0.5},
    "persbench_who_said": {"persona_acc": 0.17},
}
MARGINS = {
    "content_acc": "content_margin",
    "voice_acc": "voice_margin",
    "attitude_acc": "attitude_margin",
    "knowledge_acc": "knowledge_margin",
    "stage_item_acc": "stage_item_margin",
    "persona_acc": "who_margin",
}
LIMITS = {"load": 2000.0, "sort": 100.0, "sort at the end": 100.0}  # milliseconds
PARTS = ("sort", "script", "frame", "every row")
# The task that an animation frame's callback posts runs when the frame has been handed over.
WATCH = """
  addEventListener("click", event => {
    const body = document.querySelector("table[data-sortable]").tBodies[0];
    const took = window.took = {};
    const since = () => performance.now() - event.timeStamp;
    const whole = () => body.hasAttribute("aria-busy") ? setTimeout(whole, 1) : took["every row"] = since();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => { took.frame = since(); whole(); };
      channel.port2.postMessage(0);
    });
  }, true);
  new PerformanceObserver(list => {
    for (const event of list.getEntries().filter(({ name }) => name === "click")) {
      took.sort = event.duration;
      took.script = event.processingEnd - event.processingStart;
    }
  }).observe({ type: "event", durationThreshold: 16 });
"""
TOOK = """async parts => {
  while (!parts.every(part => part in took)) await new Promise(done => setTimeout(done, 50));
  return took;
}"""
TO_THE_END = "document.querySelector('.scroll').scrollTop = 1e6"


def system(number: int, persona: str, items: int) -> Cell:
    dice = random.Random(f"{number}/{persona}")  # noqa: S311 - invented numbers
    skill = number / 300
    tasks: dict[str, list[dict[str, Any]]] = {}
    for task, chances in TASKS.items():
        rows = []
        for place in range(items):
            metrics: dict[str, list[Any]] = {}
            for metric, chance in chances.items():
                metrics[metric] = [float(dice.random() < chance + (1 - chance) * skill), True]
                metrics[MARGINS[metric]] = [dice.gauss(skill / 20, 0.02), True]
            named = {"id": f"{task}/{persona}/{place}", "persona": persona, "stage": "early", "cluster": f"q{place}"}
            rows.append(named | {"kind": "k", "pack_hash": "00", "metrics": metrics, "chance": chances})
        tasks[task] = rows
    facts = {"pack": "invented@00", "model": f"model-{number % 5}@00", "system": f"system-{number:03}@00"}
    return Cell(f"system-{number:03}", persona, facts, tasks)


def timed(index: Path, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _, where in itertools.product(range(rounds), ("", " at the end")):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(WATCH)
            page.goto(index.as_uri(), wait_until="load")
            page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
            loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            found.setdefault("load", []).append(loaded)
            page.wait_for_timeout(1000)
            for button in page.locator("button[data-sort]").all():
                if where:
                    page.evaluate(TO_THE_END)
                    page.wait_for_timeout(300)
                button.click()
                took = page.evaluate(TOOK, PARTS)
                for part in PARTS:
                    found.setdefault(f"{part}{where}", []).append(took[part])
            page.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=200)
    parser.add_argument("--items", type=int, default=16, help="of each task and persona")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    made = [system(number, persona, given.items) for number in range(given.systems) for persona in ("ada", "bo")]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "site"
        start = time.perf_counter()
        files = build_site(made, out, figures=False, jobs=2)
        print(f"{given.systems} systems: {files} files in {time.perf_counter() - start:.0f} s")
        print(f"index.html: {(out / 'index.html').stat().st_size / 1000:.0f} kB")
        for what, times in timed(out / "index.html", given.rounds).items():
            limit = LIMITS.get(what)
            kept = "" if limit is None else f"; {'within' if max(times) < limit else 'OVER'} {limit:.0f} ms"
            print(f"{what}: median {median(times):.0f} ms, worst {max(times):.0f} ms{kept}")


if __name__ == "__main__":
    main()
