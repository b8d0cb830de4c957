"""The page of a study in headless Chromium: whole sessions, reloads, kills, hostile input, and no request elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from rater_page import RaterPage, said, stored
from served_study import Served, heard, write_study

SCALES = ("likeness", "consistency", "naturalness", "engagement")


def test_two_raters_at_once_with_a_reload_in_the_middle(chromium: Any, own: Served) -> None:
    own.start()
    first, second = RaterPage(chromium, own.url), RaterPage(chromium, own.url)
    for rater in (first, second):
        rater.begin()
    names = [rater.pseudonym() for rater in (first, second)]
    assert len(set(names)) == 2

    # Both speak at once: one is answered, the other sees that they wait; a reload changes nothing.
    first.send("slow one of the first rater, at length")
    first.page.wait_for_selector(".pending")
    second.send("one of the second rater")
    second.page.wait_for_selector("text=answers somebody else first")
    first.page.reload()
    assert first.wait_for_reply(1) == heard("slow one of the first rater, at length")
    assert second.wait_for_reply(1) == heard("one of the second rater")
    for number in (2, 3):
        for rater, name in ((first, "first"), (second, "second")):
            rater.send(f"{number} of the {name} rater")
        for rater, name in ((first, "first"), (second, "second")):
            assert rater.wait_for_reply(number) == heard(f"{number} of the {name} rater")
    assert not first.page.locator("textarea").count()  # three messages are the most

    for rater, value in ((first, 2), (second, 5)):
        rater.rate(dict.fromkeys(SCALES[:3], value) | {"engagement": "none"})
        rater.at("chat")
        rater.talk("hello again", "and goodbye")
        rater.rate(dict.fromkeys(SCALES, value - 1))
        rater.at("prefer")
        assert rater.page.locator(".sides .said").count() == 10
        rater.page.check(f"input[name=choice][value={'a' if value == 2 else 'tie'}]")
        rater.page.click("text=Save and go on")
        rater.at("thanks")
        assert rater.page.inner_text(".code").replace("-", "").isalnum()
        rater.page.reload()
        rater.at("thanks")

    for name, word, value in ((names[0], "first", 2), (names[1], "second", 5)):
        opening = "slow one of the first rater, at length" if word == "first" else "one of the second rater"
        spoken = [opening, f"2 of the {word} rater", f"3 of the {word} rater"]
        asked = [(1, i + 1, text) for i, text in enumerate(spoken)] + [(2, 1, "hello again"), (2, 2, "and goodbye")]
        expected = [row for p, t, text in asked for row in ((p, t, "user", text), (p, t, "assistant", heard(text)))]
        assert said(own.folder, name) == expected
        query = (
            "SELECT t.position, a.scale, a.value FROM ratings a JOIN tasks t ON t.id = a.task "
            "JOIN raters r ON r.id = t.rater WHERE r.pseudonym = ?"
        )
        ratings = {(p, s): v for p, s, v in stored(own.folder, query, name)}
        assert ratings == {(1, s): value for s in SCALES[:3]} | {(1, "engagement"): None} | {
            (2, s): value - 1 for s in SCALES
        }
    systems = {
        name: [s for (s,) in stored(
            own.folder,
            "SELECT system FROM tasks JOIN raters r ON r.id = rater WHERE pseudonym = ? ORDER BY position", name,
        )]
        for name in names
    }  # fmt: skip
    assert systems[names[0]] == systems[names[1]][::-1]
    choices = stored(own.folder, "SELECT choice FROM preferences ORDER BY event")
    assert choices == [("a",), ("tie",)]
    for rater in (first, second):
        rater.close()


def test_a_killed_server_loses_nothing_that_was_sent(chromium: Any, own: Served) -> None:
    own.start()
    rater, other = RaterPage(chromium, own.url), RaterPage(chromium, own.url)
    for each in (rater, other):
        each.begin()
    names = rater.pseudonym(), other.pseudonym()
    rater.talk("before the fall")
    other.send("also before it")
    other.wait_for_reply(1)
    rater.send("slow one that is cut off in the middle")
    rater.page.wait_for_selector(".pending.speaking")
    own.kill()
    rater.page.wait_for_selector("text=trying again")
    other.page.fill("textarea", "into the void")
    other.page.click("button.send")
    other.page.wait_for_selector("text=still here")
    assert other.page.input_value("textarea") == "into the void"
    assert [row[3] for row in said(own.folder, names[0]) if row[2] == "user"] == [
        "before the fall",
        "slow one that is cut off in the middle",
    ]
    own.start()
    # The page that was open goes on by itself, with the reply that was never finished.
    assert rater.wait_for_reply(2) == heard("slow one that is cut off in the middle")
    other.page.click("button.send")
    assert other.wait_for_reply(2) == heard("into the void")
    for name, texts in (
        (names[0], ["before the fall", "slow one that is cut off in the middle"]),
        (names[1], ["also before it", "into the void"]),
    ):
        expected = [(1, i + 1, role, words) for i, text in enumerate(texts)
                    for role, words in (("user", text), ("assistant", heard(text)))]  # fmt: skip
        assert said(own.folder, name) == expected
    rater.close()
    other.close()


def test_a_draft_outlives_a_reload_and_a_closed_tab_is_gone_on_with(chromium: Any, served: Served) -> None:
    rater = RaterPage(chromium, served.url)
    rater.begin()
    rater.page.fill("textarea", "not sent yet")
    rater.page.reload()
    assert rater.page.input_value("textarea") == "not sent yet"
    code = rater.code()
    rater.page.close()
    rater.page = rater.context.new_page()
    rater.page.goto(served.url)
    rater.at("chat")
    rater.page.goto(served.url + "/code")
    rater.page.click("text=Let another person use this device")
    rater.at("welcome")
    rater.page.click("text=I have begun before")
    rater.page.fill("input[name=code]", f"  {code.upper()} ")
    rater.page.click("text=Go on")
    rater.at("chat")
    assert rater.code() == code
    rater.close()


def test_words_typed_before_the_script_is_there_are_kept(chromium: Any, served: Served) -> None:
    rater = RaterPage(chromium, served.url)
    rater.begin()
    held: list[Any] = []

    def hold(route: Any) -> None:  # no built-in method is taken as a handler
        held.append(route)

    rater.page.route("**/study.js", hold)
    with rater.page.expect_request("**/study.js"):
        rater.page.goto(served.url, wait_until="commit")
    rater.page.fill("textarea", "an early word")
    while not held:  # the request was seen: its handler is about to be called
        rater.page.wait_for_timeout(20)
    held[0].continue_()
    rater.page.wait_for_load_state()
    rater.page.unroute("**/study.js")
    rater.page.reload()
    assert rater.page.input_value("textarea") == "an early word"
    rater.close()


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script><img src=x onerror=alert(2)>",
        '"><svg onload=alert(3)>{{ 7*7 }}{% raw %}',
        "javascript:alert(4) \u202e\u0000\u001b[31m ' OR 1=1 --",
    ],
)
def test_hostile_words_stay_words(chromium: Any, served: Served, text: str) -> None:
    rater = RaterPage(chromium, served.url)
    rater.begin()
    rater.talk(text, "second")
    shown = rater.page.locator(".rater .said").first.inner_text()
    clean = text.replace("\u202e", "").replace("\u0000", "").replace("\u001b", "")
    assert shown == clean
    assert rater.page.locator(".partner .said").first.inner_text() == heard(clean)
    assert not rater.page.locator(".said *").count()
    rater.page.click("text=Rate this conversation")
    rater.at("rate")
    rater.page.click("text=Read the conversation again")
    assert rater.page.locator(".rater .said").first.inner_text() == clean
    rater.close()


def test_a_reply_that_fails_can_be_asked_for_again(chromium: Any, served: Served) -> None:
    rater = RaterPage(chromium, served.url)
    rater.begin()
    rater.send("fail")
    rater.page.wait_for_selector("text=could not answer")
    served.mended.touch()
    rater.page.click("text=Ask for the answer again")
    assert rater.wait_for_reply(1) == heard("fail")
    rater.close()


def test_double_clicks_and_the_back_button_store_once(chromium: Any, served: Served) -> None:
    rater = RaterPage(chromium, served.url)
    rater.page.goto(served.url)
    rater.page.check("input[name=agree]")
    before = stored(served.folder, "SELECT count(*) FROM raters")[0][0]
    rater.page.dblclick("text=Begin")
    rater.at("chat")
    assert stored(served.folder, "SELECT count(*) FROM raters")[0][0] == before + 1
    rater.page.fill("textarea", "once")
    rater.page.dblclick("button.send")
    rater.wait_for_reply(1)
    rater.code()
    rater.page.go_back()
    rater.at("chat")
    assert rater.wait_for_reply(1) == heard("once")
    assert [row[3] for row in said(served.folder, rater.pseudonym())] == ["once", heard("once")]
    rater.close()


def test_it_works_without_any_script(chromium: Any, served: Served) -> None:
    rater = RaterPage(chromium, served.url, java_script_enabled=False)
    rater.begin()
    for number, text in enumerate(("plain", "pages"), start=1):
        rater.send(text)
        assert rater.wait_for_reply(number) == heard(text)  # the page asks again by itself
    rater.page.click("text=Rate this conversation")
    rater.at("rate")
    for scale in SCALES:
        rater.page.check(f"input[name=scale-{scale}][value='3']")
    rater.page.click("text=Save and go on")
    rater.at("chat")
    rater.close()


def test_too_long_and_too_fast_keep_what_was_typed(chromium: Any, own: Served) -> None:
    own.study.unlink()
    write_study(own.study.parent, limits={"messages_per_minute": 1, "message_characters": 40})
    own.start()
    rater = RaterPage(chromium, own.url)
    rater.begin()
    rater.talk("first")
    rater.send("second")
    rater.page.wait_for_selector("text=Please wait")
    assert rater.page.input_value("textarea") == "second"
    rater.page.locator("textarea").evaluate("it => it.removeAttribute('maxlength')")
    rater.send("x" * 41)
    rater.page.wait_for_selector("#notice:not([hidden])")
    assert rater.page.input_value("textarea") == "x" * 41
    assert len(said(own.folder, rater.pseudonym())) == 2
    rater.close()


def test_who_withdraws_is_erased_and_stays_so(chromium: Any, served: Served) -> None:
    rater = RaterPage(chromium, served.url)
    rater.begin()
    rater.talk("something private")
    name = rater.pseudonym()
    rater.code()
    rater.page.click("text=Withdraw from the study")
    rater.page.check("input[name=sure]")
    rater.page.click("button.alarm")
    rater.page.wait_for_selector("text=You have withdrawn")
    assert said(served.folder, name) == []
    rater.page.goto(served.url)
    rater.page.wait_for_selector("text=You have withdrawn")
    rater.close()
