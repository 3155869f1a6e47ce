"""The relay under test: the real binary with a configuration of its own, and all that a test may
ask of it.

    def test_it_arrives(start_relay, server):
        relay = start_relay(send=[smart_host(server)])
        message_id = relay.deliver_in("<a@here.test>", ["<b@there.test>"], b"Subject: x\r\n\r\nhi\r\n")
        relay.log.wait_for(event="delivered", id=message_id)
"""
import ctypes
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.parse
from pathlib import Path

from support import metrics_text, process_view
from support.log_reader import LogReader
from support.ports import free_port
from support.smtp_client import SmtpClient
from support.toml import to_toml
from support.waiting import pause, wait_until

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def binary():
    """The relay to test."""
    return os.environ.get("SLUICE_BIN", str(ROOT / "build/release/sluice"))


def smart_host(*servers, **settings):
    """A send connector that hands everything to these servers, in this order."""
    return {"name": "out", "address_spaces": ["*"], "route": "smart-host", "tls": "off",
            "smart_hosts": [f"{s.address}:{s.port}" for s in servers], "host_backoff": "200ms",
            "idle_timeout": "2s"} | settings


def by_mx(port, **settings):
    """A send connector that asks the DNS, and may reach loopback hosts."""
    return {"name": "internet", "address_spaces": ["*"], "route": "mx", "tls": "off", "port": port,
            "allow_private_hosts": ["127.0.0.0/8"], "host_backoff": "200ms",
            "idle_timeout": "2s"} | settings


def _sanitized():
    return "san" in Path(binary()).parent.name


