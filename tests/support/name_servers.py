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
    """Authoritative for test.; `records` are lines of a zone file."""
    program = "knotd"

    def __init__(self, folder, records):
        super().__init__(folder)
        self.records = records

    def prepare(self):
        (self.folder / "test.zone").write_text("$ORIGIN test.\n" + SOA + "\n".join(self.records) + "\n")
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
""")
        return ["knotd", "-c", str(self.folder / "knot.conf")]


class Unbound(_Server):
    """A resolver that asks `authority` about test., and nobody about anything else."""
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
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "test." nodefault
remote-control:
  control-enable: no
stub-zone:
  name: "test."
  stub-addr: 127.0.0.1@{self.authority.port}
""")
        return ["unbound", "-d", "-c", str(self.folder / "unbound.conf")]
