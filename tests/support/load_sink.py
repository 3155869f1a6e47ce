"""A fast destination in a process of its own, for load: takes everything, writes down ids.

Started by LoadSink; run as a program it serves. Each line of the journal is `<id> <session>` written
before the reply to that content; `S` lines count sessions opened and closed.
"""
import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from support.ports import free_port
from support.waiting import wait_until


class LoadSink:
    """`delay` seconds before each reply to a content; `limit_rate` contents a second over all."""

    def __init__(self, directory, address="127.0.1.2", port=0, delay=0.0, rate=0.0, mode="take"):
        self.address, self.port = address, port or free_port()
        self.journal = Path(directory) / f"sink-{self.port}.journal"
        self.settings = [str(delay), str(rate), mode]
        self.process = None

    def start(self):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.load_sink", self.address, str(self.port),
             str(self.journal), *self.settings], env=environment, stdin=subprocess.DEVNULL)
        wait_until(self._listens, 10, "the sink to listen")
        return self

    def _listens(self):
        assert self.process.poll() is None, "the sink has ended"
        return self.journal.exists()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _records(self):
        if not self.journal.exists():
            return []
        text = self.journal.read_text()
        return [line.split(" ") for line in text[:text.rfind("\n") + 1].splitlines()]

    def ids(self):
        """The id of each content it has taken, a copy each."""
        return [record[1] for record in self._records() if record[0] == "M"]

    def count(self):
        return len(self.ids())

    def peak(self):
        """Most sessions at one time."""
        return max((int(record[1]) for record in self._records() if record[0] == "S"), default=0)

    def sessions(self):
        """Sessions opened so far."""
        return sum(1 for record in self._records() if record[0] == "S" and record[2] == "+")

    def open_sessions(self):
        last = [int(record[1]) for record in self._records() if record[0] == "S"]
        return last[-1] if last else 0

    def copies(self):
        return Counter(self.ids())


class _State:
    def __init__(self, journal, delay, rate, mode):
        self.fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.delay, self.rate, self.mode, self.open, self.next_slot = delay, rate, mode, 0, 0.0

    def record(self, line):
        os.write(self.fd, line.encode() + b"\n")


class _Protocol(asyncio.Protocol):
    """Pipelined commands and contents, answered in order."""

    def __init__(self, state):
        self.state, self.buffer, self.in_data, self.busy = state, b"", False, False

    def connection_made(self, transport):
        self.transport = transport
        self.state.open += 1
        self.state.record(f"S {self.state.open} +")
        transport.write(b"220 sink.test ESMTP\r\n")

    def connection_lost(self, error):
        self.state.open -= 1
        self.state.record(f"S {self.state.open} -")

    def data_received(self, data):
        self.buffer += data
        if not self.busy:
            self.go_on()

    def go_on(self):
        out, self.busy = [], False
        while not self.busy:
            if self.in_data:
                end = -5 if self.buffer.startswith(b".\r\n") else self.buffer.find(b"\r\n.\r\n")
                if end == -1:
                    break
                content, self.buffer = self.buffer[:max(end, 0)], self.buffer[end + 5 or 3:]
                self.in_data = False
                self.content(content, out)
            else:
                line, found, rest = self.buffer.partition(b"\r\n")
                if not found:
                    break
                self.buffer = rest
                self.command(line, out)
        if out and not self.transport.is_closing():
            self.transport.write(b"".join(out))

    def command(self, line, out):
        verb = line[:4].upper()
        if verb == b"DATA":
            self.in_data = True
            out.append(b"354 go on\r\n")
        elif verb == b"EHLO":
            out.append(b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n")
        elif verb == b"QUIT":
            self.transport.write(b"".join(out) + b"221 bye\r\n")
            out.clear()
            self.transport.close()
        else:
            out.append(b"250 ok\r\n")

    def content(self, data, out):
        at = data.find(b"X-Test-Id: ")
        test_id = data[at + 11:data.index(b"\r\n", at)].decode() if at >= 0 else "?"
        loop = asyncio.get_running_loop()
        wait = self.state.delay
        if self.state.rate:
            now = loop.time()
            self.state.next_slot = max(self.state.next_slot, now) + 1 / self.state.rate
            wait += self.state.next_slot - now
        if not wait:
            self.state.record(f"M {test_id}")
            out.append(b"250 2.0.0 taken\r\n")
            return
        self.busy = True
        loop.call_later(wait, self.late, test_id)

    def late(self, test_id):
        if self.transport.is_closing():
            return
        self.state.record(f"M {test_id}")
        self.transport.write(b"250 2.0.0 taken\r\n")
        self.go_on()


async def _serve(address, port, journal, delay, rate, mode):
    state = None

    def make():
        return _Protocol(state)
    server = await asyncio.get_running_loop().create_server(make, address, port, backlog=4096)
    state = _State(journal, delay, rate, mode)
    await server.serve_forever()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: it ends with the test run
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]),
                       float(sys.argv[5]), sys.argv[6]))
