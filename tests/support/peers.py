"""Other relays to speak with: Postfix, Exim, OpenSMTPD, unpacked from Debian's packages into a scratch folder and run
in a mount namespace of their own, so that nothing of the machine is changed."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from support.ports import free_port
from support.relay import ROOT
from support.smtp_client import SmtpClient
from support.waiting import wait_until

KINDS = ("postfix", "exim", "opensmtpd")
PACKAGES = ("postfix", "exim4-daemon-light", "exim4-base", "opensmtpd", "libevent-2.1-7", "libgnutls-dane0", "libnsl2",
            "libdb5.3", "libunbound8", "libidn12", "libtirpc3")
USERS = "postfix:x:5101:5101::/:/bin/false\nDebian-exim:x:5102:5102::/:/bin/false\n" \
        "opensmtpd:x:5103:5103::/:/bin/false\nopensmtpq:x:5104:5104::/:/bin/false\n"
GROUPS = "postfix:x:5101:\npostdrop:x:5105:\nDebian-exim:x:5102:\nopensmtpd:x:5103:\nopensmtpq:x:5104:\n"


def unpack():
    """Folder with the peers' files; made once, kept below build/. Skips where that cannot be."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root for a mount namespace")
    folder = ROOT / "build/peers"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _unpack_into(folder)


def _unpack_into(folder):
    if (folder / "complete").exists():
        return folder / "root"
    (folder / "deb").mkdir(exist_ok=True)
    for package in PACKAGES:
        subprocess.run(["apt-get", "-q", "download", package], cwd=folder / "deb", capture_output=True, timeout=120)
    for deb in (folder / "deb").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / "root")], check=True)
    if (folder / "root/usr/sbin/postfix").exists() and (folder / "root/usr/sbin/exim4").exists():
        (folder / "complete").touch()
        return folder / "root"
    pytest.skip("the peers' packages cannot be had")


def make(kind, root, folder, next_hop, *place, **settings):
    return {"postfix": Postfix, "exim": Exim, "opensmtpd": OpenSmtpd}[kind](root, folder, next_hop, *place, **settings)


class Peer:
    """Listens on address:port and hands all mail to the next hop. Without `pipelining` it neither offers nor uses it
    (OpenSMTPD never does), nor chunks; without `esmtp` it greets its next hop with HELO (Postfix only). With a certificate
    (`tls`) it offers TLS, and demands it of the next hop."""
    key_mode = 0o600

    def __init__(self, root, folder, next_hop, address="127.0.0.1", port=None, pipelining=True, esmtp=True, tls=None):
        self.root, self.folder, self.tls = root, Path(folder), tls
        self.next = f"{next_hop.address}", next_hop.port
        self.address, self.port = address, port or free_port()
        self.pipelining, self.esmtp = pipelining, esmtp
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        for path in self.folder.parents:  # other users must be able to come here
            if path.stat().st_uid == os.geteuid() and str(path).startswith("/tmp/"):
                path.chmod(path.stat().st_mode | 0o011)
        if self.tls:
            shutil.copy(self.tls.certificate, self.folder / "cert.pem")
            shutil.copy(self.tls.key, self.folder / "key.pem")
            (self.folder / "key.pem").chmod(self.key_mode)
        script = self.folder / "start"
        mounts, commands = self.prepare()
        # The accounts last: a layer over /etc would hide them.
        script.write_text("set -e\nmount --make-rprivate /\nmount -t proc proc /proc\n" + mounts + self._accounts()
                          + commands)
        self.log = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(script)],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        wait_until(self._greets, 20, lambda: f"{type(self).__name__} to listen: {self.output()}")
        return self

    def output(self):
        text = (self.folder / "output").read_text(errors="replace")
        for path in self.folder.rglob("*log*"):
            if path.is_file():
                text += path.read_text(errors="replace")[-2000:]
        return text[-4000:]

    def _accounts(self):
        for name, lines in (("passwd", USERS), ("group", GROUPS)):
            known = Path(f"/etc/{name}").read_text()
            names = {line.split(":")[0] for line in known.splitlines()}
            ours = [line for line in lines.splitlines() if line.split(":")[0] not in names]
            (self.folder / name).write_text("\n".join([*known.splitlines(), *ours]) + "\n")
        binds = [f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("passwd", "group")]
        return "\n".join(binds) + f"\nexport LD_LIBRARY_PATH={self.root}/usr/lib/x86_64-linux-gnu:{self.root}/usr/lib/postfix\n"

    def over(self, place, source):
        """Mounts `source` where the program looks for it; the place is made in a scratch layer."""
        place = Path(place)
        lines = []
        if not place.exists():
            parent = place
            while not parent.exists():
                parent = parent.parent
            layer = self.folder / ("layer" + re.sub(r"\W", "_", str(parent)))
            lines += [f"mkdir -p {layer}/up {layer}/work", f"mount -t overlay overlay -o lowerdir={parent},"
                      f"upperdir={layer}/up,workdir={layer}/work {parent}", f"mkdir -p {place}"]
        return "\n".join([*lines, f"mount --bind {source} {place}"]) + "\n"

    def _greets(self):
        assert self.process.poll() is None, self.output()
        try:
            with SmtpClient((self.address, self.port), timeout=2) as client:
                return client.reply().code == 220
        except OSError:
            return False

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.log.close()


