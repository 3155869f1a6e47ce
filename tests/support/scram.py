"""SCRAM-SHA-256 (RFC 5802, RFC 7677) written once more, so that the relay does not only agree with itself."""
import base64
import hashlib
import hmac
import os


def _b64(data):
    return base64.b64encode(data).decode()


def _hmac(key, text):
    return hmac.new(key, text if isinstance(text, bytes) else text.encode(), hashlib.sha256).digest()


def _xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def _fields(message):
    return {part[0]: part[2:] for part in message.split(",")}


class ScramClient:
    """first() -> on_challenge() -> on_final(), all base64 as AUTH carries it."""

    def __init__(self, user, password, exporter=None, flag=None):
        """With what the TLS connection exports: SCRAM-SHA-256-PLUS."""
        self.user, self.password, self.nonce = user, password, _b64(os.urandom(12))
        self.header = f"{flag or ('p=tls-exporter' if exporter is not None else 'n')},,".encode()
        self.binding = self.header + (exporter or b"")

    def first(self):
        self.bare = f"n={self.user},r={self.nonce}"
        return _b64(self.header + self.bare.encode())

    def on_challenge(self, line):
        message = base64.b64decode(line, validate=True).decode()
        fields = _fields(message)
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = _hmac(salted, "Client Key")
        without_proof = f"c={_b64(self.binding)},r={fields['r']}"
        everything = f"{self.bare},{message},{without_proof}"
        proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), everything))
        self.signature = _b64(_hmac(_hmac(salted, "Server Key"), everything))
        return _b64(f"{without_proof},p={_b64(proof)}".encode())

    def on_final(self, line):
        """True if the server, too, knows the password."""
        return base64.b64decode(line, validate=True).decode() == f"v={self.signature}"


class ScramServer:
    """challenge() -> final(), which gives None for a wrong proof."""

    def __init__(self, accounts, iterations=4096):
        self.accounts, self.iterations, self.salt = accounts, iterations, os.urandom(12)

    def challenge(self, line):
        message = base64.b64decode(line, validate=True).decode()
        assert message.startswith("n,,"), message
        self.bare = message[3:]
        fields = _fields(self.bare)
        self.user = fields["n"]
        self.nonce = fields["r"] + _b64(os.urandom(12))
        self.message = f"r={self.nonce},s={_b64(self.salt)},i={self.iterations}"
        return _b64(self.message.encode())

    def final(self, line):
        message = base64.b64decode(line, validate=True).decode()
        without_proof, proof = message.rsplit(",p=", 1)
        assert _fields(without_proof)["r"] == self.nonce
        password = self.accounts.get(self.user, os.urandom(8).hex())
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, self.iterations)
        stored = hashlib.sha256(_hmac(salted, "Client Key")).digest()
        everything = f"{self.bare},{self.message},{without_proof}"
        client_key = _xor(base64.b64decode(proof), _hmac(stored, everything))
        if hashlib.sha256(client_key).digest() != stored:
            return None
        return _b64(f"v={_b64(_hmac(_hmac(salted, 'Server Key'), everything))}".encode())
