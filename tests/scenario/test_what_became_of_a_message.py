"""At three in the morning: where is this message, and why does that one wait? It is told, also of what has long left."""
import json
import time
import urllib.parse

import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.process_view import rss_bytes
from support.relay import smart_host
from support.sluice_tools import Sink, load
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
MIB = 1 << 20


def content(message_id, folded=False):
    field = b"Message-ID:" + (b"\r\n " if folded else b" ") + message_id
    return b"From: <a@here.test>\r\n" + field + b"\r\nSubject: x\r\n\r\nbody\r\n"


def tracked(relay, **query):
    """All pages of a search."""
    items, cursor = [], None
    while True:
        status, page = relay.api("GET", "/api/v1/tracking?" + urllib.parse.urlencode(
            query | ({"cursor": cursor} if cursor else {})))
        assert status == 200, page
        items += page["items"]
        cursor = page["next"]
        if not cursor:
            return items


def life(relay, message_id):
    status, body = relay.api("GET", f"/api/v1/tracking/{message_id}")
    assert status == 200, body
    return body


def events(relay, message_id):
    return [event["event"] for event in life(relay, message_id)["events"]]


def test_a_message_that_has_left_is_found_by_all_its_names_and_tells_its_life(start_relay, server):
    server.on("rcpt", "451 4.7.1 greylisted", times=1, when=lambda a: RECIPIENT in a)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "300ms"})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], content(b"<4711.x@app.here.test>"))
    other = relay.deliver_in("<else@here.test>", ["<else@elsewhere.test>"], SIMPLE)
    server.wait_messages(2)
    relay.drain()
    sender, recipient = SENDER.strip("<>"), RECIPIENT.strip("<>")
    for name in (sender, recipient.upper(), "<4711.x@app.here.test>", "4711.x@APP.here.test", message_id):
        assert [item["id"] for item in tracked(relay, any=name)] == [message_id], name
    assert [item["id"] for item in tracked(relay)] == [other, message_id]
    assert tracked(relay, sender=sender, recipient="else@elsewhere.test") == []
    assert tracked(relay, any=sender, until="1h") == []
    shown = life(relay, message_id)
    assert [event["event"] for event in shown["events"]] == ["accepted", "deferred", "delivered"]
    deferred, delivered = shown["events"][1:]
    assert deferred["code"] == 451 and deferred["status"] == "4.7.1" and "greylisted" in deferred["reply"]
    assert deferred["next_attempt"] and deferred["attempts"] == 1 and str(server.port) in deferred["address"]
    assert delivered["attempts"] == 2 and delivered["duration_s"] >= 0 and delivered["recipients"] == [recipient]
    assert shown["message_id"] == "<4711.x@app.here.test>" and shown["state"] == "delivered" and shown["queue"] is None
    assert shown["recipients"][0]["state"] == "delivered" and shown["ended"]
    text = relay.cli("track", "4711.x@app.here.test").stdout
    assert "greylisted" in text and "delivered" in text and message_id in text
    assert json.loads(relay.cli("track", message_id, "--json").stdout) == shown
    assert relay.cli("track", "nobody@nowhere.test", check=False).returncode == 1


def test_a_folded_message_id_is_known(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], content(b"<folded@app.here.test>", folded=True))
    assert [item["id"] for item in tracked(relay, message_id="folded@app.here.test")] == [message_id]


def test_a_kill_loses_nothing_of_what_was_told(start_relay, server):
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "gone@" in a)
    relay = start_relay(send=[smart_host(server)])
    ids = [relay.deliver_in(SENDER, [f"<r{n}@there.test>"], SIMPLE) for n in range(20)]
    gone = relay.deliver_in(SENDER, ["<gone@there.test>"], SIMPLE)
    server.wait_messages(21)  # with the notice
    relay.drain()
    relay.restart(kill=True)
    for message_id in ids:
        assert events(relay, message_id) == ["accepted", "delivered"]
    assert events(relay, gone) == ["accepted", "bounced", "notice"]
    assert life(relay, gone)["state"] == "bounced"
    assert tracked(relay, sender="<>", recipient=SENDER)[0]["state"] == "delivered", "the notice's own life"


def test_what_waits_says_why_and_what_to_do(start_relay, server):
    server.on("rcpt", "451 4.7.1 mailbox busy", when=lambda a: "busy@" in a)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "1h"})
    busy = relay.deliver_in(SENDER, ["<busy@there.test>"], SIMPLE)
    relay.log.wait_for(event="deferred", id=busy)

    def why(message_id):
        return relay.message(message_id)["recipients"][0]["why"]

    wait_until(lambda: why(busy) is not None, 5, "a reason")
    assert why(busy)["cause"] == "retry" and "mailbox busy" in why(busy)["text"] and why(busy)["until"]
    assert why(busy)["command"] == f"sluice retry {busy}"
    name = next(iter(relay.queues()))
    assert relay.queues()[name]["why"]["cause"] == "retry"
    assert "mailbox busy" in relay.cli("explain", busy).stdout
    relay.cli("hold", busy)
    wait_until(lambda: why(busy)["cause"] == "held", 5, "held")
    assert why(busy)["command"] == f"sluice release {busy}"
    relay.cli("suspend", name)
    stopped = relay.queues()[name]["why"]
    assert stopped["cause"] == "suspended" and stopped["command"] == f"sluice resume {name}" and stopped["since"]
    assert f"sluice resume {name}" in relay.cli("explain", name).stdout
    relay.cli(*stopped["command"].split()[1:])
    server.forget("rcpt")
    relay.cli(*why(busy)["command"].split()[1:])
    relay.drain()
    assert relay.message(busy) is None and "not in the queue any more: delivered" in relay.cli("explain", busy).stdout
    assert events(relay, busy) == ["accepted", "deferred", "held", "released", "delivered"]


