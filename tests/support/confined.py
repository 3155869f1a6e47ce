"""The limits of a systemd unit without systemd: its system call filter, privileges and view of the file system.

    relay = start_relay(start=False, top={"data_dir": confined.DATA}, ...)
    relay.wrapper = confined.wrapper(relay)

As a program it narrows its own view and privileges, loads the filter into itself and becomes the relay. The settings of
the unit that are not repeated here change nothing for a process that was never started by systemd.
"""
import ctypes
import errno
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a program it knows nothing of the other tools
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import source_tree  # noqa: E402

UNIT = source_tree.ROOT / "deploy/sluice.service"
_PLACE = "/media"  # every Debian has it; what the relay may see of ours is mounted here
DATA = f"{_PLACE}/data"
_NOBODY = 65534

_LIBC = ctypes.CDLL(None, use_errno=True)
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EQUAL, _MASKED_EQUAL = 4, 7
_WRITE, _EXEC = 2, 4
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW*
_SETID_BITS = 0o6000
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


def why_not():
    """None if a process can be confined here, else the reason."""
    if os.geteuid() != 0:
        return "needs root for a mount namespace"
    for program in ("systemd-analyze", "setpriv", "unshare"):
        if not shutil.which(program):
            return f"{program} is not installed"
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        return f"no libseccomp: {error}"
    return None


def wrapper(relay, binary):
    """In front of the relay's command, which it replaces by one on its view of the files."""
    relay.data.mkdir(exist_ok=True)
    relay.data.chmod(0o700)
    os.chown(relay.data, _NOBODY, _NOBODY)
    calls = relay.directory / "calls"
    calls.write_text("\n".join(sorted(allowed_calls(UNIT))))
    return ["unshare", "--mount", "/usr/bin/python3", str(Path(__file__).resolve()), "enter", str(relay.data),
            str(relay.config_file), str(Path(binary).resolve()), str(calls)]


