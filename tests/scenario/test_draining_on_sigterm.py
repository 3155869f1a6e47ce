"""The relay is told to stop: it finishes what it has begun, refuses what is new, loses nothing (CD9)."""
import signal
import time

import pytest

from support.compare import compare
from support.load import Load
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import Say
from support.smtp_client import SmtpClient, stuff
from support.waiting import pause, wait_until


def refuses_connections(relay):
    try:
        SmtpClient(("127.0.0.1", relay.port), timeout=1).close()
        return False
    except OSError:
        return True


@pytest.mark.sanitized
def test_an_idle_relay_ends_at_once_with_success(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    begin = time.monotonic()
    assert relay.stop() == 0
    assert time.monotonic() - begin < 5


@pytest.mark.sanitized
def test_the_listener_closes_first_and_a_begun_transaction_ends_well(start_relay, server):
    relay = start_relay(send=[smart_host(server)], queue={"drain_timeout": "20s"})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        data = stuff(SIMPLE)
        client.send(data[:20])
        relay.signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(relay), 5, "the listener closed")
        client.send(data[20:])
        client.expect(250)
        assert client.reply().code == 421
        assert client.at_end(5)
    assert relay.wait() == 0
    relay.start()
    assert len(server.wait_messages(1)) == 1


@pytest.mark.sanitized
def test_an_idle_client_is_told_421(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        relay.signal(signal.SIGTERM)
        reply = client.reply()
        assert (reply.code, reply.status) == (421, "4.3.2")
        assert client.at_end(5)
    assert relay.wait() == 0


@pytest.mark.sanitized
def test_the_drain_has_a_limit(start_relay, server):
    relay = start_relay(send=[smart_host(server)], queue={"drain_timeout": "1s"})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        relay.signal(signal.SIGTERM)
        begin = time.monotonic()
        assert relay.wait(10) == 0
        assert 0.5 <= time.monotonic() - begin <= 5


@pytest.mark.sanitized
def test_an_outgoing_transaction_past_its_dot_is_waited_for(start_relay, server):
    server.on("eod", Say("250 2.0.0 slowly", after=1.5))
    relay = start_relay(send=[smart_host(server)], queue={"drain_timeout": "20s"})
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_arrived(1)
    assert relay.stop() == 0
    assert len(server.delivered) == 1
    relay.start()
    relay.drain()
    assert len(server.messages) == 1


@pytest.mark.sanitized
def test_ready_says_no_as_soon_as_it_drains(start_relay, server):
    server.on("eod", Say("250 2.0.0 slowly", after=3))
    relay = start_relay(send=[smart_host(server)], queue={"drain_timeout": "10s"})
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_arrived(1)
    relay.signal(signal.SIGTERM)
    wait_until(lambda: not relay.is_ready(), 3, "readyz false")
    assert relay.wait() == 0


def drain_under_load(start_relay, tmp_path, rounds):
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], queue={"drain_timeout": "30s"})
        acknowledged, unknown = set(), set()
        for _ in range(rounds):
            load = Load(relay.port).start()
            wait_until(lambda: len(load.acknowledged) >= 100, 30, "some load")
            relay.signal(signal.SIGTERM)
            begin = time.monotonic()
            wait_until(lambda: refuses_connections(relay), 10, "the listener closed")
            assert relay.wait() == 0
            assert time.monotonic() - begin <= 30
            load.stop()
            # Whoever was past the dot got its reply.
            assert not load.unknown
            acknowledged |= load.acknowledged.keys()
            unknown |= load.unknown
            relay.start()
        relay.drain()
        verdict = compare(acknowledged, sink.ids(), unknown).assert_clean(dups=0)
        print(f"CD9: {rounds} rounds, {len(acknowledged)} accepted, {verdict}")


@pytest.mark.alone
def test_sigterm_under_load(start_relay, tmp_path):
    """CD9, short form: exit 0, listener closed first, every client past its dot answered, no copies."""
    drain_under_load(start_relay, tmp_path, 3)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_sigterm_under_load_twenty_times(start_relay, tmp_path):
    """CD9, long form."""
    drain_under_load(start_relay, tmp_path, 20)


def reload_under_load(start_relay, tmp_path, reloads, seconds):
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)])
        load = Load(relay.port).start()
        for n in range(reloads):
            relay.config["send"][0]["max_connections"] = 10 + n % 5
            seen = relay.log.mark()
            relay.reload()
            relay.log.wait_for(event="reloaded", after=seen)
            target = len(load.acknowledged) + 50
            wait_until(lambda: len(load.acknowledged) >= target, 30, "load between reloads")
            pause(seconds / reloads)
        load.stop()
        assert not load.refused and not load.broken and not load.connect_failures
        relay.drain()
        verdict = compare(load.acknowledged, sink.ids()).assert_clean()
        print(f"CD11: {reloads} reloads, {len(load.acknowledged)} accepted, {verdict}")


@pytest.mark.alone
def test_reloads_under_load_disturb_nobody(start_relay, tmp_path):
    """CD11, short form: refused 0, connections cut 0, dups 0."""
    reload_under_load(start_relay, tmp_path, 6, 0)


@pytest.mark.alone
@pytest.mark.long_form
def test_twenty_reloads_in_a_minute_under_load(start_relay, tmp_path):
    """CD11, long form."""
    reload_under_load(start_relay, tmp_path, 20, 60)
