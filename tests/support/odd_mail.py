"""Mail as programs write it when nobody looks: random, but the same for the same seed."""
import random

WORDS = [b"hello", b"World", b"a", b"--", b"=?utf-8?q?J=C3=B6rg?=", "Gr\u00fc\u00dfe".encode(), b"\xe4\xf6\xfc", b"x" * 70,
         b"<b@there.test>", b"(comment)", b'"quoted \\" text"', b";", b":", b"=3D", b"\x01\x7f"]
# Of somebody else, and of a good form: OpenDKIM gives a message up for a signature that it cannot parse.
FOREIGN_NAME = b"DKIM-Signature"
FOREIGN = b"v=1; a=rsa-sha256; c=simple/simple; d=elsewhere.test; s=s;\r\n  h=from:to:subject; \r\n" \
    b"\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b=AAAA"
NAMES = [b"To", b"CC", b"Subject", b"date", b"Message-ID", b"In-Reply-To", b"References", b"MIME-Version",
         b"Content-Type", b"content-transfer-encoding", b"Reply-To", b"Sender", b"List-Unsubscribe",
         b"List-Unsubscribe-Post", b"List-Id", b"Resent-From", b"Resent-To", b"X-Mailer", b"Received", b"Return-Path",
         b"X-Odd_Name!#$", b"Comments", FOREIGN_NAME, b"X-" + b"n" * 60]
FROMS = [b"a@here.test", b"<a@HERE.test>", b"A B <a@here.test>", b'"A, B" <a@here.test>', b"a@here.test (A (B) C)",
         b"=?utf-8?b?w7w=?=\r\n <a@here.test>", b"\r\n\ta@sub.here.test", b"<a@here.test>, <b@there.test>",
         b"  \t a@here.test  \t ", b'"a@evil.test" <a@here.test>']
BLANKS = [b" ", b"  ", b"\t", b" \t ", b"\r\n ", b"\r\n\t", b" \r\n  \t"]
ENDS = [b"", b"", b" ", b"\t", b" \t  "]


def _value(dice):
    value = dice.choice([b"", b" ", b"  ", b"\t", b"\r\n "])
    for _ in range(dice.choice([0, 1, 1, 2, 5, 20])):
        value += dice.choice(WORDS) + dice.choice(BLANKS)
    return value.rstrip(b"\r\n") + dice.choice(WORDS + [b""]) + dice.choice(ENDS)


def _field(dice, name, value=None):
    name = dice.choice([bytes.lower, bytes.upper, bytes])(name)
    return name + b":" + (_value(dice) if value is None else dice.choice([b"", b" "]) + value) + b"\r\n"


def _body(dice):
    if dice.random() < 0.1:
        return dice.choice([b"", b"\r\n", b"\r\n\r\n\r\n", b" \r\n", b"\t", b".", b"x"])
    lines = []
    for _ in range(dice.choice([1, 3, 10, 60])):
        line = b"".join(dice.choice(WORDS + [b".", b"..", b"\x0b", b"\xa0"]) + dice.choice([b" ", b"  ", b"\t", b""])
                        for _ in range(dice.choice([0, 1, 3, 8])))
        lines.append(dice.choice([b"", b"", b".", b" "]) + line + dice.choice(ENDS))
    lines += [dice.choice([b"", b" ", b"\t"])] * dice.choice([0, 0, 1, 4])
    return b"\r\n".join(lines) + dice.choice([b"\r\n", b"\r\n", b""])


def odd_message(seed):
    """A content with one From of here.test or a domain below it; its number is in X-Number."""
    dice = random.Random(seed)
    names = [dice.choice(NAMES) for _ in range(dice.choice([0, 2, 6, 15, 40]))]
    fields = [_field(dice, name, FOREIGN if name == FOREIGN_NAME else None) for name in names]
    fields.insert(dice.randrange(len(fields) + 1), _field(dice, b"From", dice.choice(FROMS)))
    fields.insert(0, b"X-Number: %d\r\n" % seed)
    return b"".join(fields) + b"\r\n" + _body(dice)
