"""The DNS says where mail goes: MX hosts in their order, their addresses, or that there is no mail at all."""
import pytest

from support.fake_dns import FakeDns
from support.mail import SENDER, SIMPLE, report_of
from support.ports import free_port
from support.relay import by_mx, smart_host
from support.scripted_server import ScriptedServer
from support.waiting import stays, wait_until

pytestmark = pytest.mark.sanitized


class Net:
    """A name server, MX hosts on 127.0.1.x (all on one port), and mailboxes for notices."""

    def __init__(self):
        self.port = free_port()
        self.dns = FakeDns()
        self.hosts = {}
        self.mailboxes = ScriptedServer("127.0.1.200")

    def host(self, last, **settings):
        address = f"127.0.1.{last}"
        if address not in self.hosts:
            self.hosts[address] = ScriptedServer(address, self.port, name=f"mx{last}.test", **settings)
            self.dns.set(f"mx{last}.test", A=[address])
        return self.hosts[address]

    def connectors(self, **settings):
        return [by_mx(self.port, **settings), smart_host(self.mailboxes, name="mailboxes", address_spaces=["here.test"])]

    def settings(self, **dns):
        return {"dns": {"servers": [self.dns.address], "timeout": "1s", "attempts": 2} | dns}

    def close(self):
        self.dns.close()
        for server in [*self.hosts.values(), self.mailboxes]:
            server.close()
            assert not server.violations, server.violations[:3]


@pytest.fixture
def net():
    net = Net()
    yield net
    net.close()


@pytest.fixture
def relay(start_relay, net):
    return start_relay(send=net.connectors(), **net.settings())


def test_the_host_of_the_lowest_preference_is_used(net, relay):
    first, second = net.host(1), net.host(2)
    net.dns.set("there.test", MX=["20 mx2.test", "10 mx1.test"])
    for _ in range(5):
        relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    first.wait_messages(5)
    assert not second.sessions
    event = relay.log.wait_for(event="delivered")
    assert event["mx"] == "mx1.test" and event["destination"] == "there.test"
    assert relay.queues() == {} or "there.test" in relay.queues()


def test_the_next_preference_when_the_first_is_down(net, relay):
    first, second = net.host(1), net.host(2)
    first.stop_listening()
    net.dns.set("there.test", MX=["10 mx1.test", "20 mx2.test"])
    relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    second.wait_messages(1)


def test_hosts_of_equal_preference_share_the_load(net, start_relay):
    relay = start_relay(send=net.connectors(max_messages_per_connection=1, max_connections=1), **net.settings())
    hosts = [net.host(n) for n in (1, 2, 3)]
    net.dns.set("there.test", MX=[f"10 mx{n}.test" for n in (1, 2, 3)])
    for _ in range(40):
        relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    wait_until(lambda: sum(len(h.delivered) for h in hosts) == 40, what="40 delivered")
    assert all(h.delivered for h in hosts), [len(h.delivered) for h in hosts]


def test_all_addresses_of_a_host_are_tried(net, relay):
    good = net.host(5)
    net.dns.set("multi.test", A=["127.0.1.3", "127.0.1.4", "127.0.1.5"])
    net.dns.set("there.test", MX=["10 multi.test"])
    relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    good.wait_messages(1)


def test_without_mx_the_address_of_the_domain_is_used(net, relay):
    """RFC 5321 section 5.1: the implicit MX."""
    host = net.host(1)
    net.dns.set("there.test", A=["127.0.1.1"])
    relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    host.wait_messages(1)


def test_a_null_mx_is_final(net, relay):
    """RFC 7505: 5.1.10, at once."""
    net.dns.set("there.test", MX=["0 ."], A=["127.0.1.1"])
    host = net.host(1)
    relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    notice = net.mailboxes.wait_messages(1)[0]
    assert report_of(notice.content).recipient("a@there.test")["status"] == "5.1.10"
    assert not host.sessions


def test_an_internationalised_domain_is_looked_up_by_its_a_label(net, relay):
    host = net.host(1)
    net.dns.set("xn--grnwald-o2a.test", MX=["10 mx1.test"])
    relay.deliver_in(SENDER, ["<a@grünwald.test>"], SIMPLE, mail="SMTPUTF8")
    host.wait_messages(1)
    assert net.dns.count("xn--grnwald-o2a.test", "MX") >= 1


def test_upper_case_and_a_final_dot_make_no_other_domain(net, relay):
    host = net.host(1)
    net.dns.set("there.test", MX=["10 mx1.test"])
    relay.deliver_in(SENDER, ["<a@THERE.Test>"], SIMPLE)
    assert host.wait_messages(1)[0].paths[0].lower() == "<a@there.test>"
    assert net.dns.count("there.test", "MX") == 1


def test_an_address_literal_needs_no_dns(net, relay):
    host = net.host(1)
    relay.deliver_in(SENDER, ["<a@[127.0.1.1]>"], SIMPLE)
    assert host.wait_messages(1)[0].paths == ["<a@[127.0.1.1]>"]
    assert not [q for q in net.dns.queries if q.type == "MX"]


def test_domains_with_the_same_hosts_share_one_connection(net, start_relay):
    """A destination is the set of hosts; max_connections is its own."""
    relay = start_relay(send=net.connectors(max_connections=1), top={"shards": 1}, **net.settings())
    host = net.host(1)
    for n in range(10):
        net.dns.set(f"d{n}.test", MX=["10 mx1.test"])
    with relay.smtp() as client:
        client.hello()
        for n in range(10):
            client.transaction(SENDER, [f"<a@d{n}.test>"], SIMPLE)
    host.wait_messages(10)
    assert host.peak == 1


