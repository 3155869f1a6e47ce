"""Mail that goes round in circles is stopped: by its Received fields, by names that are our own, and between two
relays that point at each other (AR7, HS19)."""
import pytest

from support.fake_dns import FakeDns
from support.mail import RECIPIENT, SENDER, SIMPLE, report_of
from support.relay import Relay, by_mx, smart_host

pytestmark = pytest.mark.sanitized


def with_received(count):
    field = b"Received: from a.test by b.test; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    return field * count + SIMPLE


def test_fifty_received_fields_pass_and_fifty_one_do_not(start_relay, server):
    relay = start_relay(send=[smart_host(server)])
    with relay.smtp() as client:
        client.hello()
        client.transaction(SENDER, [RECIPIENT], with_received(50))
        client.envelope(SENDER, [RECIPIENT])
        client.command("DATA", 354)
        client.send(with_received(51) + b".\r\n")
        assert client.expect(554).status == "5.4.6"
    server.wait_messages(1)


def test_received_in_the_body_or_with_another_name_does_not_count(start_relay, server):
    relay = start_relay(send=[smart_host(server)], receive={"max_received": 5})
    relay.deliver_in(SENDER, [RECIPIENT], b"X-Received: x\r\n" * 20 + b"Received-SPF: y\r\n" * 20 + SIMPLE
                     + b"Received: z\r\n" * 20)
    server.wait_messages(1)


def test_two_relays_that_point_at_each_other_stop_with_one_notice(start_relay, server):
    """AR7."""
    first = start_relay(start=False, receive={"max_received": 10}, top={"hostname": "first.test"})
    second = start_relay(start=False, receive={"max_received": 10}, top={"hostname": "second.test"})
    for relay, other in ((first, second), (second, first)):
        other.address = "127.0.0.1"
        relay.config["send"] = [smart_host(server, name="mailboxes", address_spaces=["here.test"]),
                                smart_host(other, name="other")]
    second.start()
    first.start()
    first.deliver_in(SENDER, ["<round@circle.test>"], SIMPLE)
    notice = server.wait_messages(1, 20)[0]
    first.drain()
    second.drain()
    assert report_of(notice.content).recipient("round@circle.test")["status"] == "5.4.6"
    assert len(server.messages) == 1


@pytest.mark.parametrize("where", ["banner", "ehlo"])
def test_an_mx_host_with_our_own_name_is_a_loop(start_relay, server, where):
    """HS19. A smart host may be a part of this machine, so there the name says nothing."""
    server.on(where, "220 relay.test ESMTP" if where == "banner" else "250 relay.test")
    with FakeDns({"loop.test": {"MX": ["10 mx.loop.test"]}, "mx.loop.test": {"A": [server.address]}}) as dns:
        relay = start_relay(send=[by_mx(server.port)], dns={"servers": [dns.address]})
        loop_by_name(relay, server)


def loop_by_name(relay, server):
    message_id = relay.deliver_in("<>", ["<a@loop.test>"], SIMPLE)
    event = relay.log.wait_for(id=message_id, where=lambda e: e["event"] in ("bounced", "deferred"))
    assert event["event"] == "bounced" and event["status"] == "5.4.6", event
    assert not server.messages


def test_a_connector_that_leads_to_our_own_listener(start_relay, server, tmp_path):
    """HS19: at most one hop."""
    relay = start_relay(start=False)
    assert isinstance(relay, Relay)
    relay.address = "127.0.0.1"
    relay.config["send"] = [smart_host(server, name="mailboxes", address_spaces=["here.test"]),
                            smart_host(relay, name="self")]
    relay.start()
    relay.deliver_in(SENDER, ["<a@self.test>"], SIMPLE)
    notice = server.wait_messages(1, 15)[0]
    assert report_of(notice.content).recipients[0]["status"] == "5.4.6"
    assert relay.metric("sluice_messages_accepted_total") <= 2
