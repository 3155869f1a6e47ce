"""Connections to a destination: reused, pipelined, never more than configured, closed when idle."""
import pytest

from support.load import Load
from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import Say
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


def test_one_connection_serves_many_messages(start_relay, server):
    relay = start_relay(send=[smart_host(server, max_connections=1)])
    with relay.smtp() as client:
        client.hello()
        for _ in range(30):
            client.transaction(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(30)
    assert len(server.sessions) == 1


def test_a_connection_carries_no_more_messages_than_configured(start_relay, server):
    relay = start_relay(send=[smart_host(server, max_connections=1, max_messages_per_connection=10)])
    for _ in range(30):
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(30)
    counts = [sum(1 for m in server.messages if m.session is s) for s in server.sessions]
    assert max(counts) <= 10 and len(counts) >= 3


def test_an_idle_connection_is_closed_with_quit(start_relay, server):
    relay = start_relay(send=[smart_host(server, idle_timeout="500ms")])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    wait_until(lambda: server.open_now == 0, 5, "the connection closed")
    assert server.sessions[0].got_quit
    lasted = server.sessions[0].closed_at - server.messages[0].time
    assert 0.4 <= lasted <= 2.5, lasted


def test_commands_of_a_transaction_ride_in_one_segment(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT, "<b@there.test>"], SIMPLE)
    server.wait_messages(1)
    commands = server.sessions[0].commands
    batches = {c.line.split(" ")[0].upper(): c.batch for c in commands}
    assert batches["MAIL"] == batches["RCPT"] == batches["DATA"] > batches["EHLO"]


def test_the_next_transaction_rides_with_the_content_before(start_relay, server):
    """RFC 2920: with backlog, a message costs one round trip."""
    server.on("banner", Say("220 sink.test", after=0.5))
    relay = start_relay(send=[smart_host(server, max_connections=1)])
    with relay.smtp() as client:
        client.hello()
        for _ in range(20):
            client.transaction(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(20)
    session = server.sessions[0]
    reads_a_message = session.batch / 20
    assert reads_a_message < 2.5, reads_a_message


def test_a_plain_old_server_is_served_line_by_line(start_relay, server):
    server.extensions = ()
    relay = start_relay(send=[smart_host(server)])
    for _ in range(3):
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(3)
    for session in server.sessions:
        batches = [c.batch for c in session.commands]
        assert len(batches) == len(set(batches)), session.commands
    assert all("SIZE" not in m.mail and "BODY" not in m.mail for m in server.messages)


def test_a_server_without_ehlo_is_greeted_with_helo(start_relay, server):
    server.on("ehlo", "502 5.5.1 no such command")
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    assert any(line.startswith("HELO relay.test") for line in server.commands())


def test_never_more_connections_than_configured(start_relay, server):
    server.on("eod", Say("250 2.0.0 slow", after=0.1))
    relay = start_relay(send=[smart_host(server, max_connections=3)], top={"shards": 2})
    Load(relay.port, clients=8, limit=60).start().join()
    server.wait_messages(60, 30)
    assert server.peak == 3


def test_a_limit_below_the_number_of_shards_still_holds(start_relay, server):
    server.on("eod", Say("250 2.0.0 slow", after=0.02))
    relay = start_relay(send=[smart_host(server, max_connections=1)], top={"shards": 4})
    Load(relay.port, clients=8, limit=60).start().join()
    server.wait_messages(60, 30)
    assert server.peak == 1


def test_a_rate_is_kept(start_relay, server):
    relay = start_relay(send=[smart_host(server, rate="20/s")])
    Load(relay.port, clients=4, limit=70).start().join()
    server.wait_messages(70, 20)
    times = sorted(m.time for m in server.messages)
    # A burst of one second's worth, then 20 a second.
    assert times[69] - times[0] >= 2.2, times[69] - times[0]
    for n in range(len(times) - 45):
        assert times[n + 45] - times[n] >= 1.0, n


def test_an_idle_connection_makes_room_for_another_shard(start_relay, server):
    """With one connection in all, mail taken by another shard does not wait for idle_timeout."""
    relay = start_relay(send=[smart_host(server, max_connections=1, idle_timeout="20s")], top={"shards": 2})
    for _ in range(12):
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(12, 8)
    assert server.peak == 1