class Relay:
    """Starts in __enter__ (or start()), is ended in __exit__ whatever happened."""

    def __init__(self, directory, send=(), receive=None, dns=None, queue=None, admin=None,
                 top=None, extra=None, env=None, wrapper=(), preexec=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.port, self.admin_port = free_port(), free_port()
        self.config = {"hostname": "relay.test", "data_dir": str(self.data), "shards": 2,
                       **(top or {})}
        self.config["receive"] = [{"name": "apps", "listen": [f"127.0.0.1:{self.port}"],
                                   "tls": "off"} | (receive or {})]
        self.config["send"] = list(send)
        self.config["dns"] = {"servers": ["127.0.0.1:9"], "timeout": "1s", "attempts": 1} \
            | (dns or {})
        self.config["queue"] = {"retry_first": "300ms", "retry_max": "2s", "retry_jitter": 0.0,
                                "disk_reserve": "64MiB", "drain_timeout": "8s"} | (queue or {})
        self.config["admin"] = {"listen": f"127.0.0.1:{self.admin_port}"} | (admin or {})
        self.config |= extra or {}
        self.config_file = self.directory / "sluice.toml"
        self.log_file = self.directory / "log.json"
        self.error_file = self.directory / "stderr"
        self.log = LogReader(self.log_file)
        self.env, self.wrapper, self.preexec = env or {}, list(wrapper), preexec
        self.token = None
        self.process = None
        self.exit_codes = []

    # Running it

    def write_config(self):
        self.config_file.write_text(to_toml({k: v for k, v in self.config.items() if v != []}))

    def spawn(self):
        """Starts the process and waits for nothing."""
        self.write_config()
        with open(self.log_file, "ab") as out, open(self.error_file, "ab") as error:
            self.process = subprocess.Popen(
                [*self.wrapper, binary(), "serve", "--config", str(self.config_file)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=error, cwd=self.directory,
                env=os.environ | self.env, preexec_fn=self._before_exec)
        return self

    def _before_exec(self):
        """In the child: it dies with the test run, and eats no more memory than a relay ever should."""
        if self.preexec:
            self.preexec()
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if not _sanitized():  # sanitizers reserve terabytes
            resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))

    def start(self, timeout=20.0):
        """Starts it and waits for its 220 and for /readyz."""
        self.spawn()
        return self.wait_ready(timeout)

    def wait_ready(self, timeout=20.0):
        begin = time.monotonic()
        wait_until(self._greets, timeout, self._why_not)
        self.greeted_after = time.monotonic() - begin
        wait_until(self.is_ready, timeout, self._why_not)
        self.ready_after = time.monotonic() - begin
        return self

    def _why_not(self):
        return f"ready; its error output:\n{self.errors()[-2000:]}\n{self.log.poll()[-5:]}"

    def errors(self):
        return self.error_file.read_text(errors="replace") if self.error_file.exists() else ""

    def _greets(self):
        if self.process.poll() is not None:
            raise AssertionError(f"exit code {self.process.returncode}: {self.errors()[-3000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.settimeout(1)
                if not probe.recv(200).startswith(b"220"):
                    return False
                probe.sendall(b"QUIT\r\n")  # and see it counted no more
                while probe.recv(200):
                    pass
                return True
        except OSError:
            return False

    def is_ready(self):
        try:
            return self.api("GET", "/readyz", timeout=2)[0] == 200
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if number == signal.SIGKILL:
            self.log.kills += 1
        os.kill(self.pid, number)

    def wait(self, timeout=40.0):
        """Exit code of the process, once it has ended."""
        code = self.process.wait(timeout)
        self.exit_codes.append(code)
        self.log.poll()
        return code

    def stop(self, timeout=40.0):
        """SIGTERM; gives the exit code."""
        if not self.running():
            return self.process.returncode
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """SIGKILL."""
        if self.running():
            self.signal(signal.SIGKILL)
            self.wait()

    def restart(self, kill=False, timeout=30.0):
        self.kill() if kill else self.stop()
        return self.start(timeout)

    def reload(self):
        """SIGHUP with the configuration as it is now."""
        self.write_config()
        self.signal(signal.SIGHUP)

    def end(self):
        """Stops it, whatever state it is in; a sanitizer must have had nothing to say."""
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                self.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("did not end within 20 s of SIGTERM") from None
        self.check_sanitizer()

    def story(self, lines=60):
        """The end of its log and of its error output, for people."""
        try:
            self.log.poll()
        except AssertionError:
            pass
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join([*text.splitlines()[-lines:], self.errors()[-3000:]])

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, *_):
        self.end()

    def check_sanitizer(self):
        errors = self.errors()
        assert "Sanitizer" not in errors and "runtime error" not in errors, errors[-6000:]

    # Giving it mail

    def smtp(self, **settings):
        """A client that has read the greeting."""
        client = SmtpClient(("127.0.0.1", self.port), **settings)
        client.expect(220)
        return client

    def deliver_in(self, sender, recipients, content, mail="", rcpt=""):
        """One message in a connection of its own; gives its queue id."""
        with self.smtp() as client:
            client.command("EHLO client.test", 250)
            message_id = client.transaction(sender, recipients, content, mail, rcpt)
            client.command("QUIT", 221)
        return message_id

    # Asking it

    def api(self, method, path, body=None, timeout=10.0, headers=None):
        """(status, JSON or text) of an admin request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=timeout)
        try:
            all_headers = dict(headers or {})
            if self.token:
                all_headers.setdefault("Authorization", f"Bearer {self.token}")
            data = None
            if body is not None:
                data = json.dumps(body)
                all_headers["Content-Type"] = "application/json"
            elif method == "POST":
                data = ""
            connection.request(method, path, data, all_headers)
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from None
        finally:
            connection.close()
        if "json" in (answer.headers.get("Content-Type") or ""):
            return answer.status, json.loads(text)
        return answer.status, text.decode("utf-8", "replace")

    def cli(self, *arguments, check=True, stdin=None):
        """Runs a subcommand against this relay."""
        result = subprocess.run([binary(), *arguments, "--config", str(self.config_file)],
                                capture_output=True, text=True, timeout=30, input=stdin)
        if check:
            assert result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"
        return result

    def samples(self):
        status, text = self.api("GET", "/metrics")
        assert status == 200, text
        return metrics_text.parse(text)

    def metric(self, name, /, **labels):
        """Sum over the samples of that name with these labels."""
        return metrics_text.total(self.samples(), name, **labels)

    def queued(self):
        """Recipients in the queue, by the gauge."""
        return self.metric("sluice_queue_recipients")

    def message(self, message_id):
        """One message as the API shows it, or None."""
        status, body = self.api("GET", f"/api/v1/messages/{message_id}")
        return body if status == 200 else None

    def messages(self, **filters):
        """All messages that match, over all pages."""
        items, cursor = [], None
        while True:
            query = dict(filters) | ({"cursor": cursor} if cursor else {})
            status, body = self.api("GET", "/api/v1/messages?" + urllib.parse.urlencode(query))
            assert status == 200, body
            items += body["items"]
            cursor = body.get("next")
            if not cursor:
                return items

    def queues(self):
        """Destination queues by name."""
        status, body = self.api("GET", "/api/v1/queues?limit=1000")
        assert status == 200, body
        return {queue["destination"]: queue for queue in body["items"]}

    # DRAIN and ALIVE of the bars

    def drain(self, timeout=60.0):
        """Waits until the queue is empty, by the gauge."""
        wait_until(lambda: self.queued() == 0, timeout,
                   lambda: f"an empty queue; {self.queued()} left: {self.messages(limit=5)[:5]}",
                   every=0.05)

    def vitals(self):
        """What ALIVE compares with."""
        return {"pid": self.pid, "rss": process_view.rss_bytes(self.pid),
                "fds": process_view.fd_count(self.pid)}

    def assert_alive(self, before, server, recipient="<alive@there.test>", rss_mib=32, fds=8,
                     idle_cpu=True):
        """ALIVE: same process, a normal message accepted and delivered in time, memory and
        descriptors as before, and no CPU burnt in idleness."""
        assert self.running() and self.pid == before["pid"]
        begin = time.monotonic()
        message_id = self.deliver_in("<alive@here.test>", [recipient],
                                     b"Subject: alive\r\n\r\nalive\r\n")
        accepted = time.monotonic() - begin
        assert accepted <= 1.0, f"accepted after {accepted:.2f} s"
        self.log.wait_for(event="delivered", id=message_id, timeout=5)
        wait_until(lambda: process_view.fd_count(self.pid) <= before["fds"] + fds, 10,
                   lambda: f"fds {process_view.fd_count(self.pid)}, before {before['fds']}")
        wait_until(lambda: process_view.rss_bytes(self.pid) <= before["rss"] + rss_mib * MIB, 5,
                   lambda: f"RSS {process_view.rss_bytes(self.pid) / MIB:.0f} MiB, before "
                           f"{before['rss'] / MIB:.0f}")
        if idle_cpu:
            wait_until(lambda: self.idle_cpu(1.0) <= 0.02, 15, "an idle CPU")

    def idle_cpu(self, seconds):
        """Share of a core that it uses during the next `seconds`."""
        before, begin = process_view.cpu_seconds(self.pid), time.monotonic()
        pause(seconds)
        return (process_view.cpu_seconds(self.pid) - before) / (time.monotonic() - begin)

    def rss(self):
        """Resident bytes; 0 under a sanitizer, which keeps what was freed."""
        return 0 if _sanitized() else process_view.rss_bytes(self.pid)

    def fds(self):
        return process_view.fd_count(self.pid)

    def connections_to(self, server):
        """Its established connections to a server."""
        peer = (server.address, server.port)
        return sum(1 for _, other in process_view.tcp_sockets(self.pid) if other == peer)
