"""Two verifiers of others: is this message signed, by whom, and is what is signed what is here?

    keys = DkimKeys(directory)
    keys.make("here.test", "s1")                 # by `sluice dkim keygen`
    relay = start_relay(extra={"dkim": keys.sections()}, ...)
    assert verified(message, keys) == ["s1/here.test"]
"""
import json
import re
import subprocess
from pathlib import Path

import dkim

from support.relay import binary

_SIGNATURE = re.compile(rb"(?im)^DKIM-Signature:((?:.*\r\n)(?:[ \t].*\r\n)*)")


class DkimKeys:
    """Keys made by the command, and the records that it wants published."""

    def __init__(self, directory):
        self.directory, self.records, self._sections = Path(directory), {}, []
        self.directory.mkdir(exist_ok=True)

    def make(self, domain, selector, *options):
        path = self.directory / f"{selector}.{domain}.pem"
        done = subprocess.run([binary(), "dkim", "keygen", "--domain", domain, "--selector", selector, "--output",
                               str(path), "--json", *options], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        self.records[made["name"]] = made["record"]
        section = {"domain": domain, "selector": selector, "key": str(path)}
        self._sections.append(section)
        return section

    def sections(self):
        return list(self._sections)

    def txt(self, name, timeout=5):
        """What dkimpy asks of the DNS."""
        return self.records.get(name.decode().rstrip("."), "").encode() or None


def signatures(content):
    """The tags of each DKIM-Signature field, from the top, as a dict."""
    head = content.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    found = []
    for match in _SIGNATURE.finditer(head):
        tags = (tag.partition(b"=") for tag in re.sub(rb"\s", b"", match[1]).split(b";") if tag)
        found.append({name.decode('latin-1'): value.decode('latin-1') for name, _, value in tags})
    return found


def holds(content, keys, index=0):
    """Whether dkimpy takes the signature of that number."""
    try:
        return dkim.DKIM(content).verify(idx=index, dnsfunc=keys.txt)
    except dkim.DKIMException:
        return False


def verified(content, keys):
    """"selector/domain" of every signature of a domain of `keys`, all of which must be good for dkimpy."""
    domains = {section["domain"] for section in keys.sections()}
    good = []
    for index, tags in enumerate(signatures(content)):
        if tags.get("d") not in domains:
            continue
        assert holds(content, keys, index), (tags, content[:3000])
        good.append(f"{tags['s']}/{tags['d']}")
    return good


def refused_by_opendkim(contents, keys, directory, at_once=100):
    """Which of `contents`, each with one signature, do not verify for OpenDKIM: name and what it says."""
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    records, config = directory / "keys", directory / "opendkim.conf"
    records.write_text("".join(f"{name} {record}\n" for name, record in keys.records.items()))
    config.write_text(f"Mode v\nTestPublicKeys {records}\nSyslog no\n")
    names = [f"{index}.eml" for index in range(len(contents))]
    for name, content in zip(names, contents):
        (directory / name).write_bytes(content)
    verdicts = {}
    for at in range(0, len(names), at_once):
        done = subprocess.run(["opendkim", "-x", str(config), "-v", "-t", ",".join(names[at:at + at_once])],
                              capture_output=True, text=True, timeout=120, cwd=directory)
        for line in done.stdout.splitlines():
            match = re.match(r"opendkim: (\S+): (.*)", line)
            if match:
                verdicts[match[1]] = match[2]
    return {name: verdicts.get(name, "nothing said") for name in names
            if not re.match(r"verification .* succeeded$", verdicts.get(name, ""))}
