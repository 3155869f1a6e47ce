"""A next hop is gone: mail takes the next one, then the connector of the next cost, and comes back."""
import pytest

from support.mail import RECIPIENT, SENDER, SIMPLE
from support.relay import smart_host
from support.scripted_server import BlackHole, Close, ScriptedServer
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


@pytest.fixture
def second():
    with ScriptedServer("127.0.1.2") as server:
        yield server


def test_the_first_host_is_used_while_it_works(start_relay, server, second):
    relay = start_relay(send=[smart_host(server, second)])
    for _ in range(5):
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    server.wait_messages(5)
    assert not second.sessions


@pytest.mark.parametrize("way", ["refuses", "greets 554", "greets 421", "hangs up", "answers no SYN"])
def test_the_next_host_takes_over_in_the_same_attempt(start_relay, server, second, way):
    hole, first = None, server
    if way == "refuses":
        server.stop_listening()
    elif way == "hangs up":
        server.on("banner", Close())
    elif way == "answers no SYN":
        first = hole = BlackHole("127.0.1.3")
    else:
        server.on("banner", way[7:] + " not today")
    relay = start_relay(send=[smart_host(first, second, connect_timeout="700ms")],
                        queue={"retry_first": "1h", "retry_max": "1h"})
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    second.wait_messages(1)
    assert not server.messages
    if hole:
        hole.__exit__()


def test_the_first_host_is_used_again_when_it_is_back(start_relay, server, second):
    server.stop_listening()
    relay = start_relay(send=[smart_host(server, second, host_backoff="300ms", idle_timeout="300ms")])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    second.wait_messages(1)
    server.listen()

    def one_more():
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
        return server.messages
    wait_until(one_more, 20, "the first host in use again", every=0.2)


def test_hosts_are_used_in_turn_when_balanced(start_relay, server, second):
    relay = start_relay(send=[smart_host(server, second, balance=True, max_messages_per_connection=1)])
    for _ in range(20):
        relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    wait_until(lambda: len(server.delivered) + len(second.delivered) == 20, what="20 delivered")
    assert server.delivered and second.delivered


def test_the_connector_of_the_next_cost_takes_over(start_relay, server, second):
    server.stop_listening()
    relay = start_relay(send=[
        smart_host(server, name="cheap", address_spaces=[{"domain": "*", "cost": 1}]),
        smart_host(second, name="dear", address_spaces=[{"domain": "*", "cost": 10}])])
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    second.wait_messages(1)
    assert relay.log.wait_for(event="delivered", id=message_id)["connector"] == "dear"


def test_a_refusal_is_no_reason_to_take_another_way(start_relay, server, second):
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "@there.test" in a)
    relay = start_relay(send=[
        smart_host(server, second, name="cheap", address_spaces=[{"domain": "*", "cost": 1}]),
        smart_host(second, name="dear", address_spaces=[{"domain": "*", "cost": 10}])])
    relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    relay.log.wait_for(event="bounced")
    assert not second.sessions


def test_the_most_specific_address_space_wins_whatever_it_costs(start_relay, server, second):
    relay = start_relay(send=[
        smart_host(server, name="all", address_spaces=[{"domain": "*", "cost": 1}]),
        smart_host(second, name="one", address_spaces=[{"domain": "there.test", "cost": 50},
                                                       {"domain": ".sub.test", "cost": 50}])])
    for recipient in ("<a@there.test>", "<a@x.sub.test>", "<a@y.x.sub.test>"):
        relay.deliver_in(SENDER, [recipient], SIMPLE)
    for recipient in ("<a@sub.test>", "<a@not-there.test>", "<a@x.there.test>"):
        relay.deliver_in(SENDER, [recipient], SIMPLE)
    second.wait_messages(3)
    server.wait_messages(3)
    assert {m.paths[0] for m in second.delivered} == {"<a@there.test>", "<a@x.sub.test>", "<a@y.x.sub.test>"}


def test_without_a_connector_the_recipient_is_refused_at_once(start_relay, server):
    relay = start_relay(send=[smart_host(server, address_spaces=["there.test"])])
    with relay.smtp() as client:
        client.hello()
        client.command(f"MAIL FROM:{SENDER}", 250)
        assert client.command("RCPT TO:<a@elsewhere.test>", 550).status == "5.4.4"
        client.command("RCPT TO:<a@there.test>", 250)


def test_queued_mail_waits_for_a_connector_and_takes_it(start_relay, server):
    server.on("rcpt", "451 4.7.1 later", times=1)
    relay = start_relay(send=[smart_host(server, address_spaces=["there.test"])],
                        queue={"retry_first": "1s"})
    message_id = relay.deliver_in(SENDER, [RECIPIENT], SIMPLE)
    relay.log.wait_for(event="deferred", id=message_id)
    good = relay.config["send"]
    relay.config["send"] = [smart_host(server, name="other", address_spaces=["other.test"])]
    relay.reload()
    wait_until(lambda: "connector" in str(relay.message(message_id)["recipients"][0]["last_reply"]).lower(),
               15, lambda: f"the reason in {relay.message(message_id)}", every=0.1)
    relay.config["send"] = good
    relay.reload()
    server.wait_messages(1, 15)
