"""What an operator does by the command line or the API happens, to exactly what was named (AD9)."""
import json
import threading

import pytest

from support.compare import compare
from support.load import Load, id_of
from support.mail import RECIPIENT, SENDER, SIMPLE, report_of
from support.relay import smart_host
from support.scripted_server import Say
from support.waiting import pause, stays, wait_until

pytestmark = pytest.mark.sanitized
SLOW_RETRY = {"retry_first": "1h", "retry_max": "1h"}


def deferred_relay(start_relay, server, count=1, **settings):
    """A relay with so many deferred messages, and their ids; the destination is good again."""
    server.on("rcpt", "451 4.7.1 later", when=lambda a: "@here.test" not in a)
    relay = start_relay(send=[smart_host(server)], queue=SLOW_RETRY, **settings)
    ids = [relay.deliver_in(SENDER, [f"<r{n}@there.test>"], SIMPLE) for n in range(count)]
    relay.log.wait_for(event="deferred", count=count)
    wait_until(lambda: relay.metric("sluice_queue_recipients", state="deferred") == count)
    server.forget("rcpt")
    return relay, ids


def destination(relay):
    return next(iter(relay.queues()))


def touched(result):
    return json.loads(result.stdout)


def test_retry_sends_at_once(start_relay, server):
    relay, ids = deferred_relay(start_relay, server, 3)
    assert touched(relay.cli("retry", ids[0], "--json")) == {"matched": 1, "changed": 1}
    server.wait_messages(1)
    assert stays(lambda: len(server.messages) == 1, 0.3)
    assert touched(relay.cli("retry", "--recipient", "r2@there.test", "--json"))["changed"] == 1
    server.wait_messages(2)
    assert relay.api("POST", "/api/v1/messages/retry", {"ids": [ids[1]]})[1]["changed"] == 1
    server.wait_messages(3)
    relay.drain()


def test_hold_and_release(start_relay, server):
    relay, ids = deferred_relay(start_relay, server, 2)
    assert touched(relay.cli("hold", ids[0], "--json"))["changed"] == 1
    assert relay.message(ids[0])["state"] == "held"
    assert relay.metric("sluice_queue_recipients", state="held") == 1
    relay.log.wait_for(event="held", id=ids[0])
    relay.cli("retry", ids[1])
    server.wait_messages(1)
    relay.cli("retry", ids[0])
    assert stays(lambda: len(server.messages) == 1, 0.5)
    relay.restart()
    assert relay.message(ids[0])["state"] == "held"
    assert touched(relay.cli("release", ids[0], "--json"))["changed"] == 1
    server.wait_messages(2)
    relay.drain()


def test_bounce_tells_the_sender(start_relay, server):
    relay, ids = deferred_relay(start_relay, server)
    assert touched(relay.cli("bounce", ids[0], "--json"))["changed"] == 1
    notice = server.wait_messages(1)[0]
    assert report_of(notice.content).recipient("r0@there.test")["action"] == "failed"
    relay.log.wait_for(event="bounced", id=ids[0])
    relay.drain()


def test_discard_tells_nobody(start_relay, server):
    relay, ids = deferred_relay(start_relay, server, 2)
    assert touched(relay.cli("discard", ids[0], "--json"))["changed"] == 1
    relay.log.wait_for(event="discarded", id=ids[0])
    wait_until(lambda: relay.queued() == 1)
    assert relay.message(ids[0]) is None and relay.message(ids[1]) is not None
    assert not server.messages
    assert relay.metric("sluice_deliveries_total", result="discarded") == 1
    relay.restart()
    assert relay.queued() == 1


