"""Clients that dawdle: each is cut at a deadline for the whole command, or by the least rate of content,
and the others notice nothing (HC8)."""
import resource
import threading
import time

import pytest

from support.load import Load, idle_connections
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER
from support.relay import smart_host
from support.sluice_tools import load
from support.smtp_client import SmtpClient
from support.waiting import wait_until

FAST = {"command_timeout": "2s", "data_timeout": "10s"}


def dribble(client, data, every, stop):
    """Sends byte by byte until the relay has had enough; gives the seconds it took."""
    begin = time.monotonic()
    try:
        for at in range(len(data)):
            client.send(data[at:at + 1])
            if client.readable(every) or stop.is_set():
                break
    except OSError:
        pass
    return time.monotonic() - begin


@pytest.mark.sanitized
def test_a_command_must_be_whole_in_time(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive=FAST)
    with relay.smtp() as client:
        client.hello()
        took = dribble(client, b"NOOP " + b"x" * 400, 0.1, threading.Event())
        assert 1.5 <= took <= 4, took
        assert client.reply().code == 421
        assert client.at_end(5)


@pytest.mark.sanitized
def test_an_idle_client_is_told_to_go(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive=FAST)
    with relay.smtp(timeout=8) as client:
        client.hello()
        begin = time.monotonic()
        reply = client.reply()
        assert (reply.code, reply.status) == (421, "4.4.2")
        assert 1.5 <= time.monotonic() - begin <= 4


@pytest.mark.sanitized
def test_a_client_that_says_nothing_at_all_is_cut(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive=FAST)
    with relay.smtp(timeout=8) as client:
        assert client.reply().code == 421


@pytest.mark.sanitized
def test_content_has_a_least_rate(start_relay, server):
    """At 1 KiB/s at least, whatever the limit for the whole content."""
    relay = start_relay(send=[smart_host(server)], receive={"command_timeout": "3s", "data_timeout": "10m"})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        took = dribble(client, b"Subject: slow\r\n\r\n" + b"x" * 10_000, 0.05, threading.Event())
        assert took <= 30, took
        assert client.rest(5)[:3] in (b"421", b"451", b"")
    assert relay.metric("sluice_messages_accepted_total") == 0
    assert not server.messages


@pytest.mark.sanitized
def test_content_must_be_whole_in_time(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"data_timeout": "2s"})
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        begin = time.monotonic()
        line = b"x" * 998 + b"\r\n"
        try:
            while not client.readable(0.05) and time.monotonic() - begin < 10:
                client.send(line * 4)
        except OSError:
            pass
        assert 1.5 <= time.monotonic() - begin <= 5
    assert not server.messages


def allow_descriptors(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        pytest.skip(f"only {hard} descriptors allowed")


def slow_crowd(relay, count, stop):
    """So many connections that send a byte now and then."""
    crowd = idle_connections(relay.port, count)

    def turn():
        while not stop.wait(1):
            for connection in crowd:
                try:
                    connection.send(b"N")
                except OSError:
                    pass
    thread = threading.Thread(target=turn)
    thread.start()
    return crowd, thread


@pytest.mark.alone
def test_a_crowd_of_slow_clients_slows_nobody_else(start_relay, tmp_path):
    """HC8: 500 connections that dawdle are gone at the deadline; L8's p99 stays within twice (plus
    what a busy machine adds)."""
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], receive={"command_timeout": "5s"})
        Load(relay.port, limit=500).start().join()
        quiet = Load(relay.port, limit=1500).start().join().quantile(0.99)
        stop = threading.Event()
        crowd, thread = slow_crowd(relay, 500, stop)
        busy = Load(relay.port, limit=1500).start().join().quantile(0.99)
        wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") <= 8, 15, "the crowd gone")
        stop.set()
        thread.join()
        for connection in crowd:
            connection.close()
        print(f"HC8: p99 {quiet * 1000:.1f} ms alone, {busy * 1000:.1f} ms beside 500 slow clients")
        assert busy <= 2 * quiet + 0.05


