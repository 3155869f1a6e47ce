"""What the kernel says of a process: memory, descriptors, CPU, sockets."""
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_ESTABLISHED, _LISTEN = "01", "0A"


def rss_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def fd_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _own_inodes(pid):
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def _address(text):
    address, port = text.split(":")
    if len(address) == 8:
        octets = bytes.fromhex(address)[::-1]
        return ".".join(str(octet) for octet in octets), int(port, 16)
    return "[" + address.lower() + "]", int(port, 16)


def tcp_sockets(pid, state=_ESTABLISHED):
    """(local, peer) of the process's TCP sockets in that state; each as (address, port)."""
    own, found = _own_inodes(pid), []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[9] in own:
                found.append((_address(fields[1]), _address(fields[2])))
    return found


def listening(pid):
    """(address, port) of each TCP listener."""
    return sorted({local for local, _ in tcp_sockets(pid, _LISTEN)})
