"""A kill in the middle of a message's way: who was served stays served, who was not is served once
(CD12, CD19)."""
import os
import signal
import time

import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import Hang, ScriptedServer
from support.waiting import pause, wait_until

pytestmark = pytest.mark.sanitized


def test_sixty_of_a_hundred_are_not_sent_again(start_relay, server):
    """CD12: 60 taken, 40 deferred; SIGKILL; each delivered exactly once."""
    server.on("rcpt", "451 4.2.1 not now", when=lambda a: int(a.split("<r")[1].split("@")[0]) >= 60, times=40)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "3s", "retry_max": "3s"})
    message_id = relay.deliver_in(SENDER, [f"<r{n}@there.test>" for n in range(100)], SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id, count=60)
    relay.log.wait_for(event="deferred", id=message_id, count=40)
    pause(1.1)  # removals are written at once and synced within a second
    relay.restart(kill=True)
    relay.drain()
    taken = [path for m in server.delivered for path in m.paths]
    assert sorted(taken) == sorted(f"<r{n}@there.test>" for n in range(100))


def test_a_kill_right_behind_the_verdicts_repeats_none(start_relay, server):
    """CD12 without the pause: a SIGKILL leaves the page cache, so a removal that was written stands."""
    server.on("rcpt", "451 4.2.1 not now", when=lambda a: int(a.split("<r")[1].split("@")[0]) >= 60, times=40)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "3s", "retry_max": "3s"})
    message_id = relay.deliver_in(SENDER, [f"<r{n}@there.test>" for n in range(100)], SIMPLE)
    relay.log.wait_for(event="deferred", id=message_id, count=40)
    wait_until(lambda: relay.metric("sluice_queue_recipients", state="deferred") == 40)
    relay.restart(kill=True)
    relay.drain()
    taken = [path for m in server.delivered for path in m.paths]
    assert len(taken) == len(set(taken)) == 100


def test_a_kill_between_the_250_and_the_mark_doubles_that_one_only(start_relay, server):
    """CD19: frozen when the destination has replied, then killed: this id twice, all others once."""
    relay = start_relay(send=[smart_host(server)])
    for n in range(20):
        relay.deliver_in(SENDER, [f"<before{n}@there.test>"], SIMPLE)
    server.wait_messages(20)
    relay.drain()

    def freeze(session, message):
        os.kill(relay.pid, signal.SIGSTOP)
        return "250 2.0.0 taken"
    server.on("eod", freeze, when=lambda m: m.paths == [RECIPIENT], times=1)
    with relay.smtp() as client:  # without a QUIT, which a frozen relay would not answer
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        client.send(SIMPLE + b".\r\n")
        server.wait_messages(21)
    relay.kill()
    relay.start()
    for n in range(20):
        relay.deliver_in(SENDER, [f"<after{n}@there.test>"], SIMPLE)
    relay.drain()
    copies = {}
    for message in server.delivered:
        copies[message.paths[0]] = copies.get(message.paths[0], 0) + 1
    assert copies.pop(RECIPIENT) == 2
    assert len(copies) == 40 and set(copies.values()) == {1}


def test_the_final_reply_never_comes(start_relay, server):
    """CD15: retried by schedule, not at once, not at the next host of the same attempt; counted as ambiguous;
    as many copies as attempts."""
    server.on("eod", Hang(), times=2)
    with ScriptedServer("127.0.1.4") as sibling:
        relay = start_relay(send=[smart_host(server, sibling, final_reply_timeout="2s", host_backoff="1ms")],
                            queue={"retry_first": "1500ms", "retry_max": "1500ms"})
        message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        deferred = relay.log.wait_for(event="deferred", id=message_id)
        assert relay.metric("sluice_deliveries_ambiguous_total", connector="out") == 1
        assert deferred["destination"]
        relay.log.wait_for(event="delivered", id=message_id, timeout=20)
        first, second = server.messages[0], (server.messages + sibling.messages)[1]
        assert second.time - first.time >= 2.0 + 1.4
        assert len(server.messages) + len(sibling.messages) == 3
        assert not [m for m in sibling.messages if m.time < first.time + 3.0]
        assert relay.metric("sluice_deliveries_ambiguous_total") == 2
        assert len({m.header("Message-ID") for m in server.messages}) == 1
        assert len({m.content for m in server.messages + sibling.messages}) == 1


def test_the_default_wait_for_the_final_reply_is_ten_minutes(start_relay, server):
    """CD15: RFC 5321 section 4.5.3.2.6, shown by the configuration's dump."""
    relay = start_relay(send=[smart_host(server)])
    shown = relay.cli("check", "--print").stdout
    line = next(l for l in shown.splitlines() if "final_reply_timeout" in l)
    assert line.split('"')[1] in ("10m", "600s"), line


def test_clients_that_reset_behind_the_dot(start_relay, server):
    """CD14, short form."""
    reset_behind_the_dot(start_relay, server, 60)


@pytest.mark.long_form
def test_five_hundred_clients_that_reset_behind_the_dot(start_relay, server):
    """CD14, long form."""
    reset_behind_the_dot(start_relay, server, 500)


def reset_behind_the_dot(start_relay, server, count):
    """Each id arrives once or never, and the log says which."""
    relay = start_relay(send=[smart_host(server)])
    for n in range(count):
        client = relay.smtp()
        client.hello()
        client.envelope(SENDER, [f"<n{n}@there.test>"])
        client.command("DATA", 354)
        client.send(SIMPLE + b".\r\n")
        client.reset()
    wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 0)
    relay.drain()
    copies = {}
    for message in server.delivered:
        copies[message.paths[0]] = copies.get(message.paths[0], 0) + 1
    assert all(count == 1 for count in copies.values())
    told = {"<" + e["recipient"] + ">" for e in relay.log.find(event="delivered")}
    accepted = relay.log.find(event="accepted")
    assert told == copies.keys() and len(accepted) == len(copies)
    print(f"CD14: {count} resets, {len(copies)} accepted and delivered once")


def test_a_second_instance_on_the_same_queue(start_relay, server):
    """CD17: ends at once, naming the lock; the first one lives on."""
    first = start_relay(send=[smart_host(server)])
    before = first.vitals()
    second = start_relay(start=False, send=[smart_host(server)], top={"data_dir": str(first.data)})
    second.spawn()
    begin = time.monotonic()
    assert second.wait(10) != 0
    assert time.monotonic() - begin <= 2
    assert "lock" in (second.errors() + second.story()).lower()
    assert str(first.data) in second.errors() + second.story()
    first.assert_alive(before, server, idle_cpu=False)