def _mount(source, target, kind=None, flags=0, options=None):
    texts = [None if text is None else str(text).encode() for text in (source, target, kind)]
    if _LIBC.mount(*texts, ctypes.c_ulong(flags), None if options is None else options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def enter(data, config, binary, calls):
    """In a mount namespace: ProtectSystem=strict, ProtectHome, PrivateTmp, PrivateDevices, ProtectKernelTunables,
    StateDirectory; then User, AmbientCapabilities, CapabilityBoundingSet, NoNewPrivileges, UMask; then the filter."""
    _mount(None, "/", flags=_PRIVATE | _RECURSIVE)
    _mount("none", _PLACE, "tmpfs", options="mode=755")
    os.mkdir(DATA)
    _mount(data, DATA, flags=_BIND)
    os.makedirs(f"{_PLACE}/support")
    for source, name in ((config, "sluice.toml"), (binary, "sluice"), (calls, "calls"), (UNIT, "sluice.service"),
                         (__file__, "support/confined.py"), (source_tree.__file__, "support/source_tree.py")):
        shutil.copy(source, f"{_PLACE}/{name}")
        os.chmod(f"{_PLACE}/{name}", 0o755)
    os.mkdir(f"{_PLACE}/dev")
    for device in ("null", "zero", "full", "random", "urandom", "tty"):
        Path(f"{_PLACE}/dev/{device}").touch()
        _mount(f"/dev/{device}", f"{_PLACE}/dev/{device}", flags=_BIND)
    _mount(f"{_PLACE}/dev", "/dev", flags=_BIND | _RECURSIVE)
    _mount("none", "/tmp", "tmpfs", options="mode=1777")
    for folder in ("/home", "/root", "/run/user"):
        if os.path.isdir(folder):
            _mount("none", folder, "tmpfs", options="mode=000")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = line.split()[1]
        if place not in (DATA, "/tmp") and not place.startswith(("/dev/", f"{_PLACE}/dev/")):
            try:
                _mount(None, place, flags=_REMOUNT | _BIND | _READ_ONLY)
            except OSError:
                pass  # it is hidden below another; the test looks at what is left
    os.chdir("/")
    os.umask(0o077)
    program = f"{_PLACE}/support/confined.py"
    os.execvp("setpriv", [
        "setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs", "--pdeathsig=KILL",
        *(f"--{name}=-all,+net_bind_service" for name in ("bounding-set", "inh-caps", "ambient-caps")),
        "/usr/bin/python3", program, "become", f"{_PLACE}/sluice.service", f"{_PLACE}/calls",
        f"{_PLACE}/sluice", "serve", "--config", f"{_PLACE}/sluice.toml"])


def settings(unit):
    """Last value of each setting; SystemCallFilter keeps all its lines."""
    pairs = re.findall(r"^(\w+)=(.*)$", Path(unit).read_text(), re.M)
    values = dict(pairs)
    values["SystemCallFilter"] = [value for name, value in pairs if name == "SystemCallFilter"]
    return values


def _calls_of(names):
    """System calls of names and @groups, as systemd knows them."""
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        listing = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        inner = [line.strip() for line in listing.stdout.splitlines()[1:]]
        calls |= _calls_of([entry for entry in inner if entry and not entry.startswith("#")])
    return calls


@functools.cache
def allowed_calls(unit_file):
    """What the unit's SystemCallFilter leaves."""
    allowed = set()
    for line in settings(unit_file)["SystemCallFilter"]:
        if line.startswith("~"):
            allowed -= _calls_of(line[1:].split())
        else:
            allowed |= _calls_of(line.split())
    return frozenset(allowed)


class _Condition(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def _conditions(unit):
    """Calls that are allowed with some arguments only: a list of alternatives, each of one condition."""
    def without(argument, bits):
        return [_Condition(argument, _MASKED_EQUAL, bits, 0)]
    restricted = {
        "socket": [_Condition(0, _EQUAL, _FAMILIES[name], 0) for name in unit["RestrictAddressFamilies"].split()]}
    if unit["MemoryDenyWriteExecute"] == "yes":
        restricted |= {"mmap": without(2, _WRITE) + without(2, _EXEC), "mprotect": without(2, _EXEC),
                       "pkey_mprotect": without(2, _EXEC), "shmat": without(2, 0o100000)}
    if unit["RestrictNamespaces"] == "yes":
        restricted |= {"clone": without(0, _NEW_NAMESPACES), "clone3": [], "unshare": [], "setns": []}
    if unit["LockPersonality"] == "yes":
        restricted |= {"personality": [_Condition(0, _EQUAL, 0, 0), _Condition(0, _EQUAL, 0xFFFFFFFF, 0)]}
    if unit["RestrictSUIDSGID"] == "yes":
        restricted |= {"chmod": without(1, _SETID_BITS), "fchmod": without(1, _SETID_BITS),
                       "fchmodat": without(2, _SETID_BITS)}
    return restricted


def load_filter(unit, allowed):
    """From here on this process may call what the unit allows, and gets EPERM for the rest."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    filters = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | errno.EPERM)))
    add = library.seccomp_rule_add_array
    restricted = _conditions(unit)
    # glibc takes clone where there is no clone3, whose flags no filter can see.
    number = library.seccomp_syscall_resolve_name(b"clone3")
    assert add(filters, ctypes.c_uint32(_ERRNO | errno.ENOSYS), number, 0, None) == 0
    for name in sorted(set(allowed) - {"clone3"}):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            continue  # not of this architecture
        if name not in restricted:
            assert add(filters, ctypes.c_uint32(_ALLOW), number, 0, None) == 0, name
        for condition in restricted.get(name, []):
            assert add(filters, ctypes.c_uint32(_ALLOW), number, 1, ctypes.byref(condition)) == 0, name
    assert library.seccomp_load(filters) == 0


def become(unit, calls, *command):
    load_filter(settings(unit), Path(calls).read_text().split())
    os.execv(command[0], command)


if __name__ == "__main__":
    if sys.argv[1] == "enter":
        enter(*sys.argv[2:6])
    else:
        become(*sys.argv[2:])
