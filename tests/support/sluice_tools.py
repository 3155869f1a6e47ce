"""`sluice sink` and `sluice load`, where a story needs more mail than Python can make."""
import json
import subprocess
from pathlib import Path

from support.ports import free_port
from support.relay import binary
from support.waiting import wait_until


class Sink:
    """A sink with its options, its counts in `counts()`; where smart_host() can take it."""

    def __init__(self, directory, *options, address="127.0.1.3"):
        self.address, self.port = address, free_port()
        self.stats = Path(directory) / f"sink-{self.port}.json"
        self.options, self.process = options, None

    def __enter__(self):
        self.process = subprocess.Popen(
            [binary(), "sink", "--listen", f"{self.address}:{self.port}", "--stats", str(self.stats), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.stats.exists, 10, "the sink's counts")
        return self

    def counts(self):
        return json.loads(self.stats.read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def load(relay, messages, *options, connections=16, size="1500B", timeout=600):
    """Sends so many, all of which must be accepted; gives the report."""
    result = subprocess.run(
        [binary(), "load", "--to", f"127.0.0.1:{relay.port}", "--messages", str(messages), "--connections",
         str(connections), "--size", size, "--json", *options], capture_output=True, text=True, timeout=timeout)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)
