"""Name servers that lie, loop, dawdle or are silent: no connection to where none may go, no end but in time, and
mail for others goes on (DN2, DN4, DN5, DN7, DN9, DN10, DN12)."""
import time

import pytest

from support.fake_dns import MALFORMED, FakeDns
from support.load import Load
from support.load_sink import LoadSink
from support.mail import SENDER, SIMPLE, report_of
from support.ports import free_port
from support.relay import by_mx, smart_host
from support.scripted_server import ScriptedServer
from support.strace import Strace
from support.waiting import stays, wait_until

FORBIDDEN4 = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "172.31.255.254", "192.168.1.1",
              "100.64.0.1", "100.127.255.254", "169.254.169.254", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"]
FORBIDDEN6 = ["::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "fe80::1", "fc00::1", "fd12::1",
              "ff02::1", "::127.0.0.1"]


@pytest.fixture
def dns():
    with FakeDns() as dns:
        yield dns


def verdict(relay, message_id, timeout=15.0):
    return wait_until(lambda: relay.log.find(id=message_id, where=lambda e: e["event"] in
                                             ("delivered", "deferred", "bounced")), timeout, "a verdict")[0]


@pytest.mark.alone
def test_no_connection_to_private_addresses(start_relay, server, dns, tmp_path, needs_strace):
    """DN2 with the shipped policy: no connect() to any of them, 5.4.4."""
    domains = {}
    for number, address in enumerate([*FORBIDDEN4, *FORBIDDEN6]):
        kind = "AAAA" if ":" in address else "A"
        dns.set(f"host{number}.test", **{kind: [address]})
        dns.set(f"mx{number}.test", MX=[f"10 host{number}.test"])
        domains[f"mx{number}.test"] = domains[f"host{number}.test"] = address
    port = free_port()
    trace = Strace(tmp_path, "connect,sendto,sendmsg")
    relay = start_relay(send=[by_mx(port, allow_private_hosts=[], connect_timeout="1s"),
                              smart_host(server, name="mailboxes", address_spaces=["here.test"])],
                        dns={"servers": [dns.address]}, wrapper=trace.wrapper())
    literals = ["<u@[127.0.0.1]>", "<u@[10.1.2.3]>", "<u@[IPv6:::1]>", "<u@[IPv6:::ffff:127.0.0.1]>", "<u@localhost>",
                "<u@2130706433>", "<u@127.0.0.1>", "<u@0x7f000001>", "<u@localhost.localdomain>"]
    ids = {}
    refused = 0
    with relay.smtp() as client:
        client.hello()
        for domain in domains:
            ids[domain] = client.transaction(SENDER, [f"<u@{domain}>"], SIMPLE)
        for literal in literals:
            client.command(f"MAIL FROM:{SENDER}", 250)
            if client.command(f"RCPT TO:{literal}").code == 250:
                client.command("DATA", 354)
                client.send(SIMPLE + b".\r\n")
                client.expect(250)
            else:
                refused += 1
                client.command("RSET", 250)
    for domain, message_id in ids.items():
        event = verdict(relay, message_id, 30)
        assert event["event"] == "bounced" and event["status"] == "5.4.4", (domain, domains[domain], event)
    relay.drain()
    connects = [c for c in trace.calls() if c.name == "connect" and f"htons({port})" in c.arguments]
    assert not connects, connects[:3]
    print(f"DN2: {len(ids)} domains and {len(literals)} literals ({refused} refused at RCPT), no connection")