def test_a_dead_host_and_a_rate_are_named_as_what_holds_the_mail(start_relay, server):
    dead = smart_host(server, host_backoff="20s", connect_timeout="1s") | {"smart_hosts": ["127.0.9.9:9"]}
    relay = start_relay(send=[dead])
    ids = [relay.deliver_in(SENDER, [f"<r{n}@there.test>"], SIMPLE) for n in range(3)]
    relay.log.wait_for(event="destination_unreachable")
    why = next(iter(relay.queues().values()))["why"]
    assert why["cause"] == "hosts_rest" and "127.0.9.9" in why["text"] and why["since"] and why["until"]
    assert "sluice retry --destination" in why["command"]
    causes = {relay.message(one)["recipients"][0]["why"]["cause"] for one in ids}
    assert causes <= {"hosts_rest", "retry"} and "hosts_rest" in causes
    relay.config["send"] = [smart_host(server, rate="6/m")]
    relay.restart()
    more = [relay.deliver_in(SENDER, [f"<m{n}@there.test>"], SIMPLE) for n in range(3)]
    def held_by_rate():
        shown = relay.message(more[-1])
        return shown and (shown["recipients"][0]["why"] or {}).get("cause") == "rate"

    wait_until(held_by_rate, 10, "held by the rate")
    shown = relay.message(more[-1])["recipients"][0]["why"]
    assert "6/m" in shown["text"] and shown["until"]


def test_tracking_that_is_off_is_not_kept_and_says_so(start_relay, server):
    relay = start_relay(send=[smart_host(server)], extra={"tracking": {"enabled": False}})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    status, body = relay.api("GET", f"/api/v1/tracking/{message_id}")
    assert status == 400 and "tracking" in body["error"]
    assert "tracking" in relay.cli("track", message_id, check=False).stderr
    relay.drain()


def on_disk(relay):
    """Bytes of table files and logs of the database."""
    return sum(f.stat().st_size for f in (relay.data / "queue").iterdir() if f.suffix in (".sst", ".blob", ".log"))


def keeps_its_bounds(start_relay, tmp_path, messages, max_size, keep="7d"):
    with Sink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], queue={"database_memory": "16MiB"},
                            extra={"tracking": {"max_size": f"{max_size}", "keep": keep}})
        before = rss_bytes(relay.pid)
        begin = time.monotonic()
        load(relay, messages, connections=16)
        relay.drain(600)
        took = time.monotonic() - begin
        wait_until(lambda: sink.counts()["distinct"] == messages, 10, "the sink's last count")
        newest = tracked_page(relay)
        assert len(newest) == 100 and {item["state"] for item in newest} == {"delivered"}
        begin = time.monotonic()
        assert tracked_page(relay, any="nobody@nowhere.test") == []
        searched = time.monotonic() - begin
        grown = rss_bytes(relay.pid) - before
        kept = relay.metric("sluice_tracking_bytes")
        print(f"{messages} messages in {took:.1f} s; kept {kept / MIB:.1f} MiB, database {on_disk(relay) / MIB:.0f} MiB, "
              f"RSS grew by {grown / MIB:.0f} MiB, an empty search took {searched:.2f} s")
        assert grown < 200 * MIB
        return relay, kept


def tracked_page(relay, **query):
    status, page = relay.api("GET", "/api/v1/tracking?" + urllib.parse.urlencode(query))
    assert status == 200, page
    return page["items"]


@pytest.mark.alone
def test_many_messages_are_kept_within_a_size(start_relay, tmp_path):
    keeps_its_bounds(start_relay, tmp_path, 3000, "16MiB")


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_messages_are_kept_within_a_size(start_relay, tmp_path):
    relay, _ = keeps_its_bounds(start_relay, tmp_path, 100_000, "4MiB")
    wait_until(lambda: relay.metric("sluice_tracking_bytes") <= 4 * MIB, 30, "the size to be kept")
    relay.restart(timeout=60)
    wait_until(lambda: 0 < relay.metric("sluice_tracking_bytes") <= 4 * MIB, 30, "the size after a restart")
    assert on_disk(relay) < 32 * MIB
    assert len(tracked_page(relay, limit=1000)) == 1000, "the newest are kept"


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_messages_leave_when_their_time_is_over(start_relay, tmp_path):
    relay, kept = keeps_its_bounds(start_relay, tmp_path, 100_000, "2GiB", keep="2m")
    assert kept > 0
    relay.restart(timeout=60)
    wait_until(lambda: relay.metric("sluice_tracking_bytes") == 0, 400, "all to be dropped", every=1)
    assert tracked_page(relay) == []
