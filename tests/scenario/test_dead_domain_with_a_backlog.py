"""Very much mail waits for a domain that takes none: memory stays, others' mail passes as before, and a restart is quick
and brings no attempt forward (OV6)."""
import time
from datetime import datetime

import pytest

from support.relay import MIB, smart_host
from support.sluice_tools import Sink, load
from support.waiting import stays, wait_until

pytestmark = pytest.mark.alone

CONTENT_BUDGET = 32 * MIB
QUEUE = {"retry_first": "2h", "retry_max": "2h", "retry_jitter": 0.2, "memory": "32MiB", "database_memory": "32MiB",
         "delay_notice": "0", "disk_reserve": "64MiB"}


def pass_through(relay, sink, messages):
    """(accepted, delivered) a second, of mail for a domain that takes it."""
    before, begin = sink.counts()["messages"], time.monotonic()
    accepted = load(relay, messages, "--recipient-domain", "good.test")["messages_per_s"]
    wait_until(lambda: sink.counts()["messages"] >= before + messages, 300, "all delivered", every=0.05)
    return accepted, messages / (time.monotonic() - begin)


def due_times(relay):
    """When the next attempts at some messages are due, by id, in seconds."""
    status, body = relay.api("GET", "/api/v1/messages?destination=dead.test&limit=200", timeout=60)
    assert status == 200, body
    return {item["id"]: datetime.fromisoformat(item["next_attempt"]).timestamp() for item in body["items"]}


def backlog(start_relay, tmp_path, queued, messages):
    with Sink(tmp_path) as good, Sink(tmp_path, "--rule", "*,rcpt,451", address="127.0.1.4") as dead:
        relay = start_relay(send=[smart_host(good, name="good", address_spaces=["good.test"]),
                                  smart_host(dead, name="dead", address_spaces=["dead.test"])], queue=QUEUE,
                            extra={"log": {"level": "warn"}})  # half a million events would be read for nothing
        pass_through(relay, good, messages)  # an idle relay that has worked before: its buffers are there
        accepted_alone, delivered_alone = pass_through(relay, good, messages)
        relay.drain()
        idle = relay.rss()
        load(relay, queued, "--recipient-domain", "dead.test")
        wait_until(lambda: relay.metric("sluice_queue_recipients", state="deferred") >= queued, 900,
                   lambda: f"all deferred: {relay.metric('sluice_queue_recipients', state='deferred'):.0f}", every=0.5)
        grown = relay.rss()
        accepted, delivered = pass_through(relay, good, messages)
        due = due_times(relay)
        assert due
        # The sink writes its counts once a second.
        wait_until(lambda: dead.counts()["refused"].get("rcpt", 0) >= queued, 10, "the sink's last counts")
        attempts = dead.counts()["refused"]
        relay.stop()
        relay.start(60)
        greeted = relay.greeted_after
        later = pass_through(relay, good, messages)
        wait_until(lambda: relay.api("GET", "/api/v1/status")[1]["store"]["counted"], 120, "the queue counted again")
        after = due_times(relay)
        print(f"OV6: {queued} deferred; RSS idle {idle / MIB:.0f} MiB, with them {grown / MIB:.0f}, after a restart "
              f"{relay.rss() / MIB:.0f}; SMTP {greeted:.2f} s after the start; a second accepted {accepted_alone:.0f} "
              f"alone, {accepted:.0f} beside, {later[0]:.0f} after the restart; delivered {delivered_alone:.0f}, "
              f"{delivered:.0f}, {later[1]:.0f}")
        assert max(grown, relay.rss()) <= 1.5 * idle + CONTENT_BUDGET
        assert all(abs(after[key] - due[key]) < 0.1 for key in due)
        assert stays(lambda: dead.counts()["refused"] == attempts, 2, every=0.2), (attempts, dead.counts())
        assert relay.metric("sluice_queue_recipients", state="deferred") == queued
        assert relay.queued() == queued
        return greeted, delivered_alone, delivered


def test_twenty_thousand_deferred(start_relay, tmp_path):
    """OV6, short form."""
    backlog(start_relay, tmp_path, 20_000, 5_000)


@pytest.mark.long_form
@pytest.mark.timeout(2400)
def test_two_hundred_thousand_deferred(start_relay, tmp_path):
    """OV6, long form: SMTP within a second, and others' mail at no less than half its speed."""
    greeted, alone, beside = backlog(start_relay, tmp_path, 200_000, 20_000)
    assert greeted <= 1.0
    assert beside >= alone / 2
