"""A destination that never answers: the sender is told of the delay, then of the failure, in the sender's
mailbox, and nothing stays in the queue."""
import pytest

from support.mail import SENDER, SIMPLE, report_of
from support.ports import free_port
from support.relay import smart_host
from support.scripted_server import BlackHole

pytestmark = pytest.mark.sanitized
QUEUE = {"retry_first": "200ms", "retry_max": "400ms", "lifetime": "3s", "delay_notice": "1s"}


class Nobody:
    """An address where nothing listens."""
    address = "127.0.1.77"

    def __init__(self):
        self.port = free_port()


def connectors(server, dead):
    return [smart_host(server, name="mailboxes", address_spaces=["here.test"]),
            smart_host(dead, name="dead", address_spaces=["dead.test"], connect_timeout="500ms")]


@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_delay_notice_then_failure_notice_then_nothing(start_relay, server, kind):
    with BlackHole() as hole:
        relay = start_relay(send=connectors(server, Nobody() if kind == "refused" else hole),
                            queue=QUEUE)
        message_id = relay.deliver_in(SENDER, ["<gone@dead.test>"], SIMPLE)
        delay, failure = server.wait_messages(2, 20)
        relay.drain()
    assert delay.sender == failure.sender == "<>"
    assert delay.paths == failure.paths == [SENDER]
    fields = report_of(delay.content).recipient("gone@dead.test")
    assert fields["action"] == "delayed" and fields["status"].startswith("4.")
    assert "will-retry-until" in fields
    fields = report_of(failure.content).recipient("gone@dead.test")
    assert fields["action"] == "failed" and fields["status"][0] in "45"
    assert "simple" in report_of(failure.content).original.decode()
    expired = relay.log.wait_for(event="expired", id=message_id)
    assert expired["recipient"] == "gone@dead.test" and expired["delay_s"] >= 2.5
    assert relay.metric("sluice_notices_total", kind="delay") == 1
    assert relay.metric("sluice_notices_total", kind="failure") == 1
    assert relay.metric("sluice_messages_accepted_total") == 1
    assert relay.metric("sluice_deliveries_total", connector="dead", result="expired") == 1
    assert relay.metric("sluice_queue_messages") == 0


def test_only_one_delay_notice_even_over_a_restart(start_relay, server):
    relay = start_relay(send=connectors(server, Nobody()),
                        queue=QUEUE | {"lifetime": "1h", "delay_notice": "500ms"})
    relay.deliver_in(SENDER, ["<gone@dead.test>"], SIMPLE)
    server.wait_messages(1)
    attempts = relay.log.mark()
    relay.restart()
    relay.log.wait_for(event="deferred", after=attempts, count=3)
    assert len(server.messages) == 1


def test_a_dead_message_from_nobody_tells_nobody(start_relay, server):
    relay = start_relay(send=connectors(server, Nobody()), queue=QUEUE)
    relay.deliver_in("<>", ["<gone@dead.test>"], SIMPLE)
    relay.log.wait_for(event="expired")
    relay.drain()
    assert server.messages == [] and relay.metric("sluice_notices_total") == 0


def test_no_notice_for_those_who_asked_for_none(start_relay, server):
    relay = start_relay(send=connectors(server, Nobody()), queue=QUEUE)
    relay.deliver_in(SENDER, ["<gone@dead.test>"], SIMPLE, rcpt="NOTIFY=NEVER")
    relay.log.wait_for(event="expired")
    relay.drain()
    assert server.messages == []


def test_a_refused_recipient_is_reported_at_once(start_relay, server):
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "nobody@" in a)
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE)
    notice = server.wait_messages(1)[0]
    relay.drain()
    fields = report_of(notice.content).recipient("nobody@there.test")
    assert (fields["action"], fields["status"]) == ("failed", "5.1.1")
    assert "550 5.1.1 no such user" in fields["diagnostic-code"].replace("\r\n", "")
    assert server.address in fields.get("remote-mta", "")
    bounced = relay.log.wait_for(event="bounced", id=message_id)
    assert bounced["code"] == 550 and bounced["status"] == "5.1.1"
    assert relay.log.find(event="notice")


def test_a_notice_that_cannot_be_delivered_makes_no_other(start_relay, server):
    server.on("rcpt", "550 5.1.1 no such user")
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<nobody@there.test>"], SIMPLE)
    relay.log.wait_for(event="bounced", count=2)
    relay.drain()
    assert relay.metric("sluice_notices_total", kind="failure") == 1
    assert len(server.commands("RCPT")) == 2
