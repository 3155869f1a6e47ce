"""An admin address with no relay behind it: the dashboard's files from the tree, and an API whose queue is made up.

It can be as large as a test likes (a hundred thousand destinations, a million messages) at no cost, because every
destination and message is computed from its number when it is asked for. By hand: tests/support/fake_admin.py --port N.
"""
import argparse
import json
import re
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

PAGE = Path(__file__).resolve().parents[2] / "relay/admin/page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
         ".js": "text/javascript; charset=utf-8"}
# As relay/admin/front_page.cc has it; test_dashboard.py holds the two to each other.
POLICY = re.search(r'kPolicy\[?\]? ?=\s*((?:\s*"[^"]*")+);', (PAGE.parent / "front_page.cc").read_text())
POLICY = "".join(re.findall(r'"([^"]*)"', POLICY[1])) if POLICY else "default-src 'none'"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
REPLIES = ["mx1.{d} [192.0.2.7] said: 451 4.7.1 Greylisted, come back in 300 seconds",
           "mx2.{d} [192.0.2.8] said: 421 4.7.0 Too many connections from your address 198.51.100.4",
           "mx1.{d} [192.0.2.7] said: 452 4.2.2 Mailbox is over its quota",
           "mx1.{d} [192.0.2.7] did not answer: connection timed out"]


