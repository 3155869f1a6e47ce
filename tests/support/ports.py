"""Which ports are free for a test: below the ephemeral range, so that no outgoing connection takes
one in between, and spread at random, so that test runs side by side do not meet."""
import random
import socket
import threading

_lock = threading.Lock()
_random = random.Random()
_given = set()


def free_port():
    """A TCP and UDP port that nothing uses on any loopback address; never given twice."""
    with _lock:
        while True:
            port = _random.randrange(10_000, 32_000)
            if port in _given:
                continue
            _given.add(port)
            if _is_free(port):
                return port


def _is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True
