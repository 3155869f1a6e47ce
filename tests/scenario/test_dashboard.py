"""The dashboard of a running relay: at three in the morning, does somebody find what is stuck, learn why, and act?"""
import http.client

import pytest

from support.browser import Browser, why_no_browser
from support.fake_admin import POLICY
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.waiting import wait_until

SLOW_RETRY = {"retry_first": "1h", "retry_max": "1h"}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    if reason := why_no_browser():
        pytest.skip(reason)
    browser = Browser()
    yield browser
    browser.end()


def page_of(relay):
    return f"http://127.0.0.1:{relay.admin_port}/"


def opened(browser, relay):
    browser.open(page_of(relay))
    browser.until("#live", "live")


def test_what_is_stuck_is_found_explained_and_retried(browser, start_relay, server):
    server.on("banner", "421 4.3.2 Too busy, come back later")
    relay = start_relay(send=[smart_host(server, host_backoff="1h")], queue=SLOW_RETRY)
    for n in range(3):
        relay.deliver_in(SENDER, [f"<r{n}@there.test>"], SIMPLE)
    name = next(iter(relay.queues()))
    wait_until(lambda: relay.queues()[name]["state"] == "resting", 20, "the host rests")
    opened(browser, relay)
    browser.until("h1", "One destination needs a look.")
    browser.until("main", "Too busy, come back later")
    browser.until(".columns li:first-child", "3")
    relay.restart()
    wait_until(lambda: relay.queues()[name]["state"] == "resting", 20, "the host rests again")
    browser.until("#live", "live")
    browser.until(".columns li:first-child", "3")
    browser.press(name, "main")
    browser.until(".replies", "Too busy, come back later")
    browser.until("main", "20 connections")
    server.forget("banner")
    browser.press("Retry now", "main")
    browser.until("dialog", "3 deferred")
    assert len(server.messages) == 0, "nothing is done before it is confirmed"
    browser.press("Retry now", "dialog")
    server.wait_messages(3)
    browser.until("#said", "Retry now:")
    relay.log.wait_for(event="admin_action", action="retry", destination=name)
    browser.until("main", "No message waits for it.")
    browser.go("#/")
    browser.until("h1", "All is well.")
    assert browser.complaints() == []


def test_a_message_is_searched_and_its_life_read_as_text(browser, start_relay, server):
    """Sender, recipient and reply do their worst."""
    server.on("rcpt", f"451 4.7.1 later {HOSTILE}", when=lambda a: "@there.test" in a)
    relay = start_relay(send=[smart_host(server)], queue=SLOW_RETRY)
    relay.deliver_in(SENDER, ["<other@there.test>"], SIMPLE)
    message_id = relay.deliver_in(f'<"{HOSTILE}"@here.test>', [f'<"{HOSTILE}"@there.test>'],
                                  f"Subject: {HOSTILE}\r\n\r\nhi\r\n".encode())
    relay.log.wait_for(event="deferred", count=2)
    opened(browser, relay)
    browser.go("#/messages")
    browser.fill("recipient", f'"{HOSTILE}"@there.test')
    browser.press("Find", "main")
    wait_until(lambda: message_id in browser.text("main") and "other@there.test" not in browser.text("main"), 20,
               lambda: browser.text("main"), every=0.05)
    browser.press(f'"{HOSTILE}"@here.test', "main table")
    browser.until(".life", "Accepted")
    browser.until(".life", f"later {HOSTILE}")
    browser.until("main", f'"{HOSTILE}"@here.test')
    assert browser.js("return document.querySelectorAll('main img').length") == 0
    browser.press("Hold", "main")
    browser.press("Hold it", "dialog")
    relay.log.wait_for(event="held", id=message_id)
    browser.until("main", "held by hand")
    assert browser.complaints() == []


def test_a_page_that_is_open_does_not_keep_the_relay_from_stopping_and_finds_it_again(browser, start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    opened(browser, relay)
    assert relay.stop() == 0
    browser.until("#live", "not heard")
    relay.start()
    browser.until("#live", "live")
    browser.until("h1", "All is well.")


def test_more_watchers_than_streams_are_served_too(browser, start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    watchers = []
    for _ in range(4):
        watcher = http.client.HTTPConnection("127.0.0.1", relay.admin_port, timeout=20)
        watcher.request("GET", "/api/v1/stream")
        watchers.append((watcher, watcher.getresponse()))
        assert watchers[-1][1].readline() == b"event: sample\n"
    assert relay.api("GET", "/api/v1/stream")[0] == 503
    browser.open(page_of(relay))
    browser.until("#live", "every 5 s")
    browser.until("main", "All is well.")
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    for watcher, response in watchers:
        response.close()
        watcher.close()
    wait_until(lambda: relay.api("GET", "/api/v1/stream?samples=2", timeout=20)[0] == 200, 30, "a stream free again", every=0.2)


def test_the_made_up_relay_has_the_policy_of_the_real_one(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    connection = http.client.HTTPConnection("127.0.0.1", relay.admin_port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().headers["Content-Security-Policy"] == POLICY
