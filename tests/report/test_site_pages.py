"""The site's files: complete, equal for equal records, and harmless whatever the records hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from site_world import PACK_HASH, cell, cells
from typer.testing import CliRunner

from persbench.cli import app
from persbench.errors import PersbenchError
from persbench.packs.load import fake_pack, load_pack
from persbench.records import CellRecord, save_record
from persbench.report.cells import Cell
from persbench.report.site.asked import asked_by, asked_in_dialogues
from persbench.report.site.build import build_site
from persbench.report.site.evaluations import evaluations
from persbench.report.site.reproduce import commands
from persbench.report.site.safe import LONGEST_TEXT, clean, name_of, quoted, slug

SCRIPT = "</script><script>alert(1)</script>"
HOSTILE = f'"><img src=x onerror=alert(1)>{SCRIPT}../../etc/passwd\u202egnp.exe\x00'


def build(made: list[Cell], out: Path, **settings: Any) -> dict[str, bytes]:
    build_site(made, out, figures=False, **settings)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(cells(prompt=0.1, persllm=0.9), tmp_path_factory.mktemp("plain") / "site")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    made = cell(HOSTILE, f"../{SCRIPT}", 0.5, says=HOSTILE, model=f"{HOSTILE}@1", recipe="; rm -rf / #")
    for rows in made.tasks.values():
        for row in rows:
            row.update(persona=f"../{SCRIPT}", stage=HOSTILE, id=f"../../{HOSTILE}{row['id']}", sorted_as=HOSTILE)
    made.tasks["persbench_reply"][0]["reply"] = "x" * 1_000_000
    made.tasks["persbench_reply"][1]["reply"] = "half a character: \ud800"
    made.tasks["persbench_pressure"][0]["faults"] = {"pressure": f"{SCRIPT} {HOSTILE}"}
    return build([made, *cells(prompt=0.1)], tmp_path_factory.mktemp("hostile") / "site")


class Links(HTMLParser):
    """What a page refers to, and what in it could run."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.loaded: list[str] = []
        self.runs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.hrefs += [given["href"] or ""] if tag == "a" and "href" in given else []
        self.loaded += [given[key] or "" for key in ("src",) if key in given]
        self.loaded += [given["href"] or ""] if tag == "link" else []
        self.runs += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        self.runs += [tag] if tag in {"style", "iframe", "object", "embed", "base"} else []


def links_of(pages: dict[str, bytes]) -> dict[str, Links]:
    found = {}
    for name, content in pages.items():
        if name.endswith(".html"):
            found[name] = Links()
            found[name].feed(content.decode("utf-8"))
    return found


@pytest.mark.parametrize("which", ["site", "hostile"])
def test_every_link_leads_to_a_file_and_nothing_is_loaded_from_elsewhere(
    which: str, request: pytest.FixtureRequest
) -> None:
    pages: dict[str, bytes] = request.getfixturevalue(which)
    for page, links in links_of(pages).items():
        assert links.loaded
        for target in links.hrefs + links.loaded:
            path, _, fragment = target.partition("#")
            whole = (Path("/") / Path(page).parent / path).resolve().relative_to("/").as_posix() if path else page
            assert whole in pages, f"{page} refers to {target}"
            if fragment and not fragment.startswith("a="):
                assert f'id="{fragment}"'.encode() in pages[whole]
        assert links.runs == []


@pytest.mark.parametrize("which", ["site", "hostile"])
def test_pages_forbid_scripts_of_their_own_and_what_comes_from_elsewhere(
    which: str, request: pytest.FixtureRequest
) -> None:
    for name, content in request.getfixturevalue(which).items():
        if name.endswith(".html"):
            policy = re.search(rb'http-equiv="Content-Security-Policy" content="([^"]+)"', content)
            assert policy
            assert b"default-src 'none'" in policy[1]
            assert b"unsafe" not in policy[1]


def test_hostile_names_and_replies_stay_text(hostile: dict[str, bytes]) -> None:
    for name, content in hostile.items():
        assert re.fullmatch(r"(systems/|transcripts/)?[a-z0-9-]+\.(html|css|js)", name), name
        assert b"<script>alert" not in content
        assert b"<img" not in content
        assert "\u202e".encode() not in content
        assert b"\x00" not in content
    talks = b"".join(content for name, content in hostile.items() if name.startswith("transcripts/"))
    assert b"&lt;script&gt;alert(1)" in talks
    assert b"half a character: \xef\xbf\xbd" in talks


def test_a_reply_without_an_end_is_cut_and_says_so(hostile: dict[str, bytes]) -> None:
    (page,) = [c for n, c in hostile.items() if n.startswith("transcripts/reply") and b"xxxx" in c]
    assert b"cut here: 1,000,000 characters in the record" in page
    assert len(page) < 50_000


