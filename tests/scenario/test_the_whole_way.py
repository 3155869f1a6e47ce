"""The whole way with programs that people use: clients hand mail to the relay, a real name server says where it goes,
other relays take it. Each content arrives once, byte for byte but for the trace fields."""
import smtplib
import subprocess
from collections import Counter

import pytest

from support import peers
from support.mail import as_lines, corpus, large_attachment, without_trace
from support.name_servers import Knot, Unbound
from support.ports import free_port
from support.relay import by_mx
from support.scripted_server import ScriptedServer
from support.smtp_client import stuff
from support.waiting import wait_until

pytestmark = pytest.mark.alone

CLIENTS = ("postfix", "swaks", "msmtp", "smtplib")
ADDRESSES = {"postfix": "127.0.1.21", "exim": "127.0.1.22", "opensmtpd": "127.0.1.23", "aiosmtpd": "127.0.1.24"}
# A dozen domains, each found in another way.
ZONE = [*(f"mx-{name} A {address}" for name, address in ADDRESSES.items()), "nobody A 127.0.1.29",
        "d0 MX 10 mx-postfix", "d1 MX 10 mx-exim", "d2 MX 10 mx-opensmtpd", "d3 MX 10 mx-aiosmtpd",
        "d4 MX 5 nobody\nd4 MX 10 mx-postfix",                         # the best host is down
        "d5 A 127.0.1.22",                                             # no MX at all
        "d6 CNAME d2",                                                 # an alias
        "*.d7 MX 0 mx-aiosmtpd",                                       # a wildcard
        *(f"d8 MX 10 mx-{name}" for name in ADDRESSES),                # four hosts of equal preference
        *(f"d9 MX {n} nobody{n}" for n in range(20, 60)), "d9 MX 10 mx-exim",  # an answer that needs TCP
        "\n".join(f"nobody{n} A 127.0.1.29" for n in range(20, 60)),
        "d10 MX 10 alias", "alias CNAME mx-opensmtpd",                 # an MX host that is an alias
        "xn--grn-hoa MX 10 mx-aiosmtpd"]                               # grün.test
DOMAINS = ["d0.test", "d1.test", "d2.test", "d3.test", "d4.test", "d5.test", "d6.test", "sub.d7.test", "d8.test",
           "d9.test", "d10.test", "xn--grn-hoa.test"]
SENDER = "sender@here.test"


class World:
    """Relays behind MX hosts, all of one port; what they pass on and what aiosmtpd takes is in `arrived`."""

    def __init__(self, folder, start_relay):
        controller = pytest.importorskip("aiosmtpd.controller")
        self.root, self.folder, self.port, self._ends = peers.unpack(), folder, free_port(), []
        self.sink, self.taken = self._keep(ScriptedServer("127.0.1.20")), []
        for kind in peers.KINDS:
            self._keep(peers.make(kind, self.root, folder / kind, self.sink, ADDRESSES[kind], self.port))
        world = self

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                world.taken.append((list(envelope.rcpt_tos), envelope.original_content))
                return "250 2.0.0 taken"
        self.aiosmtpd = controller.Controller(Handler(), hostname=ADDRESSES["aiosmtpd"], port=self.port,
                                              enable_SMTPUTF8=True, data_size_limit=100 << 20)
        self.aiosmtpd.start()
        knot = self._keep(Knot(folder / "knot", ZONE))
        resolver = self._keep(Unbound(folder / "unbound", knot))
        self.relays = {asked: start_relay(send=[by_mx(self.port)], dns={"servers": [server.address], "timeout": "3s"},
                                          queue={"delay_notice": "0"})
                       for asked, server in (("knot", knot), ("unbound", resolver))}
        for relay in self.relays.values():
            relay.address = "127.0.0.1"

    def _keep(self, part):
        part.__enter__()
        self._ends.append(part)
        return part

    def arrived(self, begins):
        """(recipient, content without the fields in front) of each copy for recipients that begin so."""
        copies = list(self.taken) + [([path[1:-1] for path in m.paths], m.content) for m in self.sink.delivered]
        return [(path, content) for paths, content in copies for path in paths if path.startswith(begins)]

    def close(self):
        self.aiosmtpd.stop()
        for part in reversed(self._ends):
            part.__exit__(None, None, None)