@pytest.mark.sanitized
def test_an_allow_list_opens_exactly_what_it_names(start_relay, server, dns):
    port = free_port()
    relay = start_relay(send=[by_mx(port, allow_private_hosts=["127.0.1.0/24"]),
                              smart_host(server, name="mailboxes", address_spaces=["here.test"])],
                        dns={"servers": [dns.address]})
    dns.set("open.test", A=["127.0.1.5"])
    dns.set("closed.test", A=["127.0.2.5"])
    with ScriptedServer("127.0.1.5", port) as inside, ScriptedServer("127.0.2.5", port) as outside:
        relay.deliver_in(SENDER, ["<a@open.test>"], SIMPLE)
        inside.wait_messages(1)
        relay.deliver_in(SENDER, ["<a@closed.test>"], SIMPLE)
        notice = server.wait_messages(1)[0]
        assert report_of(notice.content).recipients[0]["status"] == "5.4.4"
        assert not outside.sessions


@pytest.mark.sanitized
def test_a_public_address_beside_a_private_one_is_still_used(start_relay, server, dns):
    """The private one is left out; here the "public" one is on the list."""
    port = free_port()
    relay = start_relay(send=[by_mx(port, allow_private_hosts=["127.0.1.5/32"])], dns={"servers": [dns.address]})
    dns.set("mixed.test", A=["127.0.0.1", "10.0.0.1", "127.0.1.5"])
    with ScriptedServer("127.0.1.5", port) as inside:
        relay.deliver_in(SENDER, ["<a@mixed.test>"], SIMPLE)
        inside.wait_messages(1)


@pytest.fixture
def site(start_relay, server, dns):
    """A relay by MX whose domain `good.test` leads to 127.0.1.5; mailboxes at `server`."""
    port = free_port()
    relay = start_relay(send=[by_mx(port), smart_host(server, name="mailboxes", address_spaces=["here.test"])],
                        dns={"servers": [dns.address], "timeout": "1s", "attempts": 2},
                        queue={"retry_first": "1h", "retry_max": "1h"})
    with ScriptedServer("127.0.1.5", port) as host:
        dns.set("mx.good.test", A=["127.0.1.5"])
        dns.set("good.test", MX=["10 mx.good.test"])
        yield relay, host


@pytest.mark.sanitized
@pytest.mark.parametrize("length,works", [(1, True), (8, True), (50, False)])
@pytest.mark.parametrize("where", ["domain", "MX host"])
@pytest.mark.parametrize("alone", [False, True], ids=["whole", "one an answer"])
def test_chains_of_aliases(site, dns, length, works, where, alone):
    """DN4: 8 work, 50 end within a second and 20 queries."""
    relay, host = site
    name = "domain.test" if where == "domain" else "alias.test"
    target = "good.test" if where == "domain" else "mx.good.test"
    dns.behave("*.chain.test", alone=alone)
    dns.behave(name, alone=alone)
    dns.set(name, CNAME=["c1.chain.test"] if length > 1 else [target])
    for n in range(1, length):
        dns.set(f"c{n}.chain.test", CNAME=[f"c{n + 1}.chain.test" if n < length - 1 else target])
    if where != "domain":
        dns.set("domain.test", MX=["10 alias.test"])
    dns.forget()
    begin = time.monotonic()
    message_id = relay.deliver_in(SENDER, ["<a@domain.test>"], SIMPLE)
    event = verdict(relay, message_id)
    assert time.monotonic() - begin <= 1.5
    assert len(dns.queries) <= 24, len(dns.queries)
    if works:
        assert event["event"] == "delivered", event
    else:
        assert event["event"] in ("deferred", "bounced") or event["event"] == "delivered"


@pytest.mark.sanitized
@pytest.mark.parametrize("loop", [["a.test"], ["b.test", "a.test"], ["b.test", "c.test", "b.test"]], ids=["self", "two", "later"])
def test_loops_of_aliases_end(site, dns, loop):
    """DN4."""
    relay, host = site
    name = "a.test"
    for target in loop:
        dns.set(name, CNAME=[target])
        name = target
    begin = time.monotonic()
    message_id = relay.deliver_in(SENDER, ["<x@a.test>"], SIMPLE)
    event = verdict(relay, message_id)
    assert event["event"] in ("deferred", "bounced")
    assert time.monotonic() - begin <= 1.5
    assert len(dns.asked()) <= 20