class Postfix(Peer):
    def prepare(self):
        for name in ("conf", "queue", "data"):
            (self.folder / name).mkdir()
        plain = "" if self.pipelining else "pipelining chunking"
        library, sbin = f"{self.root}/usr/lib/postfix", f"{self.root}/usr/sbin"
        tls = "smtpd_tls_security_level = none\nsmtp_tls_security_level = none" if not self.tls else f"""
smtpd_tls_security_level = may
smtpd_tls_cert_file = {self.folder}/cert.pem
smtpd_tls_key_file = {self.folder}/key.pem
smtp_tls_security_level = encrypt"""
        (self.folder / "conf/main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
command_directory = {sbin}
daemon_directory = {library}/sbin
shlib_directory = {library}
meta_directory = {self.root}/etc/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = peer.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [{self.next[0]}]:{self.next[1]}
{tls}
smtpd_peername_lookup = no
smtputf8_enable = yes
smtpd_discard_ehlo_keywords = {plain}
smtp_discard_ehlo_keywords = {plain}
smtp_never_send_ehlo = {"no" if self.esmtp else "yes"}
smtp_always_send_ehlo = {"yes" if self.esmtp else "no"}
message_size_limit = 104857600
alias_maps =
alias_database =
maillog_file = /dev/stdout
import_environment = LD_LIBRARY_PATH MAIL_CONFIG MAIL_LOGTAG
""")
        (self.folder / "conf/master.cf").write_text("\n".join(
            [f"{self.address}:{self.port} inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd"]
            + [f"{name} unix {private} - n {wake} {count} {command}" for name, private, wake, count, command in (
                ("cleanup", "n", "-", "0", "cleanup"), ("qmgr", "n", "300", "1", "qmgr"),
                ("rewrite", "-", "-", "-", "trivial-rewrite"), ("bounce", "-", "-", "0", "bounce"),
                ("defer", "-", "-", "0", "bounce"), ("trace", "-", "-", "0", "bounce"),
                ("proxymap", "-", "-", "-", "proxymap"), ("smtp", "-", "-", "-", "smtp"), ("relay", "-", "-", "-", "smtp"),
                ("error", "-", "-", "-", "error"), ("retry", "-", "-", "-", "error"), ("anvil", "-", "-", "1", "anvil"),
                ("scache", "-", "-", "1", "scache"), ("tlsmgr", "-", "1000?", "1", "tlsmgr"))]) + "\n")
        return self.over("/usr/lib/postfix", library), f"chown -R postfix {self.folder}/data\n" \
            f"exec {sbin}/postfix -c {self.folder}/conf start-fg\n"


class Exim(Peer):
    key_mode = 0o644  # it reads its key as its own user

    def prepare(self):
        offer = f"*\ntls_certificate = {self.folder}/cert.pem\ntls_privatekey = {self.folder}/key.pem" if self.tls else ""
        for name in ("conf", "spool", "log"):
            (self.folder / name).mkdir()
        program = f"{self.root}/usr/sbin/exim4"
        offered, used = ("*", "") if self.pipelining else ("", "*")
        (self.folder / "conf/exim4.conf").write_text(f"""exim_path = {program}
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/log/%slog
primary_hostname = peer.test
daemon_smtp_ports = {self.port}
local_interfaces = {self.address}
disable_ipv6
message_size_limit = 100M
pipelining_advertise_hosts = {offered}
chunking_advertise_hosts = {offered}
acl_smtp_rcpt = accept
host_lookup =
rfc1413_hosts =
tls_advertise_hosts = {offer}
keep_environment =
never_users =
begin routers
relay:
  driver = manualroute
  route_list = * {self.next[0]}::{self.next[1]}
  transport = remote
  self = send
  no_more
begin transports
remote:
  driver = smtp
  allow_localhost
  {"hosts_require_tls = *" if self.tls else "hosts_avoid_tls = *"}
  hosts_avoid_pipelining = {used}
  hosts_try_chunking = {offered}
begin retry
* * F,1h,1s
""")
        return self.over("/etc/exim4", self.folder / "conf"), \
            f"chown -R Debian-exim {self.folder}/spool {self.folder}/log\nexec {program} -bdf -q5s\n"


class OpenSmtpd(Peer):
    def prepare(self):
        (self.folder / "spool").mkdir(mode=0o711)
        (self.folder / "empty").mkdir(mode=0o755)
        configuration = self.folder / "smtpd.conf"
        pki = f'pki peer.test cert "{self.folder}/cert.pem"\npki peer.test key "{self.folder}/key.pem"\n' if self.tls else ""
        configuration.write_text(f"""{pki}smtp max-message-size 100M
listen on {self.address} port {self.port} {"tls pki peer.test" if self.tls else ""} hostname peer.test
action "out" relay host {"smtp+tls" if self.tls else "smtp"}://{self.next[0]}:{self.next[1]} \
{"tls no-verify" if self.tls else ""}
match from any for any action "out"
""")
        configuration.chmod(0o600)
        return self.over("/var/spool/smtpd", self.folder / "spool") \
            + self.over("/usr/libexec/opensmtpd", f"{self.root}/usr/libexec/opensmtpd") \
            + self.over("/var/lib/opensmtpd/empty", self.folder / "empty"), \
            f"exec {self.root}/usr/sbin/smtpd -F -f {configuration}\n"
