"""A kept connection that goes bad between two messages: it is left, and the message goes once, elsewhere
(HS15)."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import Close, Ended, Reset, Say
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
WAYS = {
    "says something while idle": Say(b"250 2.0.0 and another thing\r\n"),
    "says 421 while idle": Say("421 4.4.2 idle for too long", then=Close()),
    "says 421 and stays": Say("421 4.4.2 idle for too long"),
    "closes while idle": Close(),
    "resets while idle": Reset(),
    "says half a line": Say(b"25"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_next_message_goes_once_over_another_connection(start_relay, server, way):
    server.on("idle", WAYS[way], times=1)
    relay = start_relay(send=[smart_host(server, max_connections=1, idle_timeout="10s", command_timeout="2s")])
    relay.deliver_in(SENDER, ["<first@there.test>"], SIMPLE)
    server.wait_messages(1)
    wait_until(lambda: relay.log.find(event="delivered"), what="the first delivered")
    relay.deliver_in(SENDER, ["<second@there.test>"], SIMPLE)
    server.wait_messages(2, 15)
    relay.drain()
    assert [m.paths[0] for m in server.messages] == ["<first@there.test>", "<second@there.test>"]
    assert len(server.sessions) >= 2


def test_a_close_right_at_the_next_mail_counts_no_attempt(start_relay, server):
    """RFC 5321 says nothing was begun: no attempt is counted, and it goes at once."""
    closed = []

    def once(session, argument):
        if "second" in argument and not closed:
            closed.append(1)
            raise Ended
        return "250 2.1.0 ok"

    server.on("mail", once)
    relay = start_relay(send=[smart_host(server, max_connections=1)], top={"shards": 1},
                        queue={"retry_first": "1h", "retry_max": "1h"})
    relay.deliver_in("<first@here.test>", [RECIPIENT], SIMPLE)
    server.wait_messages(1)
    relay.log.wait_for(event="delivered")
    relay.deliver_in("<second@here.test>", [RECIPIENT], SIMPLE)
    server.wait_messages(2)
    assert len(server.messages) == 2


def test_421_behind_a_good_reply_repeats_nothing(start_relay, server):
    server.on("eod", Say(b"250 2.0.0 taken\r\n421 4.3.2 going down\r\n", then=Close()), times=3)
    relay = start_relay(send=[smart_host(server)])
    for n in range(5):
        relay.deliver_in(SENDER, [f"<r{n}@there.test>"], SIMPLE)
    server.wait_messages(5)
    relay.drain()
    assert len(server.messages) == 5