def dripping(start_relay, tmp_path, count, messages):
    """Throughput of others with and without so many clients that send a byte a second, and memory for each of these."""
    allow_descriptors(count + 500)
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], receive={"max_connections": count + 100})
        load(relay, messages // 4)

        def rate():
            begin = time.monotonic()
            load(relay, messages)
            return messages / (time.monotonic() - begin)
        alone, before = rate(), relay.rss()
        stop = threading.Event()
        crowd, thread = slow_crowd(relay, count, stop)
        beside = rate()
        memory = (relay.rss() - before) / count / 1024
        assert relay.metric("sluice_smtp_connections", direction="in") >= count, "none of them was cut"
        stop.set()
        thread.join()
        for connection in crowd:
            connection.close()
        wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 0, 30)
        print(f"{count} drip: {alone:.0f} messages/s alone, {beside:.0f} beside them, {memory:.1f} KiB for each")
        assert memory <= 20
        return beside / alone


@pytest.mark.alone
def test_clients_that_drip_cost_little(start_relay, tmp_path):
    dripping(start_relay, tmp_path, 1000, 1500)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_five_thousand_that_drip_slow_nobody(start_relay, tmp_path):
    """Others keep their throughput, but for a tenth."""
    assert dripping(start_relay, tmp_path, 5000, 20_000) >= 0.9


@pytest.mark.sanitized
def test_clients_are_turned_away_before_descriptors_run_out(start_relay, server):
    """A quarter of them is for the queue and for delivery, which go on."""
    relay = start_relay(send=[smart_host(server)], preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)))
    crowd = []
    try:
        with relay.smtp() as early:
            early.hello()
            while len(crowd) < 200:
                client = relay_client(relay)
                crowd.append(client)
                if client.reply().code == 421:
                    break
            assert len(crowd) < 200, "nobody was turned away"
            early.transaction(SENDER, [RECIPIENT], b"Subject: goes on\r\n\r\nx\r\n")
            server.wait_messages(1)
    finally:
        for client in crowd:
            client.close()
    wait_until(lambda: _greeted(relay), 10, "room again")
    assert relay.metric("sluice_shed_total", reason="descriptors") >= 1


@pytest.mark.sanitized
def test_who_errs_again_and_again_is_answered_late(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_errors": 6, "error_delay": "400ms"})
    with relay.smtp() as client, relay.smtp() as other:
        for _ in range(3):
            client.command("NONSENSE", 500)
        client.send(b"NONSENSE\r\n")
        assert not client.readable(0.2)
        other.command("NOOP", 250)
        client.expect(500)
        client.send(b"NONSENSE\r\n" * 2)
        assert client.rest(20).count(b"500 ") == 2
    assert relay.metric("sluice_client_faults_total", fault="held_back") == 2


@pytest.mark.sanitized
def test_a_client_that_takes_no_replies_is_cut(start_relay, server):
    """Replies that nobody reads must not pile up in memory."""
    relay = start_relay(send=[smart_host(server)], receive=FAST | {"max_errors": 100_000})
    before = relay.rss()
    client = relay.smtp(receive_buffer=4096, timeout=1)
    block = b"NOOP\r\n" * 10_000
    try:
        for _ in range(200):
            client.send(block)
    except OSError:
        pass
    assert relay.rss() - before <= 8 << 20
    wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 0, 15, "the client cut")
    client.close()


@pytest.mark.sanitized
def test_one_client_gets_no_more_connections_than_configured(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_connections_per_client": 3})
    clients = [relay.smtp() for _ in range(3)]
    with SmtpClient(("127.0.0.1", relay.port)) as fourth:
        reply = fourth.reply()
        assert reply.code == 421
        assert fourth.at_end(5)
    with SmtpClient(("127.0.0.1", relay.port), source="127.0.0.9") as other:
        other.expect(220)
    clients[0].command("QUIT", 221)
    clients[0].close()
    wait_until(lambda: _greeted(relay), 5, "room again")
    for client in clients[1:]:
        client.close()


def _greeted(relay):
    with relay_client(relay) as client:
        return client.reply().code == 220


def relay_client(relay):
    return SmtpClient(("127.0.0.1", relay.port))


@pytest.mark.sanitized
def test_no_more_connections_than_configured(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_connections": 5})
    clients = [relay.smtp() for _ in range(5)]
    with relay_client(relay) as sixth:
        assert sixth.reply().code == 421
    assert relay.metric("sluice_shed_total") >= 1
    for client in clients:
        client.close()
    wait_until(lambda: _greeted(relay), 5, "room again")
