"""Every reply at every stage has one documented consequence (HS9, HS18)."""
import pytest

from support.mail import SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import ScriptedServer
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
D, B, OK = "deferred", "bounced", "delivered"

# Stage, reply, what becomes of the recipient.
TABLE = [
    ("banner", "421 4.3.2 closing", D), ("banner", "450 4.3.2 busy", D), ("banner", "554 5.7.1 go away", D),
    ("banner", "521 5.3.2 no mail here", D), ("banner", "250 hello", D), ("banner", "354 what", D),
    ("ehlo", "421 4.3.2 closing", D), ("ehlo", "451 4.3.0 later", D), ("ehlo", "354 go", D),
    ("mail", "421 4.3.2 closing", D), ("mail", "450 4.1.8 sender", D), ("mail", "451 4.3.0 error", D),
    ("mail", "452 4.3.1 full", D), ("mail", "354 go", D), ("mail", "220 what", D),
    ("mail", "550 5.7.1 sender refused", B), ("mail", "552 5.3.4 too large", B), ("mail", "553 5.1.7 bad sender", B),
    ("mail", "555 5.5.4 parameters", B), ("mail", "501 5.1.7 syntax", B), ("mail", "530 5.7.0 authenticate", D),
    ("rcpt", "421 4.3.2 closing", D), ("rcpt", "450 4.2.1 mailbox busy", D), ("rcpt", "451 4.7.1 greylisted", D),
    ("rcpt", "452 4.2.2 over quota", D), ("rcpt", "552 5.2.2 over quota", D), ("rcpt", "354 go", D), ("rcpt", "220 what", D),
    ("rcpt", "550 5.1.1 unknown", B), ("rcpt", "551 5.1.6 please try <other@there.test>", B),
    ("rcpt", "553 5.1.3 syntax", B), ("rcpt", "554 5.7.1 refused", B), ("rcpt", "521 5.3.2 no mail", B),
    ("rcpt", "556 5.1.10 null mx", B), ("rcpt", "501 5.1.3 syntax", B), ("rcpt", "503 5.5.1 order", B),
    ("rcpt", "251 2.1.5 will forward to <other@there.test>", OK), ("rcpt", "252 2.1.5 cannot vrfy", OK),
    ("data", "421 4.3.2 closing", D), ("data", "451 4.3.0 error", D), ("data", "452 4.3.1 full", D),
    ("data", "250 ok?", D), ("data", "554 5.5.1 no", B), ("data", "550 5.7.1 no", B),
    ("eod", "421 4.3.2 closing", D), ("eod", "450 4.2.0 later", D), ("eod", "451 4.3.0 error", D),
    ("eod", "452 4.3.1 full", D), ("eod", "354 go on", D), ("eod", "220 what", D), ("eod", "221 bye", D),
    ("eod", "550 5.7.1 spam", B), ("eod", "552 5.2.3 too large", B), ("eod", "554 5.6.0 malformed", B),
    ("eod", "250 2.0.0 ok", OK), ("eod", "250 ok without a status", OK),
]


@pytest.fixture(scope="module")
def bad():
    server = ScriptedServer("127.0.1.67")
    yield server
    server.close()


@pytest.fixture(scope="module")
def mailboxes():
    with ScriptedServer("127.0.1.68") as server:
        yield server


@pytest.fixture(scope="module")
def relay(start_shared_relay, bad, mailboxes):
    return start_shared_relay(
        send=[smart_host(bad, name="bad", address_spaces=["bad.test"], command_timeout="3s",
                         final_reply_timeout="3s", host_backoff="1ms", idle_timeout="1ms"),
              smart_host(mailboxes, name="good")],
        queue={"retry_first": "1h", "retry_max": "1h"})


@pytest.mark.parametrize("stage,reply,verdict", TABLE, ids=lambda v: v.split(" ")[0] if v else None)
def test_its_consequence(relay, bad, stage, reply, verdict):
    bad.hang_up()
    wait_until(lambda: bad.open_now == 0, 5, "no connection left from before")
    bad.forget()
    bad.on(stage, reply)
    relay.api("POST", "/api/v1/messages/discard", {"all": True})
    name = f"x{TABLE.index((stage, reply, verdict))}"
    seen = relay.log.mark()
    message_id = relay.deliver_in(SENDER, [f"<{name}@bad.test>"], SIMPLE)

    def told():
        events = relay.log.find(after=seen, id=message_id, where=lambda e: e["event"] in (D, B, OK))
        if events and events[-1]["reply"].endswith("rests after a failure"):  # of the case before
            relay.api("POST", "/api/v1/messages/retry", {"ids": [message_id]})
            return []
        return events[-1:]
    found = wait_until(told, 10, "a verdict")
    assert found[0]["event"] == verdict, found[0]
    if verdict == B and stage != "banner":
        assert found[0]["code"] == int(reply[:3]) and found[0]["status"] == reply.split(" ")[1]
    if verdict == D and reply[0] in "4":
        # Of a connection that came to nothing, the reply is told in the words of the reason.
        assert found[0].get("code") == int(reply[:3]) or reply in found[0]["reply"]
    if verdict == D:
        assert found[0]["status"].startswith("4."), found[0]
    assert not any("other@" in line for line in bad.commands()), "text is never followed (HS18)"


def test_421_in_the_middle_ends_the_connection_and_repeats_nothing(start_relay, server):
    """The recipients before it were taken; DATA did not come: nothing was delivered, all go again."""
    server.on("rcpt", "421 4.3.2 closing", when=lambda a: "third@" in a, times=1)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<first@there.test>", "<second@there.test>", "<third@there.test>"], SIMPLE)
    relay.log.wait_for(event="delivered", count=3)
    paths = [path for m in server.delivered for path in m.paths]
    assert sorted(paths) == ["<first@there.test>", "<second@there.test>", "<third@there.test>"]


def test_a_5xx_greeting_leads_to_the_next_host(start_relay, server):
    server.on("banner", "554 5.7.1 not for you")
    with ScriptedServer("127.0.1.69") as second:
        relay = start_relay(send=[smart_host(server, second)])
        relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
        second.wait_messages(1)