def test_commands_are_quoted_for_the_shell() -> None:
    found = commands("mine'; rm -rf /", ["ada"], {"recipe": "$(reboot)", "model": "a b@1"}, ["persbench_reply"])
    assert found[0] == "persbench train --persona ada --recipe '$(reboot)' --base 'a b' --out adapters/--reboot-"
    assert found[1].startswith("""persbench run --systems 'mine'"'"'; rm -rf /=adapters/--reboot-' --personas ada""")


def test_commands_name_what_differs_from_the_defaults_alone() -> None:
    facts = {"pack": "grettow-1.0.0@aa", "model": "SmolLM2-135M-Instruct@7", "dtype": "bfloat16", "limit": 16}
    facts |= {"seed": "3,3,3,3", "batch": "16", "backend": "hf@1", "analysis": "none", "template": "plain"}
    run, table = commands("prompt", ["ada", "bo"], facts, ["persbench_reply"])
    assert table == "persbench report table runs/reproduced"
    assert run == (
        "persbench run --systems prompt --personas ada,bo --tasks persbench_reply --backend hf --dtype bfloat16 "
        "--limit 16 --seed 3 --analysis none --no-chat-template --out runs/reproduced"
    )


def test_the_same_records_give_the_same_bytes_in_any_order(site: dict[str, bytes], tmp_path: Path) -> None:
    assert build(cells(prompt=0.1, persllm=0.9)[::-1], tmp_path / "again") == site


def test_a_page_for_everything(site: dict[str, bytes]) -> None:
    names = set(site)
    assert {"index.html", "resistance.html", "transcripts.html", "reading.html", "site.css", "site.js"} <= names
    for persona in ("ada", "bo"):
        assert f"board-{slug(persona)}.html" in names
    assert sum(name.startswith("systems/") for name in names) == 2
    # two personas: four dialogues of two tasks each, and free replies of two stages
    assert sum(name.startswith("transcripts/") for name in names) == 2 * (4 + 4 + 2)


def test_a_page_of_conversations_is_linked_from_every_page(site: dict[str, bytes], tmp_path: Path) -> None:
    pages = build(cells(prompt=0.1, persllm=0.9), tmp_path / "site", conversations="<p>Sit down, Bo.</p>")
    assert set(pages) - set(site) == {"conversations.html"}
    assert pages["conversations.html"] == b"<p>Sit down, Bo.</p>"
    own = {name: found.hrefs for name, found in links_of(pages).items() if name != "conversations.html"}
    assert all("conversations.html" in {href.removeprefix("../") for href in hrefs} for hrefs in own.values())
    assert not any("conversations.html" in found.hrefs for found in links_of(site).values())


def test_the_index_holds_no_transcript(site: dict[str, bytes]) -> None:
    assert b"I hold that" not in site["index.html"]
    assert any(b"I hold that persllm (1)" in c for n, c in site.items() if n.startswith("transcripts/pressure"))


def test_a_transcript_shows_both_systems_turn_by_turn_and_what_probes_found(site: dict[str, bytes]) -> None:
    text = next(c for n, c in site.items() if n.startswith("transcripts/pressure-ada")).decode()
    (first, second, third) = text.split('<div class="user"')[1:]
    for turn, part in enumerate((first, second, third), 1):
        assert f"I hold that prompt ({turn})" in part
        assert f"I hold that persllm ({turn})" in part
    assert first.count("own stance") == 2
    assert "verdict" not in second
    assert "the stance pushed towards" in third
    assert third.count("own stance") == 1


def test_no_more_is_shown_than_is_asked_for(tmp_path: Path) -> None:
    pages = build(cells(prompt=0.1), tmp_path / "site", most=1)
    assert sum(name.startswith("transcripts/pressure") for name in pages) == 2
    assert "transcripts.html" not in build(cells(prompt=0.1), tmp_path / "none", most=0)


def test_prompts_come_from_dialogues_or_from_the_very_pack_of_the_records(tmp_path: Path) -> None:
    made = cells(prompt=0.1)
    texts = asked_in_dialogues(evaluations(made))
    assert texts[PACK_HASH, "", "q00"] == "And in other words?"
    pack = load_pack(fake_pack())
    asked = asked_by(pack)
    item = pack.personas[0].induction[0]
    assert asked[pack.hash, "persbench_induction_reply", f"induction_reply/{item.id}"] == item.induced
    assert all(key[0] == pack.hash for key in asked)
    pages = build(made, tmp_path / "site", asked={(PACK_HASH, "", "q00"): "The question itself"})
    assert any(b"The question itself" in c for n, c in pages.items() if n.startswith("transcripts/reply"))