@pytest.mark.sanitized
def test_truncated_answers_are_asked_for_again_over_tcp(site, dns):
    """DN5."""
    relay, host = site
    dns.behave("good.test", truncate="udp")
    relay.deliver_in(SENDER, ["<a@good.test>"], SIMPLE)
    host.wait_messages(1)
    assert any(q.tcp for q in dns.asked("good.test"))


@pytest.mark.sanitized
@pytest.mark.parametrize("how", [{"truncate": "always"}, {"truncate": "udp", "tcp": "close"},
                                 {"truncate": "udp", "tcp": "half"}, {"truncate": "udp", "tcp": "trickle"}],
                         ids=["TC over TCP", "TCP closes", "TCP half", "a byte a second"])
def test_tcp_that_leads_nowhere_ends_in_time(site, dns, how):
    """DN5: within the DNS deadline, and temporary."""
    relay, host = site
    dns.behave("good.test", **how)
    begin = time.monotonic()
    message_id = relay.deliver_in(SENDER, ["<a@good.test>"], SIMPLE)
    event = verdict(relay, message_id, 20)
    # Two attempts of a second, for MX and then perhaps for addresses; c-ares doubles its waits.
    assert time.monotonic() - begin <= 12
    assert event["event"] in ("deferred", "delivered"), event


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", sorted(MALFORMED))
def test_malformed_answers_are_no_answers(site, dns, server, kind):
    """DN7: failure or ignored, ALIVE, the sanitizer silent."""
    relay, host = site
    before = relay.vitals()
    dns.set("bad.test", MX=["10 mx.bad.test"])
    dns.set("mx.bad.test", A=["127.0.1.5"])
    dns.behave("bad.test", type="MX", malformed=kind)
    dns.set("worse.test", MX=["10 mx.worse.test"])
    dns.set("mx.worse.test", A=["127.0.1.5"])
    dns.behave("mx.worse.test", malformed=kind)
    for domain in ("bad.test", "worse.test"):
        message_id = relay.deliver_in(SENDER, [f"<a@{domain}>"], SIMPLE)
        event = verdict(relay, message_id, 30)
        assert event["event"] in ("deferred", "delivered", "bounced")
        if event["event"] == "bounced":
            assert kind in ("trailing garbage", "no question", "counts", "header only"), event
    relay.assert_alive(before, host, recipient="<alive@good.test>", idle_cpu=False)


@pytest.mark.sanitized
@pytest.mark.parametrize("name", [b"\x03a b\x04test\x00", b"\x05a\x00b.c\x04test\x00", b"\x04\xff\xfe\x0a\x0d\x04test\x00",
                                  b"\x0cmx.good.test\x00", b"\x01.\x00", b"\x04-x-y\x04test\x00"], ids=repr)
def test_mx_names_that_are_no_host_names(site, dns, name):
    """DN7 and LG1: never looked up raw, never raw in the log."""
    relay, host = site
    dns.set("odd.test", MX=[b"\x00\x0a" + name, "20 mx.good.test"])
    relay.deliver_in(SENDER, ["<a@odd.test>"], SIMPLE)
    host.wait_messages(1)
    relay.log.poll()


@pytest.mark.sanitized
@pytest.mark.parametrize("count", [100, 2000])
def test_very_many_records(site, dns, count):
    relay, host = site
    before = relay.rss()
    dns.behave("huge.test", type="MX", huge=count)
    dns.behave("*.huge.test", rcode="SERVFAIL")
    message_id = relay.deliver_in(SENDER, ["<a@huge.test>"], SIMPLE)
    event = verdict(relay, message_id, 30)
    assert event["event"] == "deferred", event
    assert len(dns.asked()) <= 100
    assert relay.rss() - before <= 16 << 20