@pytest.fixture(scope="module")
def world(tmp_path_factory, start_shared_relay):
    world = World(tmp_path_factory.mktemp("world"), start_shared_relay)
    yield world
    world.close()


def bare(content):
    """Without any trace field in front."""
    while content.startswith(b"Received:"):
        content = without_trace(content)
    return content


def send(client, port, recipients, content, folder, utf8=False):
    if client == "swaks":  # as it stands in the file, with the end of data
        (folder / "data").write_bytes(stuff(content))
        subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", SENDER, "--to",
                        ",".join(recipients), "--no-data-fixup", "--data", f"@{folder}/data", "--silent", "1"],
                       check=True, timeout=60)
    elif client == "msmtp":
        subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={port}", f"--from={SENDER}", "--auth=off", "--tls=off",
                        "--file=/dev/null", *recipients], input=content.replace(b"\r\n", b"\n"), check=True, timeout=60)
    else:
        options = ["BODY=8BITMIME", "SMTPUTF8"] if utf8 else ["BODY=8BITMIME"]
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as session:
            if utf8:
                session.ehlo()
                session.command_encoding = "utf-8"
            assert session.sendmail(SENDER, recipients, content, options) == {}


def letters(client):
    """(recipients, content): the corpus over the domains, one for all of them, one unended, one large."""
    contents = [*corpus(), ("unended", b"Subject: unended\r\nMessage-ID: <u@here.test>\r\nFrom: <a@here.test>\r\n"
                                       b"Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nTo: b@there.test\r\n\r\nno end"),
                ("large", large_attachment())]
    for number, (name, content) in enumerate(contents):
        yield [f"{client}.{name}@{DOMAINS[number % len(DOMAINS)]}"], content
    yield [f"{client}.all@{domain}" for domain in DOMAINS], contents[0][1]


@pytest.mark.parametrize("asked", ["knot", "unbound"])
@pytest.mark.parametrize("client", CLIENTS)
def test_each_content_arrives_once(world, tmp_path, client, asked):
    relay, begins = world.relays[asked], f"{asked}.{client}"
    wanted = {}
    mark = relay.log.mark()

    def send_all(port):
        for recipients, content in letters(begins):
            send(client, port, recipients, content, tmp_path)
            wanted.update(dict.fromkeys(recipients, content))
    if client == "postfix":
        with peers.make("postfix", world.root, tmp_path / "postfix", relay) as mta:
            send_all(mta.port)
            compare(world, begins, wanted)
    else:
        send_all(relay.port)
        compare(world, begins, wanted)
    relay.drain()
    delivered = relay.log.find(after=mark, event="delivered")
    assert Counter(e["recipient"] for e in delivered) == Counter(list(wanted))


def compare(world, begins, wanted):
    wait_until(lambda: len(world.arrived(begins)) >= len(wanted), 90,
               lambda: f"missing: {sorted(wanted.keys() - {path for path, _ in world.arrived(begins)})}", every=0.2)
    copies = world.arrived(begins)
    assert Counter(path for path, _ in copies) == Counter(list(wanted))
    for path, content in copies:
        assert bare(content) == as_lines(wanted[path]), path


@pytest.mark.parametrize("client", ["postfix", "smtplib"])
def test_utf8_addresses_travel(world, tmp_path, client):
    """To those who take them: Postfix, Exim, aiosmtpd."""
    relay, begins = world.relays["knot"], f"grüße.{client}"
    content = "From: sender@here.test\r\nTo: grüße@there.test\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n" \
        "Message-ID: <u@here.test>\r\nSubject: grüße\r\n\r\nschöne Grüße\r\n".encode()
    wanted = {f"{begins}@{domain}": content for domain in ("d0.test", "d1.test", "d3.test")}
    if client == "postfix":
        with peers.make("postfix", world.root, tmp_path / "postfix", relay) as mta:
            send(client, mta.port, list(wanted), content, tmp_path, utf8=True)
            compare(world, begins, wanted)
    else:
        send(client, relay.port, list(wanted), content, tmp_path, utf8=True)
        compare(world, begins, wanted)