def test_suspend_and_resume(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    name = destination(relay) if relay.queues() else f"{server.address}:{server.port}"
    relay.cli("suspend", name)
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert stays(lambda: len(server.messages) == 1, 0.7)
    assert relay.queues()[name]["state"] == "suspended"
    relay.restart()
    assert relay.queues()[name]["state"] == "suspended"
    assert stays(lambda: len(server.messages) == 1, 0.7)
    relay.cli("resume", name)
    server.wait_messages(2)


def test_acting_on_what_is_not_there(start_relay, server):
    relay, ids = deferred_relay(start_relay, server)
    assert touched(relay.cli("hold", "--sender", "stranger@here.test", "--json")) \
        == {"matched": 0, "changed": 0}
    assert relay.cli("message", "show", "nothing-like-this", check=False).returncode != 0
    assert relay.cli("suspend", "no.such.destination", check=False).returncode != 0
    status, body = relay.api("GET", "/api/v1/messages/nothing-like-this")
    assert status in (400, 404) and body["error"]
    assert relay.message(ids[0])["state"] == "deferred"


def test_filters_choose_by_each_of_their_words(start_relay, server):
    server.on("rcpt", "451 4.7.1 later")
    relay = start_relay(send=[smart_host(server)], queue=SLOW_RETRY)
    for sender in ("<a@here.test>", "<b@here.test>", "<>"):
        for domain in ("one.test", "two.test"):
            relay.deliver_in(sender, [f"<r@{domain}>"], SIMPLE)
    relay.log.wait_for(event="deferred", count=6)
    assert len(relay.messages()) == 6
    assert len(relay.messages(sender="a@here.test")) == 2
    assert len(relay.messages(recipient="r@one.test")) == 3
    assert len(relay.messages(state="deferred")) == 6
    assert len(relay.messages(state="held")) == 0
    assert len(relay.messages(older_than="1h")) == 0
    assert len(relay.messages(limit=2)) == 6  # over pages
    listed = json.loads(relay.cli("message", "list", "--sender", "b@here.test", "--json").stdout)
    assert len(listed["items"]) == 2
    assert touched(relay.cli("discard", "--recipient", "r@two.test", "--json"))["changed"] == 3
    wait_until(lambda: relay.queued() == 3)


def test_a_message_can_be_looked_at(start_relay, server):
    relay, ids = deferred_relay(start_relay, server)
    shown = json.loads(relay.cli("message", "show", ids[0], "--json").stdout)
    assert shown["sender"] == "sender@here.test" and shown["attempts"] == 1
    assert shown["recipients"][0]["recipient"] == "r0@there.test"
    content = relay.cli("message", "content", ids[0]).stdout
    assert "Subject: simple" in content and "Received:" in content
    table = relay.cli("queue").stdout
    assert "deferred" in table.lower()
    queue = json.loads(relay.cli("queue", "--json").stdout)["items"][0]
    for key in ("destination", "connector", "state", "ready", "active", "deferred", "held", "oldest",
                "connections", "last_reply", "next_attempt"):
        assert key in queue, queue
    assert queue["deferred"] == 1 and "later" in queue["last_reply"]


def test_status_tells_by_its_exit_code(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    assert relay.cli("status").returncode == 0
    relay.stop()
    assert relay.cli("status", check=False).returncode != 0


def test_retry_pressed_a_hundred_times_delivers_once(start_relay, server):
    """AD9: an attempt under way is not started again."""
    relay, ids = deferred_relay(start_relay, server)
    server.on("eod", Say("250 2.0.0 at last", after=1.0))
    for _ in range(100):
        assert relay.api("POST", "/api/v1/messages/retry", {"ids": ids})[0] == 200
    server.wait_messages(1)
    relay.drain()
    assert len(server.messages) == 1


@pytest.mark.alone
def test_acting_during_load_loses_and_doubles_nothing(start_relay, server):
    """AD9: retry, hold, release and discard while mail flows; one end for each message."""
    server.on("rcpt", lambda s, a: "451 4.7.1 later" if len(server.messages) % 5 == 0 else "250 2.1.5 ok")
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "200ms", "retry_max": "400ms"})
    done = threading.Event()

    def act():
        while not done.is_set():
            for action in ("hold", "release", "retry"):
                relay.api("POST", f"/api/v1/messages/{action}", {"sender": "load@here.test"})
                pause(0.05)
    actor = threading.Thread(target=act)
    actor.start()
    load = Load(relay.port, clients=4, limit=600).start().join()
    done.set()
    actor.join()
    server.forget("rcpt")
    relay.api("POST", "/api/v1/messages/release", {"sender": "load@here.test"})
    relay.drain()
    compare(load.acknowledged, [id_of(m.content) for m in server.delivered]).assert_clean()
    assert all(len(events) == 1 for events in relay.log.ends().values())
    assert len(relay.log.ends()) == len(load.acknowledged)
