"""The dashboard's page against a made-up relay as large as one likes: can it be read, reached and used by everybody,
does it show what came from mail as text only, and does it stay light with a million messages?"""
import re

import pytest

from support.browser import DESK, PHONE, Browser, axe, why_no_browser
from support.fake_admin import FakeAdmin, FakeRelay, id_of
from support.source_tree import ROOT
from support.waiting import wait_until

HOSTILE = '<img src=x onerror="document.title=\'owned\'"><b>bold</b>\u202egnp.exe\x1b[31m {{7*7}}'
NAMED = {
    "slow.example.org": {"state": "resting", "hurt": 90.0, "ready": 0, "deferred": 4200, "velocity": -2.5, "connections": 0,
                         "last_reply": f"mx.slow.example.org [192.0.2.7] said: 451 4.7.1 {HOSTILE}",
                         "message": {"sender": f'"{HOSTILE}"@example.com', "recipient": f'"{HOSTILE}"@slow.example.org',
                                     "last_reply": f"451 4.7.1 {HOSTILE}"}},
}
FIRST = id_of(10**18)  # the first message, of the first destination
PAGES = {"overview": "#/", "destinations": "#/destinations", "destination": "#/destination/slow.example.org",
         "messages": "#/messages", "found": "#/messages?destination=slow.example.org", "message": f"#/message/{FIRST}"}
LOOKS = [(size, dark) for size in (DESK, PHONE) for dark in (False, True)]


@pytest.fixture(scope="module")
def browser():
    if reason := why_no_browser():
        pytest.skip(reason)
    browser = Browser()
    yield browser
    browser.end()


@pytest.fixture
def relay():
    return FakeRelay(destinations=40, messages=4000, named=NAMED)


@pytest.fixture
def url(relay):
    with FakeAdmin(relay) as url:
        yield url


def seen(browser, page):
    """Waits until the page has what it shows."""
    words = {"overview": "slow.example.org", "destinations": "of 40 destinations", "destination": "Deferred", "messages": "number 1 to 50",
             "found": "number 1 to 50", "message": "Accepted"}[page]
    browser.until("main", words)
    browser.until("#live", "live")


def test_all_files_come_from_here_and_nothing_breaks_the_policy(browser, url):
    browser.like()
    browser.open(url)
    for name, page in PAGES.items():
        browser.go(page)
        seen(browser, name)
    assert browser.complaints() == []
    assert {re.match(r"\w+:(//[^/]+/)?", asked)[0] for asked in browser.requested()} - {"about:", "data:"} == {url}


@pytest.mark.parametrize("size,dark", LOOKS, ids=["desk-light", "desk-dark", "phone-light", "phone-dark"])
def test_it_fits_the_screen_in_both_colours(browser, url, size, dark):
    browser.like(size, dark)
    browser.open(url)
    for name, page in PAGES.items():
        browser.go(page)
        seen(browser, name)
        wide = browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"
        assert browser.js("return [...document.querySelectorAll('.rows')].every((e) => e.scrollWidth <= e.clientWidth)"), name
        red, green, blue = map(int, re.findall(r"\d+", browser.js("return getComputedStyle(document.body).backgroundColor"))[:3])
        assert (red + green + blue < 200) == dark, name


def test_the_switch_overrides_the_systems_colours(browser, url):
    browser.like(DESK, dark=True)
    browser.open(url)
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = browser.js(ground)
    choose = "const s = document.getElementById('theme'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
    browser.js(choose, "light")
    light = browser.js(ground)
    assert light != dark
    browser.driver.refresh()
    seen(browser, "overview")
    assert browser.js(ground) == light
    browser.js(choose, "auto")
    assert browser.js(ground) == dark


@pytest.mark.parametrize("size,dark", [LOOKS[0], LOOKS[3]], ids=["desk-light", "phone-dark"])
def test_nothing_serious_stands_in_anybodys_way(browser, url, size, dark):
    """With axe-core: contrast, names, roles, order, labels."""
    script = axe()
    if script is None:
        pytest.skip("no axe-core: neither build/axe nor npm")
    browser.like(size, dark)
    browser.open(url)
    found = []
    for name, page in [*PAGES.items(), ("dialog", None)]:
        if page:
            browser.go(page)
            seen(browser, name)
        else:
            browser.press("Bounce", "main")
            browser.until("dialog", "is touched")
        browser.settle()
        # Through the debugger's protocol: the page's policy lets nobody else bring a script.
        browser.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": script})
        result = browser.driver.execute_async_script("axe.run().then(arguments[0])")
        found += [f"{name}: {violation['impact']}: {violation['help']}: {[node['target'] for node in violation['nodes']][:3]}"
                  for violation in result["violations"] if violation["impact"] in ("serious", "critical")]
        assert len(result["passes"]) > 10, name
    assert not found, "\n".join(found)


def test_every_control_has_a_name(browser, url):
    browser.like()
    browser.open(url)
    for name, page in PAGES.items():
        browser.go(page)
        seen(browser, name)
        tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        controls = [node for node in tree if not node.get("ignored") and node["role"]["value"] in (
            "button", "link", "textbox", "searchbox", "combobox", "dialog", "table", "navigation")]
        assert len(controls) > 8
        assert not [node for node in controls if not node.get("name", {}).get("value", "").strip()], name


