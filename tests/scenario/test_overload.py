"""More than it can take: it says so in time, keeps its memory, and keeps what it has accepted (OV1, OV2, OV4, OV6,
OV8, OV9)."""
import resource
import socket
import threading
import time

import pytest

from support.cgroup import MemoryLimit, why_no_cgroup
from support.compare import compare
from support.load import Load, content, id_of, idle_connections, new_id
from support.load_sink import LoadSink
from support.mail import SENDER
from support.relay import MIB, smart_host
from support.scripted_server import ScriptedServer
from support.smtp_client import stuff
from support.waiting import pause, stays, wait_until


def twice_the_drain_rate(start_relay, tmp_path, seconds, ceiling_mib):
    with LoadSink(tmp_path, rate=200) as sink:
        relay = start_relay(send=[smart_host(sink)], queue={"memory": "32MiB", "database_memory": "32MiB"})
        load = Load(relay.port, clients=8, size=20_000, interval=8 / 400).start()
        peak, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            pause(0.2)
            peak = max(peak, relay.rss())
        load.stop()
        assert all(r.code in (452, 421) for r in load.refused.values())
        wait_until(lambda: relay.queued() == 0, seconds * 3 + 60, "everything delivered", every=0.5)
        verdict = compare(load.acknowledged, sink.ids(), load.unknown)
        print(f"OV1: {len(load.acknowledged)} accepted in {seconds} s, peak RSS {peak / MIB:.0f} MiB, {verdict}")
        verdict.assert_clean()
        assert not load.unknown
        assert peak <= ceiling_mib * MIB


@pytest.mark.alone
def test_input_at_twice_the_rate_of_the_output(start_relay, tmp_path):
    """OV1, short form."""
    twice_the_drain_rate(start_relay, tmp_path, 10, 200)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(700)
def test_input_at_twice_the_rate_of_the_output_for_two_minutes(start_relay, tmp_path):
    """OV1, long form."""
    twice_the_drain_rate(start_relay, tmp_path, 120, 250)


def many_idle(start_relay, tmp_path, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 500  # ours, and as many of the relay
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except (ValueError, OSError):
            pytest.skip(f"only {hard} descriptors allowed")
    with LoadSink(tmp_path) as sink:
        relay = start_relay(send=[smart_host(sink)], receive={"max_connections": count + 100})
        Load(relay.port, limit=500).start().join()
        before = relay.rss()
        crowd = idle_connections(relay.port, count)
        per_connection = (relay.rss() - before) / count / 1024
        load = Load(relay.port, limit=1500).start().join()
        p99 = load.quantile(0.99)
        print(f"OV2: {count} idle, {per_connection:.1f} KiB each, p99 {p99 * 1000:.1f} ms")
        assert len(load.acknowledged) == 1500
        for connection in crowd:
            connection.close()
        assert per_connection <= 20
        assert p99 <= 0.25


@pytest.mark.alone
def test_idle_connections_cost_little_and_slow_nobody(start_relay, tmp_path):
    """OV2, short form."""
    many_idle(start_relay, tmp_path, 2000)


@pytest.mark.alone
@pytest.mark.long_form
def test_ten_thousand_idle_connections(start_relay, tmp_path):
    """OV2, long form."""
    many_idle(start_relay, tmp_path, 10_000)


def connect_and_close(start_relay, server, seconds):
    relay = start_relay(send=[smart_host(server)])
    before = relay.vitals()
    lines = len(relay.log.poll())
    half_open = []
    for _ in range(50):  # connected, and then not a byte
        half_open.append(socket.create_connection(("127.0.0.1", relay.port)))
    end = time.monotonic() + seconds
    turns = 0
    while time.monotonic() < end:
        connection = socket.create_connection(("127.0.0.1", relay.port))
        connection.close()
        turns += 1
        pause(1 / 250)
    for connection in half_open:
        connection.close()
    wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 0, 10)
    by_event = {}
    for event in relay.log.poll()[lines:]:
        by_event[event["event"]] = by_event.get(event["event"], 0) + 1
    print(f"OV4: {turns} connections in {seconds} s, log {by_event}")
    assert all(count <= seconds + 3 for count in by_event.values()), by_event
    relay.assert_alive(before, server)


@pytest.mark.alone
def test_connecting_and_closing_again_and_again(start_relay, server):
    """OV4, short form: ALIVE, and at most a log line a second for each cause."""
    connect_and_close(start_relay, server, 4)


@pytest.mark.alone
@pytest.mark.long_form
def test_connecting_and_closing_for_half_a_minute(start_relay, server):
    """OV4, long form."""
    connect_and_close(start_relay, server, 30)


