"""What the relay's log says: its JSON lines, read as they come, waited for by condition."""
import json
import threading

from support.waiting import wait_until


class BadLine(AssertionError):
    """A line of the log that is not one JSON object of printable bytes."""


class LogReader:
    """Follows a log file. Every line is checked: one event, one line, no control bytes (LG1). The process that was killed
    may leave a line half written, which must stand alone."""

    def __init__(self, path):
        self.path = path
        self.events = []
        self.kills = 0  # as many lines may be torn
        self._file = None
        self._rest = b""
        self._lock = threading.Lock()

    def poll(self):
        """Takes in what was written since; gives all events so far."""
        with self._lock:
            if self._file is None:
                if not self.path.exists():
                    return self.events
                self._file = open(self.path, "rb")
            data = self._file.read()
            if data:
                lines = (self._rest + data).split(b"\n")
                self._rest = lines.pop()
                self.events.extend(event for event in map(self._parse, lines) if event)
            return self.events

    def _parse(self, line):
        if any(byte < 0x20 or byte == 0x7F for byte in line):
            raise BadLine(f"control byte in log line {line!r}")
        try:
            event = json.loads(line.decode("utf-8"))
        except ValueError as error:
            if self.kills > 0 and line.startswith(b"{") and line.count(b'"event":') <= 1 and not line.endswith(b"}"):
                self.kills -= 1
                return None
            raise BadLine(f"{error}: {line!r}") from None
        if not isinstance(event, dict) or "event" not in event or "time" not in event:
            raise BadLine(f"no event: {line!r}")
        return event

    def mark(self):
        """A place in the log, to look only at what comes after it."""
        return len(self.poll())

    def find(self, where=None, after=0, **fields):
        """Events with these fields (`where` for any other condition)."""
        return [event for event in self.poll()[after:]
                if all(event.get(key) == value for key, value in fields.items())
                and (where is None or where(event))]

    def wait_for(self, where=None, timeout=10.0, after=0, count=1, **fields):
        """The `count`-th such event, once it is there."""
        def described():
            tail = "\n".join(json.dumps(event) for event in self.events[-15:])
            return f"{count} x {fields} in the log; its end:\n{tail}"
        return wait_until(lambda: self.find(where, after, **fields)[count - 1:], timeout,
                          described)[0]

    def ends(self, after=0):
        """Terminal records as (id, recipient) -> list of events."""
        ends = {}
        for event in self.poll()[after:]:
            if event["event"] in ("delivered", "bounced", "expired", "discarded"):
                ends.setdefault((event.get("id"), event.get("recipient")), []).append(event)
        return ends
