"""EHLO promises that are not kept: the message is delivered or deferred, and nothing goes round in circles
(HS11)."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE, without_trace
from support.relay import smart_host
from support.scripted_server import EXTENSIONS, Say
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


def verdict(relay, message_id):
    found = wait_until(lambda: relay.log.find(id=message_id, where=lambda e: e["event"] in
                                              ("delivered", "deferred", "bounced")), 10, "a verdict")
    return found[0]


@pytest.mark.parametrize("keywords", [
    ("SIZE x",), ("SIZE",), ("SIZE -1",), ("SIZE 99999999999999999999999999",), ("SIZE 0",),
    ("pipelining", "size 10000000", "8bitmime"), ("PIPELINING", "PIPELINING", "SIZE 10000000", "SIZE 20000000"),
    ("", " ", "=", "\x01\x02", "AUTH", "AUTH=", "AUTH PLAIN LOGIN", "STARTTLS x"),
    ("X" * 2000,), tuple(f"X-{n}" for n in range(100))], ids=lambda k: k[0][:12] or "blank")
def test_odd_keywords_hinder_nothing(start_relay, server, keywords):
    server.extensions = keywords
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    event = verdict(relay, message_id)
    assert event["event"] in ("delivered", "deferred"), event
    assert len(server.sessions) <= 3


def test_a_server_that_takes_ten_bytes(start_relay, server):
    """SIZE 10 from a server that takes any: tried or given up, but in one go."""
    server.extensions = ("SIZE 10",)
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    event = verdict(relay, message_id)
    assert event["event"] in ("bounced", "deferred", "delivered")
    if event["event"] == "bounced":
        assert event["status"] in ("5.3.4", "5.2.3")
    assert len(server.sessions) <= 2


def test_five_thousand_lines(start_relay, server):
    server.extensions = tuple(f"X-KEYWORD-{n}" for n in range(5000))
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert verdict(relay, message_id)["event"] in ("delivered", "deferred")
    assert len(server.sessions) <= 2


@pytest.mark.parametrize("reply", ["502 5.5.1 no such command", "500 5.5.2 what", "503 5.5.1 order"])
def test_chunking_promised_and_refused(start_relay, server, reply):
    """The host is remembered, and served plainly."""
    server.extensions = (*EXTENSIONS, "CHUNKING")
    server.on("bdat", reply)
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    assert verdict(relay, message_id)["event"] in ("delivered", "deferred")
    server.wait_messages(1, 10)
    assert without_trace(server.delivered[0].content) == SIMPLE
    assert len(server.commands("BDAT")) <= 2


@pytest.mark.parametrize("how", ["loses what is behind MAIL", "loses what is behind the dot",
                                 "says it is not its turn", "answers once for all"])
def test_pipelining_promised_and_not_understood(start_relay, server, how):
    """A box on the way that does not know it: the host is remembered, and the next attempt goes plainly."""
    relay = start_relay(send=[smart_host(server, max_connections=1, command_timeout="1s", final_reply_timeout="3s")],
                        top={"shards": 1}, queue={"retry_first": "500ms"})
    server.on("banner", Say("220 sink.test", after=0.5))  # so that the messages wait together
    if how == "loses what is behind MAIL":
        server.on("mail", drop_the_rest)
    elif how == "loses what is behind the dot":
        server.on("eod", drop_the_rest)
    elif how == "says it is not its turn":
        server.on("rcpt", lambda session, argument: "503 5.5.1 need MAIL" if together(session) else "250 2.1.5 ok")
    else:
        server.on("rcpt", lambda session, argument: drop_the_rest(session, "") if together(session) else "250 2.1.5 ok")
    with relay.smtp() as client:
        client.hello()
        for n in range(6):
            client.transaction(SENDER, [f"<r{n}@there.test>"], SIMPLE)
    server.wait_messages(6, 20)
    relay.drain()
    assert sorted(m.paths[0] for m in server.delivered) == [f"<r{n}@there.test>" for n in range(6)]
    assert all(without_trace(m.content) == SIMPLE for m in server.delivered)
    assert not relay.log.find(event="bounced")
    assert len(relay.log.find(event="deferred")) <= 1 and len(server.sessions) <= 3
    batches = [c.batch for c in server.sessions[-1].commands][-8:]
    assert len(batches) == len(set(batches)), "the last ones went one command at a time"


def together(session):
    """The command came in the same read as the one before it."""
    return len(session.commands) > 1 and session.commands[-1].batch == session.commands[-2].batch


def drop_the_rest(session, argument):
    session._buffer.clear()
    session._starts.clear()
    return "250 2.0.0 ok"