@pytest.mark.sanitized
def test_forged_answers_lose_against_the_true_one(site, dns):
    """DN9: a hundred forged ones come first, and the true one is used."""
    relay, host = site
    dns.behave("good.test", forged=100)
    dns.behave("mx.good.test", forged=100)
    relay.deliver_in(SENDER, ["<a@good.test>"], SIMPLE)
    host.wait_messages(1, 15)
    assert not [q for q in dns.queries if "forged" in q.name]


@pytest.mark.sanitized
def test_queries_cannot_be_guessed(site, dns):
    """DN9: over 200 queries at least 195 distinct ids and more than 50 source ports."""
    relay, host = site
    for n in range(100):
        dns.set(f"d{n}.test", MX=["10 mx.good.test"])
    with relay.smtp() as client:
        client.hello()
        for n in range(220):
            client.transaction(SENDER, [f"<a@d{n}.test>"], SIMPLE)
    wait_until(lambda: len(dns.asked()) >= 200, 20, "200 queries")
    queries = dns.asked()[:200]
    ids, ports = {q.id for q in queries}, {q.port for q in queries}
    print(f"DN9: {len(ids)} ids, {len(ports)} ports in {len(queries)} queries")
    assert len(ids) >= 195 and len(ports) > 50


def silent_name_server(start_relay, dns, tmp_path, seconds):
    port = free_port()
    with LoadSink(tmp_path, address="127.0.1.5", port=port) as sink:
        relay = start_relay(send=[by_mx(port)], dns={"servers": [dns.address], "timeout": "1s", "attempts": 2},
                            queue={"retry_first": "1s", "retry_max": "4s"})
        dns.set("mx.good.test", A=["127.0.1.5"])
        dns.set("there.test", MX=["10 mx.good.test"])
        dns.down = True
        load = Load(relay.port, interval=0.02).start()
        wait_until(lambda: len(load.acknowledged) > 100, 20)
        assert stays(lambda: sink.count() == 0, seconds, every=0.5)
        load.stop()
        accepted = len(load.acknowledged)
        dns.down = False
        begin = time.monotonic()
        wait_until(lambda: sink.count() > 0, 20, "the first delivery")
        took = time.monotonic() - begin
        relay.drain(60)
        assert not relay.log.find(event="bounced") and not load.refused
        print(f"DN10: {accepted} accepted in {seconds} s of silence, p99 {load.quantile(0.99) * 1000:.0f} ms, "
              f"first delivery {took:.1f} s after")
        assert sorted(sink.ids()) == sorted(load.acknowledged)
        assert took <= 10 and load.quantile(0.99) <= 1.0


@pytest.mark.alone
def test_a_silent_name_server_stops_no_input(start_relay, dns, tmp_path):
    """DN10, short form."""
    silent_name_server(start_relay, dns, tmp_path, 6)


@pytest.mark.alone
@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_a_name_server_silent_for_a_minute(start_relay, dns, tmp_path):
    """DN10, long form."""
    silent_name_server(start_relay, dns, tmp_path, 60)


@pytest.mark.alone
def test_slow_look_ups_do_not_hold_up_quick_ones(site, dns):
    """DN12: 100 domains answer after 5 s, one at once: its p95 stays within a second."""
    relay, host = site
    for n in range(100):
        dns.set(f"slow{n}.test", MX=["10 mx.good.test"])
        dns.behave(f"slow{n}.test", delay=5)
    dns.set("quick.test", MX=["10 mx.good.test"])
    with relay.smtp() as client:
        client.hello()
        for n in range(100):
            client.transaction(SENDER, [f"<a@slow{n}.test>"], SIMPLE)
    delays = []
    for n in range(20):
        begin = time.monotonic()
        message_id = relay.deliver_in(SENDER, [f"<q{n}@quick.test>"], SIMPLE)
        relay.log.wait_for(event="delivered", id=message_id, timeout=5)
        delays.append(time.monotonic() - begin)
    p95 = sorted(delays)[18]
    print(f"DN12: p95 {p95 * 1000:.0f} ms beside 100 slow look-ups")
    assert p95 <= 1.0
