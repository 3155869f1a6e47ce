"""Clients that dawdle: each is cut at a deadline for the whole command, or by the least rate of content,
and the others notice nothing (HC8)."""
import threading
import time

import pytest

from support.load import Load, idle_connections
from support.load_sink import LoadSink
from support.mail import RECIPIENT, SENDER
from support.relay import smart_host
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