def restart_with_backlog(start_relay, tmp_path, queued):
    sink = LoadSink(tmp_path)
    relay = start_relay(send=[smart_host(sink, host_backoff="300ms")], queue={"retry_first": "1s"})
    small = relay.rss()
    load = Load(relay.port, clients=16, limit=queued, size=1000).start().join(900)
    assert len(load.acknowledged) == queued
    relay.stop()
    relay.start(60)
    ready = relay.ready_after
    grown = max(0, relay.rss() - small) / queued
    with sink:
        begin = time.monotonic()
        wait_until(lambda: sink.count() > 0, 30, "the first delivery", every=0.02)
        first = time.monotonic() - begin
        relay.drain(600)
        verdict = compare(load.acknowledged, sink.ids())
    print(f"OV6: {queued} queued, ready after {ready:.2f} s, {grown:.0f} bytes each, first delivery after {first:.2f} s, "
          f"{verdict}")
    verdict.assert_clean()
    assert ready <= 10 and first <= 2
    assert grown <= 1024 or queued < 50_000
    return relay


@pytest.mark.alone
def test_a_restart_with_a_backlog(start_relay, tmp_path):
    """OV6, short form."""
    restart_with_backlog(start_relay, tmp_path, 5000)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(1800)
def test_a_restart_with_two_hundred_thousand_queued(start_relay, tmp_path):
    """OV6, long form."""
    restart_with_backlog(start_relay, tmp_path, 200_000)


def large_messages(start_relay, server, clients, size, limit_mib):
    reason = why_no_cgroup()
    if reason:
        pytest.skip(reason)
    with MemoryLimit(limit_mib * MIB) as group:
        relay = start_relay(send=[smart_host(server)], preexec=group.preexec)
        results = []

        def send(n):
            try:
                with relay.smtp(timeout=100) as client:
                    client.hello()
                    test_id = new_id()
                    reply = client.command(f"MAIL FROM:{SENDER} SIZE={size}")
                    if reply.code == 250:
                        client.command(f"RCPT TO:<r{n}@there.test>", 250)
                        client.command("DATA", 354)
                        client.send(stuff(content(test_id, size)))
                        reply = client.reply()
                    results.append((test_id, reply))
            except OSError as error:
                results.append((None, error))
        threads = [threading.Thread(target=send, args=(n,)) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert group.kills() == 0 and relay.running()
        taken = {test_id for test_id, reply in results if getattr(reply, "code", 0) == 250}
        others = [r for _, r in results if getattr(r, "code", 0) != 250]
        assert all(getattr(r, "code", 0) in (452, 421) for r in others), others
        relay.drain(100)
        compare(taken, [id_of(m.content) for m in server.delivered]).assert_clean()
        print(f"OV8: {len(taken)} of {clients} messages of {size / MIB:.0f} MiB taken within {limit_mib} MiB")
        assert taken
        relay.stop()


@pytest.mark.alone
def test_large_messages_in_little_memory(start_relay, server):
    """OV8, short form: 12 clients with 25 MB in 256 MiB."""
    large_messages(start_relay, server, 12, 25_000_000, 256)


@pytest.mark.alone
@pytest.mark.long_form
def test_forty_large_messages_in_half_a_gigabyte(start_relay, server):
    """OV8, long form."""
    large_messages(start_relay, server, 40, 25_000_000, 512)


def due_together(start_relay, count):
    with ScriptedServer("127.0.1.6") as server:
        server.on("rcpt", "451 4.7.1 later", times=count)
        relay = start_relay(send=[smart_host(server, max_connections=10)],
                            queue={"retry_first": "5s", "retry_factor": 1.0, "retry_jitter": 0.2, "retry_max": "5s"})
        load = Load(relay.port, limit=count, size=600).start().join(300)
        wait_until(lambda: len(load.acknowledged) == count)
        relay.log.wait_for(event="deferred", count=count, timeout=60)
        relay.drain(120)
        compare(load.acknowledged, [id_of(m.content) for m in server.delivered]).assert_clean()
        times = sorted(m.time for m in server.delivered)
        print(f"OV9: {count} deferred, delivered within {times[-1] - times[0]:.1f} s, peak {server.peak} connections")
        assert server.peak <= 10
        assert times[-1] - times[0] >= 1.0


@pytest.mark.alone
def test_very_many_due_in_the_same_second(start_relay):
    """OV9, short form: never more connections than the cap, retries spread by the jitter."""
    due_together(start_relay, 800)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_twenty_thousand_due_in_the_same_second(start_relay):
    """OV9, long form."""
    due_together(start_relay, 20_000)


@pytest.mark.sanitized
def test_an_idle_relay_does_nothing(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    assert stays(lambda: relay.running(), 0.2)
    assert relay.idle_cpu(2.0) <= 0.02
