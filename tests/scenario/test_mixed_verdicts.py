"""One message, several recipients, different answers: each recipient gets what its own reply says."""
import pytest

from support.mail import SENDER, SIMPLE, report_of
from support.relay import smart_host
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized


def test_one_delivered_one_deferred_one_in_a_failure_notice(start_relay, server):
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "no@" in a)
    server.on("rcpt", "451 4.2.1 busy", when=lambda a: "later@" in a, times=1)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "1s"})
    message_id = relay.deliver_in(SENDER, ["<yes@there.test>", "<later@there.test>", "<no@there.test>"],
                                  SIMPLE)
    relay.log.wait_for(event="delivered", id=message_id, recipient="yes@there.test")
    relay.log.wait_for(event="deferred", id=message_id, recipient="later@there.test")
    relay.log.wait_for(event="bounced", id=message_id, recipient="no@there.test")
    relay.log.wait_for(event="delivered", id=message_id, recipient="later@there.test")
    server.wait_messages(3)
    relay.drain()
    by_path = {message.paths[0]: message for message in server.delivered}
    assert set(by_path) == {"<yes@there.test>", "<later@there.test>", SENDER}
    report = report_of(by_path[SENDER].content)
    assert [r["status"] for r in report.recipients] == ["5.1.1"]
    assert all(len(ends) == 1 for ends in relay.log.ends().values())


def test_all_refused_in_one_notice(start_relay, server):
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "@there.test" in a)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, [f"<no{n}@there.test>" for n in range(10)], SIMPLE)
    server.wait_messages(1)
    relay.drain()
    assert len(server.delivered) == 1
    assert len(report_of(server.delivered[0].content).recipients) == 10


def test_many_refused_in_a_few_notices_that_name_each(start_relay, server):
    """A notice names up to a hundred recipients, and stays small."""
    server.on("rcpt", "550 5.1.1 no such user, and some more words", when=lambda a: "@there.test" in a)
    relay = start_relay(send=[smart_host(server)], receive={"max_recipients": 300})
    recipients = [f"<{'long' * 10}{n}@there.test>" for n in range(250)]
    relay.deliver_in(SENDER, recipients, SIMPLE)
    relay.drain()
    named = []
    for notice in server.delivered:
        assert len(notice.content) <= 65536
        fields = report_of(notice.content).recipients
        assert len(fields) <= 100
        named += [f"<{one['final-recipient'].split('; ')[1]}>" for one in fields]
    assert sorted(named) == sorted(recipients)


def test_the_notice_names_the_host_and_its_address(start_relay, server):
    """RFC 3464 section 2.3.5 wants a name or an address; a port is neither."""
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "no@" in a)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<no@there.test>"], SIMPLE)
    report = report_of(server.wait_messages(1)[0].content)
    assert report.recipients[0]["remote-mta"] == f"dns; [{server.address}]"
    assert f"The server [{server.address}] said:" in report.text
    assert f":{server.port}" not in report.text


@pytest.mark.parametrize("reply", ["550 no", "550 5.1.1 no such user", "552 5.2.2 over quota"])
def test_the_notice_repeats_the_reply_word_for_word(start_relay, server, reply):
    server.on("rcpt", reply, when=lambda a: "no@" in a)
    relay = start_relay(send=[smart_host(server)], queue={"lifetime": "1s"})
    relay.deliver_in(SENDER, ["<no@there.test>"], SIMPLE)
    fields = report_of(server.wait_messages(1)[0].content).recipients[0]
    assert fields["diagnostic-code"] == f"smtp; {reply}"


def test_refused_behind_the_dot_counts_for_all(start_relay, server):
    server.on("eod", "554 5.7.1 we do not like it", times=1)
    relay = start_relay(send=[smart_host(server)])
    message_id = relay.deliver_in(SENDER, ["<a@there.test>", "<b@there.test>"], SIMPLE)
    relay.log.wait_for(event="bounced", id=message_id, count=2)
    notice = server.wait_messages(1)[0]
    assert {r["status"] for r in report_of(notice.content).recipients} == {"5.7.1"}


@pytest.mark.parametrize("code", ["452 4.5.3 too many", "552 5.5.3 too many"])
def test_too_many_for_one_transaction_go_at_once_in_the_next(start_relay, server, code):
    taken = []

    def limit(session, argument):
        place = sum(1 for c in session.commands if c.line.upper().startswith("RCPT"))
        place -= sum(1 for c in session.commands[:_last_mail(session)] if c.line.upper().startswith("RCPT"))
        taken.append(argument)
        return "250 2.1.5 ok" if place <= 10 else code

    def _last_mail(session):
        return max(n for n, c in enumerate(session.commands) if c.line.upper().startswith("MAIL"))

    server.on("rcpt", limit)
    relay = start_relay(send=[smart_host(server)], queue={"retry_first": "1h"})
    recipients = [f"<r{n}@there.test>" for n in range(35)]
    relay.deliver_in(SENDER, recipients, SIMPLE)
    server.wait_messages(4)
    wait_until(lambda: len(relay.log.find(event="delivered")) == 35, what="35 delivered")
    paths = [path for message in server.delivered for path in message.paths]
    assert sorted(paths) == sorted(recipients)


def test_data_refused_after_all_recipients_were(start_relay, server):
    """RFC 2920 section 3.1: DATA may be taken although no recipient was; then a lone dot."""
    server.on("rcpt", "550 5.1.1 no such user", when=lambda a: "@there.test" in a)
    server.on("data", "354 go on all the same", when=lambda a: a == "none", times=1)
    server.on("eod", "554 5.5.1 no recipients", when=lambda m: not m.recipients)
    relay = start_relay(send=[smart_host(server)])
    relay.deliver_in(SENDER, ["<no@there.test>"], SIMPLE)
    relay.log.wait_for(event="bounced")
    wait_until(lambda: any(m.paths == [SENDER] for m in server.delivered), what="the notice")
    assert all(m.content == b"" for m in server.messages if not m.recipients)
