"""A destination says "not now": the message waits, and goes when its time has come, and not before."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.waiting import stays

pytestmark = pytest.mark.sanitized


def test_it_is_taken_at_the_second_attempt(start_relay, server):
    server.on("rcpt", "451 4.7.1 greylisted, come back", times=1)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "800ms"})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    deferred = relay.log.wait_for(event="deferred", id=message_id)
    assert deferred["code"] == 451 and deferred["status"] == "4.7.1" and deferred["attempts"] == 1
    assert "greylisted" in deferred["reply"]
    shown = relay.message(message_id)
    assert shown["state"] == "deferred" and "greylisted" in shown["recipients"][0]["last_reply"]
    server.wait_messages(1)
    rcpts = [c for s in server.sessions for c in s.commands if c.line.upper().startswith("RCPT")]
    assert len(rcpts) == 2 and rcpts[1].time - rcpts[0].time >= 0.75
    delivered = relay.log.wait_for(event="delivered", id=message_id)
    assert delivered["attempts"] == 2
    assert relay.metric("sluice_deliveries_total", result="deferred") == 1


def test_attempts_come_further_and_further_apart(start_relay, server):
    server.on("rcpt", "451 4.7.1 later", times=4)
    relay = start_relay(send=[smart_host(server)],
                        queue={"retry_first": "200ms", "retry_factor": 2.0, "retry_max": "600ms"})
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    times = [c.time for s in server.sessions for c in s.commands if c.line.upper().startswith("RCPT")]
    gaps = [b - a for a, b in zip(times, times[1:])]
    for gap, least in zip(gaps, (0.2, 0.4, 0.6, 0.6)):
        assert least - 0.02 <= gap <= least + 1.0, gaps


def test_a_greylisted_message_does_not_hold_up_the_others(start_relay, server):
    server.on("rcpt", "451 4.7.1 later", when=lambda a: "slow@" in a)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "1h"})
    relay.deliver_in(SENDER, ["<slow@there.test>"], SIMPLE)
    relay.log.wait_for(event="deferred")
    for n in range(10):
        relay.deliver_in(SENDER, [f"<quick{n}@there.test>"], SIMPLE)
    server.wait_messages(10)
    assert stays(lambda: len(server.commands("RCPT TO:<slow@")) == 1, 0.5)


def test_whole_message_refused_for_now_behind_the_dot(start_relay, server):
    server.on("eod", "452 4.3.1 disk full", times=1)
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT, "<other@there.test>"], SIMPLE)
    assert relay.log.wait_for(event="deferred", id=message_id, count=2)["status"] == "4.3.1"
    assert len(server.wait_messages(1)[0].paths) == 2
    assert relay.metric("sluice_deliveries_ambiguous_total") == 0


def test_restart_keeps_due_times(start_relay, server):
    server.on("rcpt", "451 4.7.1 later", times=1)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "3s", "retry_max": "10s"})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    relay.log.wait_for(event="deferred", id=message_id)
    due = relay.message(message_id)["next_attempt"]
    first = server.sessions[0].commands[-1].time
    relay.restart()
    assert relay.message(message_id)["next_attempt"][:22] == due[:22]
    assert relay.message(message_id)["attempts"] == 1
    message = server.wait_messages(1)[0]
    assert 2.5 <= message.time - first <= 6
