"""Messages to send, and what may be said of one that has come out again."""
import email
import email.policy
import re

SENDER, RECIPIENT = "<sender@here.test>", "<recipient@there.test>"
SIMPLE = b"From: sender@here.test\r\nTo: recipient@there.test\r\nSubject: simple\r\n\r\nA line.\r\n"


def without_trace(content):
    """Content without the Received field that the relay put in front."""
    match = re.match(rb"Received:.*\r\n(?:[ \t].*\r\n)*", content)
    assert match, f"no Received in front: {content[:200]!r}"
    return content[match.end():]


def without_traces(content, hops):
    """The same after so many relays."""
    for _ in range(hops):
        content = without_trace(content)
    return content


def as_lines(content):
    """How SMTP carries a content: its last line has an end, too."""
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def report_of(content):
    """The three parts of a delivery status notification: text, status fields a recipient, original.
    What the fields hold is checked for its form: multipart/report with three parts (RFC 6522)."""
    message = email.message_from_bytes(content, policy=email.policy.SMTP)
    assert message.get_content_type() == "multipart/report", content[:500]
    assert message["Auto-Submitted"].startswith("auto-"), message["Auto-Submitted"]
    parts = list(message.iter_parts())
    assert len(parts) == 3, [part.get_content_type() for part in parts]
    kind = parts[1].get_content_subtype()
    assert kind in ("delivery-status", "global-delivery-status") and kind == message.get_param("report-type")
    return Report(message, parts)


def _groups(part):
    """Blocks of fields of the second part; of the international form, Python knows only the bytes."""
    if part.get_content_subtype() == "delivery-status":
        return part.get_payload()
    raw = part.get_payload()[0].as_bytes()
    blocks = raw.replace(b"\r\n", b"\n").strip().split(b"\n\n")
    return [email.message_from_bytes(block + b"\n\n", policy=email.policy.SMTPUTF8) for block in blocks]


class Report:
    """`recipients` holds the fields of each reported recipient, names in lower case."""

    def __init__(self, message, parts):
        self.message, self.parts = message, parts
        groups = [{k.lower(): str(v) for k, v in group.items()} for group in _groups(parts[1])]
        self.about, self.recipients = groups[0], [g for g in groups[1:] if g]

    @property
    def text(self):
        return self.parts[0].get_content()

    @property
    def original(self):
        """The returned content or header section, as bytes."""
        payload = self.parts[2].get_payload()
        if isinstance(payload, list):
            return payload[0].as_bytes()
        return self.parts[2].get_payload(decode=True)

    def recipient(self, address):
        """Fields about that address."""
        for fields in self.recipients:
            if fields["final-recipient"].endswith(address):
                return fields
        raise AssertionError(f"nothing about {address} in {self.recipients}")


def large_attachment(mib=20):
    """A content with a base64 attachment of that size."""
    line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx\r\n"
    head = b"From: a@here.test\r\nTo: b@there.test\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n" \
        b"Message-ID: <large@here.test>\r\nSubject: large\r\nMIME-Version: 1.0\r\n" \
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + line * ((mib << 20) // len(line))


def corpus():
    """(name, content) of the MIME mail that every path must carry byte for byte."""
    crlf = b"\r\n"
    head = b"From: a@here.test" + crlf + b"To: b@there.test" + crlf \
        + b"Date: Tue, 24 Nov 2026 09:00:00 +0000" + crlf + b"Message-ID: <corpus@here.test>" + crlf
    base64_line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx" + crlf
    return [
        ("plain", head + b"Subject: plain" + crlf * 2 + b"Hello." + crlf),
        ("folded", head + b"Subject: a long subject that is" + crlf + b" folded" + crlf + b"\tand again"
         + crlf * 2 + b"x" + crlf),
        ("no_body", head + b"Subject: no body" + crlf * 2),
        ("dots", head + b"Subject: dots" + crlf * 2 + b"." + crlf + b".." + crlf + b"... and" + crlf
         + b".x" + crlf + b"end." + crlf),
        ("long_lines", head + b"Subject: long" + crlf * 2 + b"x" * 998 + crlf + b"y" * 990 + crlf),
        ("spaces", head + b"Subject: spaces  " + crlf * 2 + b"trailing   " + crlf + b"\t" + crlf + crlf * 5),
        ("multipart", head + b"MIME-Version: 1.0" + crlf
         + b'Content-Type: multipart/mixed; boundary="=_b"' + crlf * 2 + b"preamble" + crlf + b"--=_b" + crlf
         + b"Content-Type: text/plain; charset=utf-8" + crlf + b"Content-Transfer-Encoding: quoted-printable"
         + crlf * 2 + b"caf=C3=A9 =3D=" + crlf + b" soft" + crlf + b"--=_b" + crlf
         + b"Content-Type: application/octet-stream" + crlf + b"Content-Transfer-Encoding: base64" + crlf * 2
         + base64_line * 400 + b"--=_b--" + crlf + b"epilogue" + crlf),
        ("signed", head + b"DKIM-Signature: v=1; a=rsa-sha256; d=here.test; s=s;" + crlf
         + b"  h=from:to; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;" + crlf + b"  b=AAAA" + crlf * 2
         + b"body" + crlf),
        ("many_fields", head + b"".join(b"X-Field-%d: %d" % (n, n) + crlf for n in range(300)) + crlf + b"x" + crlf),
        ("eight_bit", head + b"MIME-Version: 1.0" + crlf + b"Content-Type: text/plain; charset=utf-8" + crlf
         + b"Content-Transfer-Encoding: 8bit" + crlf + b"Subject: 8 bits" + crlf * 2
         + "Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e".encode() + crlf + b"latin: \xe4\xf6\xfc\xff" + crlf),
        ("nested_message", head + b"MIME-Version: 1.0" + crlf + b"Content-Type: message/rfc822" + crlf * 2
         + head + b"Subject: inner" + crlf * 2 + b"inner body" + crlf),
    ]
