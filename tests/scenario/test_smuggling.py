"""Nothing but CRLF.CRLF ends a message, whatever else a client sends, and what leaves is always clean: one
message in, one message out (HC1)."""
import pytest

from support.mail import SENDER
from support.relay import smart_host
from support.scripted_server import ScriptedServer
from support.waiting import wait_until

pytestmark = pytest.mark.sanitized
HEAD = b"From: a@here.test\r\nSubject: s\r\n\r\n"

# Name, what stands between X and Y, what the receiver has there after unstuffing (None: 554 5.6.0 in
# both modes), and whether `reject` mode takes it too.
ROWS = [
    ("LF . LF", b"\n.\n", b"\r\n.\r\n", False),
    ("LF . CRLF", b"\n.\r\n", b"\r\n.\r\n", False),
    ("CRLF . LF", b"\r\n.\n", b"\r\n\r\n", False),
    ("CR . CR", b"\r.\r", b" . ", False),
    ("CR . CRLF", b"\r.\r\n", b" .\r\n", False),
    ("CR . LF", b"\r.\n", b" .\r\n", False),
    ("LF . CR", b"\n.\r", b"\r\n. ", False),
    ("CRLF . CR", b"\r\n.\r", b"\r\n ", False),
    ("CRCRLF . CRCRLF", b"\r\r\n.\r\r\n", b" \r\n \r\n", False),
    ("CRLF . CRCRLF", b"\r\n.\r\r\n", b"\r\n \r\n", False),
    ("CRLF NUL . CRLF", b"\r\n\0.\r\n", None, False),
    ("CRLF . NUL CRLF", b"\r\n.\0\r\n", None, False),
    ("CRLF . . CRLF", b"\r\n..\r\n", b"\r\n.\r\n", True),
    ("CRLF .", b"\r\n.", b"\r\n", True),
    ("bare LF", b"\n", b"\r\n", False),
    ("bare CR", b"\r", b" ", False),
    ("U+2028", "\u2028.\u2028".encode(), "\u2028.\u2028".encode(), True),
    ("VT and FF", b"\x0b.\x0c", b"\x0b.\x0c", True),
    ("NEL", b"\xc2\x85.\xc2\x85", b"\xc2\x85.\xc2\x85", True),
]
POSITIONS = {
    "in the body": (HEAD + b"X", b"Y\r\n"),
    "in the header": (b"From: a@here.test\r\nSubject: X", b"Y\r\nTo: b@there.test\r\n\r\nbody\r\n"),
    "at the start": (b"", b"Y: z\r\n\r\nbody\r\n"),
}


@pytest.fixture(scope="module")
def sink():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module", params=["normalize", "reject"])
def relay(request, start_shared_relay, sink):
    relay = start_shared_relay(send=[smart_host(sink)], receive={"bare_newline": request.param,
                                                                 "max_errors": 1000})
    relay.mode = request.param
    return relay


def got(sink, name):
    """The content that came for <name@there.test>, without our trace field."""
    path = f"<{name}@there.test>"
    wait_until(lambda: any(m.paths == [path] for m in sink.delivered), what=f"{path} delivered")
    messages = [m for m in sink.messages if m.paths == [path]]
    assert len(messages) == 1
    content = messages[0].content
    end = content.index(b"\r\n") + 2
    while content[end:end + 1] in (b" ", b"\t"):
        end = content.index(b"\r\n", end) + 2
    return content[end:]


def give(client, name, before, sequence, after, offset=None):
    """One message through DATA, cut at `offset` of the sequence; gives the reply."""
    client.envelope(SENDER, [f"<{name}@there.test>"])
    client.command("DATA", 354)
    data = before + sequence + after + b".\r\n"
    if offset is None:
        client.send(data)
    else:
        client.send_split(data, [len(before) + offset])
    return client.reply()


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_sequence_inside_the_content_is_content(relay, sink, row, position):
    name, sequence, expected, taken_in_reject = row
    before, after = POSITIONS[position]
    taken = expected is not None and (relay.mode == "normalize" or taken_in_reject)
    label = f"r{ROWS.index(row)}-{list(POSITIONS).index(position)}-{relay.mode}"
    with relay.smtp() as client:
        client.hello()
        offsets = [None, *range(0 if before else 1, len(sequence) + 1)]
        for number, offset in enumerate(offsets):
            reply = give(client, f"{label}-{number}", before, sequence, after, offset)
            if taken:
                assert reply.code == 250, (offset, reply)
            else:
                assert (reply.code, reply.status) == (554, "5.6.0"), (offset, reply)
        client.command("NOOP", 250)  # still in step
    if not taken:
        return
    for number in range(len(offsets)):
        content = got(sink, f"{label}-{number}")
        wanted = before + expected + after
        # At the start, what is no header field is set off by an empty line.
        assert content == wanted or (not before and content == b"\r\n" + wanted)


@pytest.mark.parametrize("row", [r for r in ROWS if r[2] is not None], ids=lambda row: row[0])
def test_a_thousand_times_is_no_different(relay, sink, row):
    name, sequence, expected, taken_in_reject = row
    label = f"k{ROWS.index(row)}-{relay.mode}"
    with relay.smtp() as client:
        client.hello()
        reply = give(client, label, HEAD + b"X", (sequence + b"Z") * 1000, b"Y\r\n")
        if relay.mode == "normalize" or taken_in_reject:
            assert reply.code == 250
            assert got(sink, label) == HEAD + b"X" + (expected + b"Z") * 1000 + b"Y\r\n"
        else:
            assert (reply.code, reply.status) == (554, "5.6.0")


