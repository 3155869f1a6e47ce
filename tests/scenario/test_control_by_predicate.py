"""What an operator describes by its properties is what is touched, as a dry run says before; and it can be sent another way."""
import json

import pytest

from support.fake_dns import FakeDns
from support.relay import by_mx, smart_host
from support.scripted_server import ScriptedServer
from support.waiting import stays, wait_until

SLOW_RETRY = {"retry_first": "1h", "retry_max": "1h"}


def content(size=0):
    return b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (size // 72)


@pytest.fixture
def waiting(start_relay):
    """Messages that wait: each with its own sender, size and reply; their ids by name."""
    with FakeDns({f"{name}.test": {"MX": [f"10 {name}.mail.test"]} for name in ("one", "two")}) as dns, \
            ScriptedServer(address="127.0.1.8") as hosts, ScriptedServer(address="127.0.1.9") as way_out:
        for name in ("one", "two"):
            dns.set(f"{name}.mail.test", A=[hosts.address])
        hosts.on("rcpt", "451 4.7.1 Slow Down", when=lambda a: "@one.test" in a)
        hosts.on("rcpt", "450 4.2.1 greylisted", when=lambda a: "@two.test" in a)
        relay = start_relay(send=[by_mx(hosts.port, address_spaces=["*"]),
                                  smart_host(way_out, name="backup", address_spaces=["backup.invalid"])],
                            dns={"servers": [dns.address]}, queue=SLOW_RETRY)
        ids = {"slow": relay.deliver_in("<app@shop.test>", ["<a@one.test>"], content()),
               "grey": relay.deliver_in("<news@News.test>", ["<b@two.test>"], content(60_000)),
               "null": relay.deliver_in("<>", ["<c@two.test>"], content())}
        wait_until(lambda: len(relay.messages(state="deferred")) == 3, 10, "three that wait")
        yield relay, ids, hosts, way_out


def matched(relay, *filters, action="hold"):
    result = json.loads(relay.cli(action, "--dry-run", "--json", *filters).stdout)
    assert result["dry_run"] is True and result["changed"] == 0
    return result["matched"]


def listed(relay, ids, *filters):
    items = json.loads(relay.cli("message", "list", "--json", *filters).stdout)["items"]
    return {name for name, known in ids.items() if known in [item["id"] for item in items]}


def test_each_property_chooses_what_has_it(waiting):
    relay, ids, _, _ = waiting
    for filters, meant in [
            (["--sender-domain", "news.TEST"], {"grey"}), (["--sender-domain", "test"], set()),
            (["--mx", "one.mail.test"], {"slow"}), (["--mx", "*.mail.test"], {"slow", "grey", "null"}),
            (["--reply", r"4\.7\.1 slow"], {"slow"}), (["--reply", "^two.*grey"], {"grey", "null"}),
            (["--reply", "grey", "--larger-than", "50KiB"], {"grey"}),
            (["--mx", "two.*", "--reply", "slow"], set()),
            (["--larger-than", "1KiB"], {"grey"}), (["--smaller-than", "1KiB"], {"slow", "null"}),
            (["--received-by", "apps"], {"slow", "grey", "null"}), (["--received-by", "other"], set()),
            (["--attempts", "1"], {"slow", "grey", "null"}), (["--attempts", "2"], set()),
            (["--younger-than", "1h"], {"slow", "grey", "null"}),
            (["--younger-than", "1h", "--older-than", "30m"], set()),
            (["--sender", "<>", "--state", "deferred"], {"null"})]:
        assert listed(relay, ids, *filters) == meant, filters
        assert matched(relay, *filters) == len(meant), filters
    assert matched(relay, ids["slow"]) == 1
    assert all(message["state"] == "deferred" for message in relay.messages())


def test_a_predicate_that_cannot_be_understood_touches_nothing(waiting):
    relay, _, _, _ = waiting
    for body in ({"reply": "("}, {"larger_than": "much"}, {"attempts": "0"}, {"younger_than": "soon"}, {"mx": ""},
                 {"connector": "backup", "sender_domain": "shop.test"}, {"dry_run": 1, "all": True}):
        status, answer = relay.api("POST", "/api/v1/messages/discard", body)
        assert status == 400 and answer["error"], body
    assert len(relay.messages()) == 3


def test_an_act_touches_only_what_it_names(waiting):
    relay, ids, hosts, _ = waiting
    assert json.loads(relay.cli("discard", "--reply", "greylisted", "--sender-domain", "news.test", "--json").stdout) == {
        "matched": 1, "changed": 1}
    relay.log.wait_for(event="discarded", id=ids["grey"])
    assert {message["id"] for message in relay.messages()} == {ids["slow"], ids["null"]}


def test_expired_by_hand_is_told_as_expired(waiting):
    relay, ids, hosts, _ = waiting
    hosts.forget("rcpt")
    assert json.loads(relay.cli("expire", "--mx", "one.mail.test", "--json").stdout)["changed"] == 1
    event = relay.log.wait_for(event="expired", id=ids["slow"])
    assert "Slow Down" in event["reply"]
    assert relay.metric("sluice_deliveries_total", result="expired") == 1


def test_mail_is_redirected_and_stays_so(waiting):
    relay, ids, hosts, way_out = waiting
    way_out.on("rcpt", "451 4.3.0 full", times=1)
    before = len(hosts.sessions)
    assert json.loads(relay.cli("redirect", "--connector", "backup", "--reply", "slow down", "--json").stdout) == {
        "matched": 1, "changed": 1}
    relay.log.wait_for(event="deferred", id=ids["slow"], connector="backup")
    relay.restart()
    relay.cli("retry", ids["slow"])
    message = way_out.wait_messages(1)[0]
    assert message.paths == ["<a@one.test>"]
    relay.log.wait_for(event="delivered", id=ids["slow"], connector="backup")
    assert len(hosts.sessions) == before
    assert {m["id"] for m in relay.messages()} == {ids["grey"], ids["null"]}


def test_mail_is_redirected_back_to_a_connector_that_asks_the_dns(waiting):
    relay, ids, hosts, way_out = waiting
    way_out.on("rcpt", "451 4.3.0 full")
    relay.cli("redirect", "--connector", "backup", "--all")
    relay.log.wait_for(event="deferred", connector="backup", count=3)
    hosts.forget("rcpt")
    relay.cli("redirect", "--connector", "internet", "--all")
    assert sorted(p for m in hosts.wait_messages(3) for p in m.paths) == ["<a@one.test>", "<b@two.test>", "<c@two.test>"]
    relay.drain()


def test_a_connector_that_goes_away_gives_its_mail_back_to_the_routes(waiting):
    relay, ids, hosts, way_out = waiting
    way_out.on("rcpt", "451 4.3.0 full")
    relay.cli("redirect", "--connector", "backup", ids["slow"])
    relay.log.wait_for(event="deferred", id=ids["slow"], connector="backup")
    hosts.forget("rcpt")
    del relay.config["send"][1]
    relay.restart()
    relay.cli("retry", ids["slow"])
    assert hosts.wait_messages(1)[0].paths == ["<a@one.test>"]


def test_a_connector_that_is_not_there_is_refused(waiting):
    relay, ids, _, way_out = waiting
    result = relay.cli("redirect", "--connector", "nowhere", "--all", check=False)
    assert result.returncode == 1 and "nowhere" in result.stderr
    assert stays(lambda: len(relay.messages()) == 3 and not way_out.sessions, 0.3)


def test_who_did_what_to_how_many_is_in_the_log(waiting):
    relay, ids, _, _ = waiting
    relay.cli("hold", "--sender-domain", "shop.test")
    event = relay.log.wait_for(event="admin_action", action="hold")
    assert event["matched"] == event["changed"] == 1 and event["by"] and event["client"] == "127.0.0.1"
    assert json.loads(event["filter"]) == {"sender_domain": "shop.test"}
    relay.cli("discard", "--all", "--dry-run")
    dry = relay.log.wait_for(event="admin_action", action="discard")
    assert dry["dry_run"] is True and dry["matched"] == 3 and dry["changed"] == 0
    assert len(relay.messages()) == 3