def test_nan_is_refused_with_its_file_and_the_old_site_stays(tmp_path: Path) -> None:
    out = tmp_path / "site"
    before = build(cells(prompt=0.1), out)
    bad = cell("mine", "ada", 0.2)
    bad.tasks["persbench_attitude"][0]["metrics"]["attitude_acc"] = [json.loads("NaN"), True]
    with pytest.raises(PersbenchError, match=r"records/mine__ada\.json: items are not"):
        build([bad], out)
    assert {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("cluster"),
        lambda row: row.update(metrics=7),
        lambda row: row.update(transcripts={"pressure": [{"user": "no reply"}]}),
        lambda row: row.update(probes=7),
    ],
)
def test_items_of_another_form_are_an_error_that_names_the_file(spoil: Any, tmp_path: Path) -> None:
    bad = cell("mine", "ada", 0.2)
    spoil(bad.tasks["persbench_pressure"][0])
    with pytest.raises(PersbenchError, match=r"records/mine__ada\.json"):
        build([bad], tmp_path / "site")


def test_names_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    bad = replace(cell("mine", "ada", 0.2), system=7)  # type: ignore[arg-type]
    with pytest.raises(PersbenchError, match="must be text"):
        build([bad], tmp_path / "site")


def test_rules_alone_make_no_board(tmp_path: Path) -> None:
    with pytest.raises(PersbenchError, match="sanity systems alone"):
        build([cell("sanity:longest", "ada", 0.0)], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(PersbenchError, match="something else than a site"):
        build(cells(prompt=0.1), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    with pytest.raises(PersbenchError, match="not a folder"):
        build(cells(prompt=0.1), tmp_path / "mine.txt")


def test_a_world_of_its_own_is_named_for_training_too() -> None:
    facts = {"pack": "harbour-2.0@aa", "recipe": "persllm"}
    train, run, _ = commands("persllm", ["ada"], facts, ["persbench_reply"])
    assert train == "persbench train --persona ada --recipe persllm --pack harbour --out adapters/persllm"
    assert "--pack harbour" in run


def test_an_earlier_site_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "site"
    build(cells(prompt=0.1, rag=0.2), out)
    assert build(cells(prompt=0.1), out) == build(cells(prompt=0.1), tmp_path / "fresh")


def test_the_command_reads_records_and_says_where_the_site_is(tmp_path: Path) -> None:
    for made in cells(prompt=0.1):
        tasks = {task: {"version": "1.0", "hash": "ab" * 8, "samples": rows} for task, rows in made.tasks.items()}
        facts = {key: value for key, value in made.signature.items() if key != "tasks"}
        record = CellRecord(made.system, made.persona, "k", facts, tasks, provenance={}, run={"started": "2026"})
        save_record(tmp_path / "run" / "records" / f"prompt__{made.persona}.json", record)
    out = tmp_path / "site"
    asked = ["leaderboard", "build", str(tmp_path / "run"), "--out", str(out), "--no-figures", "--transcripts", "1"]
    done = CliRunner().invoke(app, [*asked, "--pack", str(fake_pack())])
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert "is not the pack of these records" in told
    assert "index.html in a browser" in told
    assert b">prompt<" in (out / "index.html").read_bytes()


def test_figures_stand_on_the_pages(tmp_path: Path) -> None:
    out = tmp_path / "site"
    build_site(cells(prompt=0.1, persllm=0.9), out, most=0)
    pages = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    shown = [target for links in links_of(pages).values() for target in links.loaded if target.endswith(".svg")]
    assert shown
    assert {target.removeprefix("../") for target in shown} <= set(pages)


def test_a_broken_record_of_a_rule_is_named_and_no_other(tmp_path: Path) -> None:
    rules = [
        replace(cell(f"sanity:{name}", "ada", 0.2), source=f"{name}.json") for name in ("longest", "random", "shortest")
    ]
    del next(iter(rules[1].tasks.values()))[0]["cluster"]
    with pytest.raises(PersbenchError, match=r"^random\.json: items are not as persbench writes them"):
        build(rules, tmp_path / "site")


def test_results_without_a_task_of_the_board_are_an_error(tmp_path: Path) -> None:
    made = replace(cell("mine", "ada", 0.2), tasks={})
    with pytest.raises(PersbenchError, match="no task that the board knows"):
        build([made], tmp_path / "site")


def test_texts_and_names_are_made_harmless() -> None:
    assert clean("a\u202eb\x00c\ud800d\r\ne\tf") == "a\ufffdb\ufffdc\ufffdd\ne\tf"
    assert (
        clean("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    assert quoted("short").cut == 0
    assert quoted("y" * (LONGEST_TEXT + 1)).cut == LONGEST_TEXT + 1
    assert name_of("a\nb  c") == "a b c"
    assert len(name_of("n" * 1000)) == 80
    assert name_of("") == "(no name)"


@pytest.mark.parametrize("name", ["../../x", "CON", ".", "", "a/b\\c", "\x00", "ß" * 300, "-rf", "\ud800"])
def test_slugs_are_file_names(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{7,41}", slug(name))
    assert slug(name) == slug(name)
    assert slug(name) != slug(name, "more")
    assert slug("A") != slug("a")