def test_an_answer_is_asked_for_once_while_it_lives(net, relay):
    host = net.host(1)
    net.dns.set("there.test", MX=["10 mx1.test"])
    for _ in range(20):
        relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    host.wait_messages(20)
    assert net.dns.count("there.test", "MX") <= 2  # a cache a shard


def test_a_destination_of_its_own_settings(net, start_relay):
    """[[destination]]: by domain, and by MX host."""
    relay = start_relay(send=net.connectors(max_connections=8), **net.settings(), extra={"destination": [
        {"match": ["slow.test"], "max_messages_per_connection": 1}, {"match": ["mx:mx2.test"], "max_messages_per_connection": 2}]})
    first, second = net.host(1), net.host(2)
    net.dns.set("slow.test", MX=["10 mx1.test"])
    net.dns.set("other.test", MX=["10 mx2.test"])
    for n in range(6):
        relay.deliver_in(SENDER, ["<a@slow.test>"], SIMPLE)
        relay.deliver_in(SENDER, ["<a@other.test>"], SIMPLE)
    first.wait_messages(6)
    second.wait_messages(6)
    per_session = [sum(1 for m in h.messages if m.session is s) for h in (first, second) for s in h.sessions]
    assert max(per_session[:len(first.sessions)]) == 1 and max(per_session[len(first.sessions):]) <= 2


# DN1: one row each.
@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "silence"])
def test_a_dns_failure_is_temporary(net, relay, rcode):
    host = net.host(1)
    net.dns.set("there.test", MX=["10 mx1.test"])
    net.dns.behave("there.test", **({"silent": True} if rcode == "silence" else {"rcode": rcode}))
    message_id = relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    event = relay.log.wait_for(event="deferred", id=message_id, timeout=15)
    assert event["status"].startswith("4."), event
    assert not net.mailboxes.messages
    net.dns.behave("there.test")
    host.wait_messages(1, 25)  # a failure is remembered for 10 s at most


def test_a_domain_that_does_not_exist_is_final(net, relay):
    relay.deliver_in(SENDER, ["<a@nowhere.test>"], SIMPLE)
    notice = net.mailboxes.wait_messages(1)[0]
    assert report_of(notice.content).recipient("a@nowhere.test")["status"] == "5.1.2"
    assert relay.log.wait_for(event="bounced")["status"] == "5.1.2"


def test_an_mx_host_without_address_is_temporary(net, relay):
    net.dns.set("there.test", MX=["10 missing.test"])
    message_id = relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    assert relay.log.wait_for(event="deferred", id=message_id)["status"].startswith("4.")
    assert stays(lambda: not relay.log.find(event="bounced"), 1.0)


def test_a_domain_with_neither_mx_nor_address(net, relay):
    net.dns.set("empty.test", TXT=["nothing here"])
    relay.deliver_in(SENDER, ["<a@empty.test>"], SIMPLE)
    event = wait_until(lambda: relay.log.find(recipient="a@empty.test", where=lambda e: e["event"] in
                                              ("bounced", "deferred")), what="a verdict")[0]
    assert event["status"][:3] in ("5.1", "5.4", "4.4"), event


def test_an_mx_of_failing_address_look_up_leaves_the_others(net, relay):
    good = net.host(2)
    net.dns.set("there.test", MX=["10 broken.test", "20 mx2.test"])
    net.dns.behave("broken.test", rcode="SERVFAIL")
    relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    good.wait_messages(1)


def test_half_an_address_look_up_hides_not_the_other_half(net, relay):
    good = net.host(2)
    net.dns.set("half.test", A=["127.0.1.2"])
    net.dns.behave("half.test", type="AAAA", rcode="SERVFAIL")
    net.dns.set("there.test", MX=["10 half.test"])
    relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    good.wait_messages(1)


def test_an_mx_that_leads_to_our_own_listener(net, start_relay):
    """HS19: 5.4.6 after at most one hop."""
    relay = start_relay(start=False, send=net.connectors(), **net.settings())
    relay.config["send"][0]["port"] = relay.port
    relay.start()
    net.dns.set("loop.test", MX=["10 self.test"])
    net.dns.set("self.test", A=["127.0.0.1"])
    relay.deliver_in(SENDER, ["<a@loop.test>"], SIMPLE)
    notice = net.mailboxes.wait_messages(1, 15)[0]
    assert report_of(notice.content).recipient("a@loop.test")["status"] == "5.4.6"
    assert relay.metric("sluice_messages_accepted_total") <= 2


def test_our_own_name_among_the_mx_hosts_cuts_off_those_behind(net, relay):
    """RFC 5321 section 5.1: hosts of our own and of higher preference values are left out."""
    better, worse = net.host(1), net.host(3)
    better.stop_listening()
    net.dns.set("relay.test", A=["127.0.1.9"])
    net.dns.set("there.test", MX=["10 mx1.test", "20 relay.test", "30 mx3.test"])
    message_id = relay.deliver_in(SENDER, ["<a@there.test>"], SIMPLE)
    relay.log.wait_for(event="deferred", id=message_id)
    assert not worse.sessions
