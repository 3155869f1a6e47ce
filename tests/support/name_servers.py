"""Name servers that people run, on loopback and with a zone of ours: Knot, and Unbound as a resolver in front of it."""
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from support.fake_dns import wire_name
from support.ports import free_port
from support.waiting import wait_until

SOA = "@ 300 SOA ns.test. admin.test. 1 300 300 300 300\n@ 300 NS ns.test.\nns.test. 300 A 127.0.0.1\n"


class _Server:
    program = None

    def __init__(self, folder):
        if not shutil.which(self.program):
            pytest.skip(f"{self.program} is not installed")
        self.folder, self.port, self.process = Path(folder), free_port(), None
        self.folder.mkdir(parents=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def __enter__(self):
        command = self.prepare()
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until(self._answers, 15, self._output, every=0.1)
        return self

    def _output(self):
        return (self.folder / "output").read_text(errors="replace")[-3000:]

    def _answers(self):
        """It knows the zone's name server."""
        assert self.process.poll() is None, self._output()
        question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + wire_name("ns.test") + struct.pack(">HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(1)
            try:
                probe.sendto(question, ("127.0.0.1", self.port))
                answer = probe.recv(512)
            except OSError:
                return False
        flags, _, answers = struct.unpack(">HHH", answer[2:8])
        return flags & 15 == 0 and answers == 1

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


class Knot(_Server):
    """Authoritative for test.; `records` are lines of a zone file. Signed, it also serves `children`: zones below test.
    by name, never signed, with lines of their own. The parent says so of those in `insecure`; of the others it holds a
    DS record that no key of theirs matches, so that a validating resolver takes them for forged."""
    program = "knotd"

    def __init__(self, folder, records, signed=False, children=None, insecure=()):
        super().__init__(folder)
        self.records, self.signed, self.children, self.insecure = records, signed, children or {}, insecure

    def trust_anchor(self):
        """The DS record of test., as a resolver wants to know it."""
        found = self._keymgr("ds").splitlines()
        return next(line for line in found if line.split()[4] == "2")  # SHA-256

    def _keymgr(self, *arguments):
        result = subprocess.run(["keymgr", "-c", str(self.folder / "knot.conf"), "test.", *arguments],
                                capture_output=True, text=True, timeout=30)
        assert result.returncode == 0, f"keymgr {arguments}: {result.stdout}{result.stderr}"
        return result.stdout

    def _delegations(self):
        for name in self.children:
            yield f"{name}. 300 NS ns.test."
            if name not in self.insecure:
                yield f"{name}. 300 DS 4711 13 2 {'ab' * 32}"

    def _prepare_children(self):
        """Their part of the configuration."""
        for name, records in self.children.items():
            (self.folder / f"{name}.zone").write_text(
                f"$ORIGIN {name}.\n@ 300 SOA ns.test. admin.test. 1 300 300 300 300\n@ 300 NS ns.test.\n"
                + "\n".join(records) + "\n")
            yield (f"- domain: {name}\n  storage: {self.folder}\n  file: {name}.zone\n"
                   "  zonefile-sync: -1\n  journal-content: none\n")

    def prepare(self):
        lines = [*self.records, *self._delegations()]
        (self.folder / "test.zone").write_text("$ORIGIN test.\n" + SOA + "\n".join(lines) + "\n")
        (self.folder / "knot.conf").write_text(f"""server:
  listen: 127.0.0.1@{self.port}
  rundir: {self.folder}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
- target: stderr
  any: info
database:
  storage: {self.folder}/db
zone:
- domain: test
  storage: {self.folder}
  file: test.zone
  zonefile-sync: -1
  journal-content: none
{"  dnssec-signing: on" if self.signed else ""}
{"".join(self._prepare_children())}""")
        if self.signed:
            (self.folder / "db").mkdir()
            self._keymgr("generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes")
        return ["knotd", "-c", str(self.folder / "knot.conf")]


class Unbound(_Server):
    """A resolver that asks `authority` about test., and nobody about anything else; it validates what is signed."""
    program = "unbound"

    def __init__(self, folder, authority):
        super().__init__(folder)
        self.authority = authority

    def prepare(self):
        (self.folder / "unbound.conf").write_text(f"""server:
  interface: 127.0.0.1
  port: {self.port}
  do-daemonize: no
  do-ip6: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{self.folder}"
  pidfile: "{self.folder}/pid"
  module-config: "{"validator " if self.authority.signed else ""}iterator"
  do-not-query-localhost: no
  local-zone: "test." nodefault
{f'  trust-anchor: "{self.authority.trust_anchor()}"' if self.authority.signed else ""}
remote-control:
  control-enable: no
{"".join(self._stub(zone) for zone in ["test", *self.authority.children])}""")
        return ["unbound", "-d", "-c", str(self.folder / "unbound.conf")]

    def _stub(self, zone):
        return f'stub-zone:\n  name: "{zone}."\n  stub-addr: 127.0.0.1@{self.authority.port}\n'