def stamp(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def id_of(number):
    text = ""
    for _ in range(26):
        text, number = ALPHABET[number % 32] + text, number // 32
    return text


def number_of(text):
    number = 0
    for char in text:
        number = number * 32 + ALPHABET.index(char)
    return number


class FakeRelay:
    """What it would answer. `named`: destinations by hand, {name: fields over the made-up ones}."""

    def __init__(self, destinations=24, messages=1200, named=None, token="", tracking=True, sample_every=0.5):
        self.destinations, self.count, self.token, self.tracking = destinations, messages, token, tracking
        self.named, self.sample_every = named or {}, sample_every
        self.started = time.time() - 3 * 86400 - 4000
        self.acts, self.suspended, self.overrides = [], set(), {}
        self.streams = 0

    def name(self, at):
        names = list(self.named)
        if at < len(names):
            return names[at]
        return f"{['mail', 'post', 'in', 'mx', 'box', 'letters'][at % 6]}{at}.example.{['net', 'org', 'com'][at % 3]}"

    def at(self, name):
        names = list(self.named)
        if name in self.named:
            return names.index(name)
        found = re.fullmatch(r"[a-z]+(\d+)\.example\.(net|org|com)", name)
        at = int(found[1]) if found else -1
        return at if 0 <= at < self.destinations and self.name(at) == name else None

    def queue(self, at):
        name, now = self.name(at), time.time()
        each = self.count // self.destinations + (1 if at < self.count % self.destinations else 0)
        state = ["delivering", "idle", "delivering", "resting", "delivering", "limited", "connecting"][at % 7]
        failing = state == "resting" or at % 11 == 3
        deferred = each if state in ("resting", "idle") else each // 3
        queue = {"destination": name, "connector": "internet", "state": state, "ready": each - deferred, "active": at % 3,
                 "deferred": deferred, "held": 2 if at % 13 == 5 else 0, "oldest": stamp(now - 40 - (at % 97) * 613),
                 "connections": 0 if state in ("resting", "idle") else 1 + at % 20,
                 "last_reply": REPLIES[at % 4].format(d=name) if failing or deferred else None,
                 "next_attempt": stamp(now + 20 + at % 300) if deferred else None, "why": None,
                 "velocity": None if state == "idle" else ((at * 37) % 41 - 14) / 9,
                 "limits": {"max_connections": 20, "rate": "100/s" if state == "limited" else None},
                 "hurt": round(max(0, (60 if failing else 8) + (at % 17) - at / 400), 1)}
        if state == "resting":
            queue["why"] = {"cause": "hosts_rest", "text": f"No host of {name} takes mail at the moment: {queue['last_reply']}. All its mail waits, and one is tried again by itself.",
                            "since": stamp(now - 400), "until": queue["next_attempt"], "command": f"sluice retry --destination {name}"}
        queue.update(self.named.get(name, {}))
        queue.update(self.overrides.get(name, {}))
        if name in self.suspended:
            queue.update(state="suspended", why={"cause": "suspended", "text": "Suspended by hand.", "since": stamp(now - 90),
                                                 "until": None, "command": f"sluice resume {name}"})
        return queue

    def queues(self, query):
        order, match = query.get("sort", "name"), query.get("match", "")
        limit, offset = int(query.get("limit", 100)), int(query.get("cursor", 0) or 0)
        chosen = [at for at in range(self.destinations) if match in self.name(at)] if match else range(self.destinations)
        # The first ones hurt most in this made-up world, but for the few that were said by hand.
        items = [self.queue(at) for at in chosen[offset:offset + limit]]
        if order == "hurt":
            items.sort(key=lambda queue: -queue["hurt"])
        more = offset + limit < len(chosen)
        return {"items": items, "next": str(offset + limit) if more else None, "total": len(chosen)}

    def message(self, number):
        at, now = number % self.destinations, time.time()
        name = self.name(at)
        queue = self.named.get(name, {})
        state = ["deferred", "ready", "deferred", "active", "held"][number % 5]
        reply = REPLIES[number % 3].format(d=name) if state == "deferred" else None
        fields = queue.get("message", {})
        due = stamp(now + 60 + number % 900) if state == "deferred" else None
        return {"id": id_of(number + 10**18), "sender": fields.get("sender", f"app{number % 10}@example.com"),
                "size": 900 + number % 90_000, "received": stamp(now - 40 - (number % 5000) * 11), "state": state,
                "attempts": number % 5, "next_attempt": due, "connector": "apps", "client": "192.0.2.9",
                "recipients": [{"recipient": fields.get("recipient", f"person{number}@{name}"), "destination": name,
                                "connector": "internet", "state": state, "attempts": number % 5,
                                "last_reply": fields.get("last_reply", reply), "next_attempt": due, "why": None}]}

    def messages(self, query):
        limit, after = int(query.get("limit", 100)), query.get("cursor")
        first, step = 0, 1
        if "destination" in query:
            at = self.at(query["destination"])
            if at is None:
                return {"items": [], "next": None}
            first, step = at, self.destinations
        number = number_of(after) - 10**18 + step if after else first
        items, looked = [], 0
        while number < self.count and len(items) < limit and looked < 5000:
            message = self.message(number)
            if all(message[key] == query[key] for key in ("sender", "state") if key in query) and \
                    query.get("recipient") in (None, message["recipients"][0]["recipient"]):
                items.append(message)
            number, looked = number + step, looked + 1
        return {"items": items, "next": id_of(number - step + 10**18) if number < self.count else None}

    def tracked(self, message):
        began, who = message["received"], [message["recipients"][0]["recipient"]]
        start = datetime.fromisoformat(began.replace("Z", "+00:00")).timestamp()
        where = {"connector": "internet", "destination": message["recipients"][0]["destination"],
                 "mx": "mx1." + message["recipients"][0]["destination"], "address": "[192.0.2.7]:25", "tls": "TLSv1.3"}
        events = [{"time": began, "event": "accepted", "recipients": who, "connector": "apps", "address": "[192.0.2.9]:40112",
                   "tls": "TLSv1.3", "user": "shop", "size": message["size"]}]
        for attempt in range(message["attempts"]):
            due = start + 1 + 150 * attempt
            events.append({"time": stamp(due), "event": "deferred", "recipients": who, **where, "code": 451, "status": "4.7.1",
                           "reply": (message["recipients"][0]["last_reply"] or "later").split("said: 451 4.7.1 ")[-1],
                           "attempts": attempt + 1, "delay_s": due - start, "duration_s": 0.184, "next_attempt": stamp(due + 150)})
        return {**message, "message_id": f"<{message['id'][-6:]}@app.example.com>", "tls": "TLSv1.3", "user": "shop",
                "ended": None, "events": events, "queue": message}

    def status(self):
        c = self.count
        return {"version": "0.1.0", "hostname": "relay.example.com", "started": stamp(self.started),
                "uptime": int(time.time() - self.started), "ready": True, "why_not_ready": None, "draining": False, "shards": 4,
                "messages": c, "recipients": {"ready": c // 3, "active": min(c, 140), "deferred": c - c // 3, "held": c // 90},
                "oldest": stamp(time.time() - 60_000),
                "store": {"ready": True, "writable": True, "space": True, "counted": True, "disk_free_bytes": 181 * 2**30,
                          "content_bytes": 312 * 2**20, "recovery_dropped_bytes": 0, "quarantined_messages": 0}}

    def sample(self):
        """Counters as they would stand now: rates that swing a little."""
        now = time.time()
        up = now - self.started
        swing = up + 40 * ((now / 60) % 1 - 0.5) ** 3
        total = int(312 * swing)

        def histogram(bounds, weights, per_second):
            return {"bounds": bounds, "counts": [int(weight * per_second * swing) for weight in weights]}
        commit = histogram([0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1], [0, .05, .4, .4, .1, .04, .01, 0], 60)
        delay = histogram([0.01, 0.05, 0.25, 1, 5, 60, 1800], [.02, .4, .4, .1, .05, .02, .01, 0], 300)
        dns = histogram([0.001, 0.01, 0.1, 1, 5], [.1, .5, .3, .08, .02, 0], 12)
        ages = [(60, .5), (300, .2), (1800, .12), (14400, .1), (86400, .06), (None, .02)]
        return {"time": stamp(now), "status": self.status(),
                "traffic": {"accepted": total, "bytes": total * 14_000, "refused": total // 900, "shed": 0,
                            "delivered": int(total * 0.985), "deferred": total // 20, "bounced": total // 300, "expired": 0,
                            "discarded": 0},
                "connections": {"in": 42, "out": 118}, "delay": delay, "commit": commit, "dns": {**dns, "failed": int(0.002 * 12 * swing)},
                "memory_bytes": 640 * 2**20, "ages": [{"up_to": up_to, "messages": int(self.count * share)} for up_to, share in ages],
                "destinations": self.destinations, "hurting": self.queues({"sort": "hurt", "limit": 12})["items"]}

    def act(self, name, body):
        dry = body.pop("dry_run", False)
        if "ids" in body:
            matched = len(body["ids"])
        else:
            at = self.at(body["destination"]) if "destination" in body else None
            matched = self.count if at is None else self.count // self.destinations
        if not dry:
            self.acts.append((name, body))
        return {"matched": matched, "changed": 0 if dry else matched}


class Handler(BaseHTTPRequestHandler):
    relay = None

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", len(body)), ("X-Content-Type-Options", "nosniff"),
                            ("Cache-Control", "no-store"), *headers]:
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        if not url.path.startswith("/api/v1/"):
            return self.file(url.path)
        if not self.may_ask():
            return self.answer(401, {"error": "send Authorization: Bearer TOKEN"})
        query = dict(parse_qsl(url.query))
        parts = [unquote(part) for part in url.path.split("/")[3:]]
        if parts == ["stream"]:
            return self.stream(query)
        status, body = self.read(parts, query)
        self.answer(status, body)

    def read(self, parts, query):
        relay, missing = self.relay, (404, {"error": "no such path"})
        if parts == ["status"]:
            return 200, relay.status()
        if parts == ["queues"]:
            return 200, relay.queues(query)
        if parts[0] == "queues":
            at = relay.at(parts[1])
            return missing if at is None else (200, relay.queue(at))
        if parts == ["messages"]:
            return 200, relay.messages(query)
        if parts[0] == "tracking" and not relay.tracking:
            return missing
        if parts == ["tracking"]:
            return 200, relay.messages({key: query[key] for key in query if key in ("destination", "sender", "recipient", "limit", "cursor")})
        number = number_of(parts[1]) - 10**18 if re.fullmatch(f"[{ALPHABET}]{{26}}", parts[1]) else -1
        if not 0 <= number < relay.count:
            return missing
        message = relay.message(number)
        return 200, relay.tracked(message) if parts[0] == "tracking" else message

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.may_ask():
            return self.answer(401, {"error": "send Authorization: Bearer TOKEN"})
        parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[3:]]
        if parts[0] == "messages":
            return self.answer(200, self.relay.act(parts[1], body))
        self.relay.acts.append((parts[2], parts[1]))
        if parts[2] == "suspend":
            self.relay.suspended.add(parts[1])
        elif parts[2] == "resume":
            self.relay.suspended.discard(parts[1])
        else:
            self.relay.overrides[parts[1]] = {"state": "delivering", "why": None, "connections": 3, "hurt": 5}
        self.answer(200, {"matched": 1, "changed": 1})

    def may_ask(self):
        return not self.relay.token or self.headers.get("Authorization") == f"Bearer {self.relay.token}"

    def file(self, where):
        path = PAGE / ("index.html" if where == "/" else where.removeprefix("/page/"))
        if where != "/" and not where.startswith("/page/") or not path.is_file():
            return self.answer(404, {"error": "no such path"})
        self.answer(200, path.read_bytes(), TYPES[path.suffix], [("Content-Security-Policy", POLICY)])

    def stream(self, query):
        self.relay.streams += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        left = int(query.get("samples", 1_000_000))
        try:
            while left > 0 and not self.server.stopping.wait(0):
                self.wfile.write(f"event: sample\ndata: {json.dumps(self.relay.sample())}\n\n".encode())
                left -= 1
                if left and self.server.stopping.wait(self.relay.sample_every):
                    return
        except OSError:
            pass


class FakeAdmin:
    """with FakeAdmin(relay) as url: ..."""

    def __init__(self, relay, port=0):
        handler = type("BoundHandler", (Handler,), {"relay": relay})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.server.stopping = threading.Event()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.url

    def __exit__(self, *_):
        self.server.stopping.set()
        self.server.shutdown()
        self.server.server_close()


def main():
    parser = argparse.ArgumentParser(description="Serve the dashboard with a made-up relay behind it.")
    parser.add_argument("--port", type=int, default=8026)
    parser.add_argument("--destinations", type=int, default=24)
    parser.add_argument("--messages", type=int, default=1200)
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    server = FakeAdmin(FakeRelay(given.destinations, given.messages, token=given.token, sample_every=2), given.port)
    print(server.url)
    with server:
        sys.stdin.read()


if __name__ == "__main__":
    main()
