"""Certificates for tests, made by the openssl command: an authority, and what it signs.

    ca = Authority(tmp_path)
    leaf = ca.issue("relay.test")                # a certificate for that DNS name
    leaf = ca.issue("x", names=["DNS:*.a.test"], key="rsa:1024", begin=1, end=2)   # days from now
"""
import datetime
import ssl
import subprocess

CONFIG = """[ca]
default_ca = own
[own]
database = {0}/index
new_certs_dir = {0}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
"""


def _openssl(*arguments):
    result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"openssl {arguments}: {result.stderr}"
    return result.stdout


def _new_key(kind):
    if kind == "ec":
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    return ["-newkey", kind, "-nodes"]


def _days(offset):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=offset)
    return moment.strftime("%Y%m%d%H%M%SZ")


class Certificate:
    """Paths of a certificate (with what signed it behind it) and its key."""

    def __init__(self, certificate, key):
        self.certificate, self.key = str(certificate), str(key)

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # short keys, too
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    def __init__(self, folder, name="Test CA"):
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir(parents=True)
        (self.folder / "index").touch()
        (self.folder / "config").write_text(CONFIG.format(self.folder))
        self.file, self._key = str(self.folder / "ca.pem"), str(self.folder / "ca.key")
        _openssl("req", "-x509", *_new_key("ec"), "-subj", f"/CN={name}", "-days", "30", "-keyout", self._key,
                 "-out", self.file, "-addext", "basicConstraints=critical,CA:TRUE")
        self._made = 0

    def issue(self, name, names=None, key="ec", begin=-1, end=30):
        """`names` as ["DNS:a.test", "IP:127.0.0.1"]; by default the common name, [] for none."""
        self._made += 1
        base = self.folder / f"{self._made}"
        names = [f"DNS:{name}"] if names is None else names
        extra = ["-addext", "subjectAltName=" + ",".join(names)] if names else []
        _openssl("req", "-new", *_new_key(key), "-subj", f"/CN={name}", "-keyout", f"{base}.key", "-out", f"{base}.csr",
                 *extra)
        _openssl("ca", "-batch", "-notext", "-config", str(self.folder / "config"), "-cert", self.file, "-keyfile",
                 self._key, "-startdate", _days(begin), "-enddate", _days(end), "-in", f"{base}.csr", "-out",
                 f"{base}.pem")
        return Certificate(f"{base}.pem", f"{base}.key")

    def client_context(self, certificate=None):
        """Of a client that believes this authority alone, perhaps with a certificate of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.file)
        if certificate:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context