def test_the_end_of_data_ends_data_at_every_cut(relay, sink):
    end = b"X\r\n.\r\nNOOP\r\n"
    with relay.smtp() as client:
        client.hello()
        for offset in range(1, 7):
            client.envelope(SENDER, [f"<end{offset}-{relay.mode}@there.test>"])
            client.command("DATA", 354)
            client.send_split(HEAD + end, [len(HEAD) + offset])
            client.expect(250)
            assert client.expect(250)
    for offset in range(1, 7):
        assert got(sink, f"end{offset}-{relay.mode}") == HEAD + b"X\r\n"


def test_the_known_tools_smuggle_nothing(relay, sink):
    """A second message behind each of the sequences that smuggling tools send."""
    inner = (b"MAIL FROM:<evil@here.test>\r\nRCPT TO:<victim@there.test>\r\nDATA\r\n"
             b"Subject: smuggled\r\n\r\nboo\r\n")
    sequences = [b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n\0.\r\n",
                 b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n.\n", b"\r\n.\r"]
    with relay.smtp() as client:
        client.hello()
        for n, sequence in enumerate(sequences):
            reply = give(client, f"tool{n}-{relay.mode}", HEAD + b"X", sequence, inner)
            assert reply.code in (250, 554)
        client.command("NOOP", 250)
    relay.drain()
    assert not any("victim" in line or "evil" in line for line in sink.commands())


@pytest.mark.parametrize("chunk,expected", [
    (b"X\n.\nY\r\n", b"X\r\n.\r\nY\r\n"), (b"X\r.\rY\r\n", b"X . Y\r\n"),
    (b"X\r\n.\r\nY\r\n", b"X\r\n.\r\nY\r\n"), (b"X\r\n.\nY\r\n", b"X\r\n.\r\nY\r\n"),
    (b"X\r\n..Y\r\n", b"X\r\n..Y\r\n"), (b"X\r\n.", b"X\r\n.\r\n"), (b"no end", b"no end\r\n"),
    (b"X\r\n.\r\n", b"X\r\n.\r\n"), (b"X\0Y\r\n", None)])
def test_a_chunk_is_data_whatever_it_holds(relay, sink, chunk, expected):
    bare = b"\n" in chunk.replace(b"\r\n", b"") or b"\r" in chunk.replace(b"\r\n", b"")
    label = f"b{abs(hash(chunk))}-{relay.mode}"
    data = HEAD + chunk
    with relay.smtp() as client:
        client.hello()
        for cut in (None, *range(1, len(chunk))):
            client.envelope(SENDER, [f"<{label}-{cut}@there.test>"])
            parts = [data] if cut is None else [data[:len(HEAD) + cut], data[len(HEAD) + cut:]]
            for n, part in enumerate(parts):
                last = b" LAST" if n == len(parts) - 1 else b""
                client.send(b"BDAT %d%s\r\n" % (len(part), last) + part)
            replies = [client.reply() for _ in parts]
            if expected is None or (bare and relay.mode == "reject"):
                assert replies[-1].code in (554, 503), replies
                assert any(r.status == "5.6.0" for r in replies), replies
                client.command("RSET", 250)
            else:
                assert all(r.code == 250 for r in replies), (cut, replies)
                assert got(sink, f"{label}-{cut}") == HEAD + expected


def test_a_bare_lf_ends_a_command_only_where_that_is_harmless(relay, sink):
    with relay.smtp() as client:
        client.send(b"EHLO client.test\n")
        if relay.mode == "reject":
            for _ in range(2):
                assert client.expect(500).status == "5.5.2"
                client.send(b"EHLO client.test\n")
            client.expect(500, 421)
            assert client.rest(5) is not None
            return
        client.expect(250)
        client.send(b"MAIL FROM:<a@here.test>\nRCPT TO:<b@there.test>\n")
        client.expect(250)
        client.expect(250)
        client.send(b"DATA\n")
        assert client.expect(500).status == "5.5.2"


@pytest.mark.parametrize("line", [b"MAIL FROM:<a@here.test>\r\r\n", b"MAIL FROM:<a\r@here.test>\r\n",
                                  b"MAIL FROM:<a\0@here.test>\r\n", b"\0\r\n", b"NOOP\r \r\n",
                                  b"RCPT\0 TO:<b@there.test>\r\n", b"DATA\r\r\n"])
def test_cr_or_nul_in_a_command_is_refused(relay, sink, line):
    with relay.smtp() as client:
        client.hello()
        client.send(line)
        assert client.expect(500).status == "5.5.2"
        client.command("NOOP", 250)


def test_data_that_is_no_data_command_lets_no_content_through(relay, sink):
    """`DATA LF` pipelined: refused, and what follows is commands."""
    with relay.smtp() as client:
        client.hello()
        client.envelope(SENDER, [f"<nodata-{relay.mode}@there.test>"])
        client.send(b"DATA\nSubject: x\r\n\r\nbody\r\n.\r\nNOOP\r\n")
        replies = client.reply()
        assert replies.code == 500
        rest = client.rest(2) if not client.readable(1) else b""
        assert b"354" not in rest
    relay.drain()
    assert not any(m.paths == [f"<nodata-{relay.mode}@there.test>"] for m in sink.messages)