def test_what_came_from_mail_is_text(browser, url):
    browser.like()
    browser.open(url)
    for name in ("overview", "destinations", "destination", "found", "message"):
        browser.go(PAGES[name])
        seen(browser, name)
        assert "<b>bold</b>" in browser.text("main"), name
        assert browser.js("return document.querySelectorAll('main img, main b b, main script').length") == 0
        assert "\u202e" not in browser.text("main") and "\x1b" not in browser.text("main"), "unseen characters are shown as such"
        assert "owned" not in browser.driver.title
    browser.press("Bounce", "main")
    browser.until("dialog", "<b>bold</b>")
    assert browser.complaints() == []


def test_with_the_keyboard_alone(browser, relay, url):
    """From the first page to a destination that rests, its reason, and its retry."""
    from selenium.webdriver.common.keys import Keys
    browser.like()
    browser.open(url)
    seen(browser, "overview")
    browser.keys(Keys.TAB)
    assert browser.focused() == "Skip to the content"
    browser.tab_to("slow.example.org")
    browser.keys(Keys.ENTER)
    browser.until("main", "Its hosts rest")
    browser.tab_to("Retry now")
    ring = browser.js("return getComputedStyle(document.activeElement).outlineStyle")
    assert ring != "none", "what has the focus is seen to have it"
    browser.keys(Keys.ENTER)
    browser.until("dialog", "recipients queued for it")
    assert browser.focused() == "Cancel"
    browser.keys(Keys.ESCAPE)
    assert browser.js("return document.querySelector('dialog')") is None
    assert relay.acts == []
    browser.tab_to("Retry now")
    browser.keys(Keys.ENTER)
    browser.until("dialog", "recipients queued for it")
    browser.tab_to("Retry now")
    browser.keys(Keys.ENTER)
    browser.until("#said", "Retry now:")
    assert relay.acts == [("retry", "slow.example.org")]


def test_an_act_says_first_what_it_touches(browser, relay, url):
    browser.like()
    browser.open(url)
    browser.go("#/messages?destination=slow.example.org")
    seen(browser, "found")
    browser.press("Discard", "main")
    browser.until("dialog", "100 messages are touched")
    browser.until("dialog", "nobody is told")
    browser.until("dialog", "and 95 more")
    assert relay.acts == []
    browser.press("Cancel", "dialog")
    browser.press("Hold", "main")
    browser.press("Hold: 100 messages", "dialog")
    browser.until("#said", "100 messages matched, 100 changed")
    assert relay.acts == [("hold", {"destination": "slow.example.org"})]


def test_nothing_offers_to_act_on_the_whole_queue(browser, url):
    browser.like()
    browser.open(url)
    browser.go("#/messages")
    seen(browser, "messages")
    assert "Bounce" not in browser.text("main")


def test_it_stays_light_with_a_hundred_thousand_destinations_and_a_million_messages(browser):
    """What is on the page is bounded, whatever is behind it."""
    relay = FakeRelay(destinations=100_000, messages=1_000_000, named=NAMED, sample_every=0.1)
    with FakeAdmin(relay) as url:
        browser.like()
        browser.open(url)
        browser.until("main", "All 100,000 destinations")
        browser.until("main", "1,000,000 messages")
        nodes = "return document.querySelectorAll('*').length"
        most = browser.js(nodes)
        browser.go("#/destinations")
        browser.until("main", "1 to 100 of 100,000 destinations")
        most = max(most, browser.js(nodes))
        for first in (101, 201, 301):
            browser.press("Later", "main")
            browser.until("main", f"{first} to {first + 99} of 100,000 destinations")
            most = max(most, browser.js(nodes))
        browser.fill("match", "99994")
        browser.press("Find", "main")
        browser.until("main", "1 to 1 of 1 destination")
        browser.press("box99994.example.org", "main")
        browser.until("main", "person99994@box99994.example.org")
        browser.go("#/messages")
        for first in (1, 51, 101, 151):
            browser.until("main", f"number {first} to {first + 49}")
            most = max(most, browser.js(nodes))
            browser.press("More", "main")
        # And it goes on drawing what comes, without gathering it.
        browser.go("#/")
        browser.until("main", "What hurts")
        before = browser.js(nodes)
        asked = relay.streams
        browser.js("window.frames_ = 0; const count = () => { ++window.frames_; requestAnimationFrame(count); }; count()")
        browser.until("#live", "live")
        wait_until(lambda: browser.js("return window.frames_") > 60, 60, "sixty frames drawn", every=0.05)
        assert abs(browser.js(nodes) - before) < 60
        assert relay.streams == asked, "one stream serves the page for as long as it is open"
        assert most < 4000
        assert browser.complaints() == []


def test_the_token_is_asked_for_and_kept_in_this_tab_only(browser):
    with FakeAdmin(FakeRelay(token="a-secret-of-some-length", named=NAMED)) as url:
        browser.like()
        browser.open(url)
        browser.until("main", "Who is asking?")
        browser.fill("token", "wrong")
        browser.press("Show the relay")
        browser.until("main", "That is not the token.")
        browser.fill("token", "a-secret-of-some-length")
        browser.press("Show the relay")
        browser.until("#live", "live")
        browser.until("main", "slow.example.org")
        assert "a-secret" not in browser.js("return location.href + document.cookie + JSON.stringify(localStorage)")
        assert not [asked for asked in browser.requested() if "a-secret" in asked]
        browser.press("Forget token")
        browser.until("main", "Who is asking?")
        assert browser.js("return sessionStorage.length") == 0


def test_no_file_of_the_page_reads_text_as_html_or_names_another_site():
    for path in (ROOT / "relay/admin/page").iterdir():
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|DOMParser", text), path
        assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w-]+\.\w", text), path
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", (ROOT / "relay/admin/page/index.html").read_text())
