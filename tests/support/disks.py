"""Small file systems that can fill up, run out of inodes, or lose power.

Power cut: ext4 on a loop device and EXT4_IOC_SHUTDOWN without flushing the log, so that what was not
synced is gone. A sync that is caught inside the shutdown can return success, so the processes
are frozen first, then the power is cut, then they are killed.
"""
import fcntl
import os
import signal
import struct
import subprocess
from pathlib import Path

from support.waiting import wait_until

_EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2


def _run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if result.returncode:
        raise OSError(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


class LoopDisk:
    """ext4 in a file, mounted at `mount`."""

    def __init__(self, directory, mib=256, inodes=None):
        self.image, self.mount = Path(directory) / "disk.img", Path(directory) / "disk"
        self.mib, self.inodes = mib, inodes

    def __enter__(self):
        self.mount.mkdir(parents=True)
        with open(self.image, "wb") as image:
            image.truncate(self.mib << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "has_journal",
             *(["-N", self.inodes] if self.inodes else []), self.image)
        self.attach()
        return self

    def attach(self):
        _run("mount", "-o", "loop", self.image, self.mount)

    def detach(self):
        wait_until(self._unmounted, 10, f"{self.mount} to be unmounted", every=0.05)

    def _unmounted(self):
        if not os.path.ismount(self.mount):
            return True
        subprocess.run(["umount", str(self.mount)], capture_output=True)
        return not os.path.ismount(self.mount)

    def __exit__(self, *_):
        try:
            self.detach()
        finally:
            if os.path.ismount(self.mount):
                subprocess.run(["umount", "-l", str(self.mount)])
            self.image.unlink(missing_ok=True)

    def cut_power(self, process):
        """Freezes the process, cuts the power, kills it; the disk is as after a crash, and on."""
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: _stopped(process.pid), 5, "all threads stopped")
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        self.detach()
        self.attach()

    def free(self):
        state = os.statvfs(self.mount)
        return state.f_bavail * state.f_frsize

    def fill(self, leave=0, name="ballast"):
        """Takes free space until `leave` bytes are left."""
        path = self.mount / name
        size = self.free() - leave
        if size <= 0:
            return path
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            start = os.fstat(fd).st_size
            while size > 0:
                try:
                    os.posix_fallocate(fd, start, size)
                    break
                except OSError:
                    size -= 1 << 20
        finally:
            os.close(fd)
        return path


class TmpfsDisk(LoopDisk):
    """A tmpfs of that size."""

    def attach(self):
        _run("mount", "-t", "tmpfs", "-o", f"size={self.mib}m", "tmpfs", self.mount)

    def __enter__(self):
        self.mount.mkdir(parents=True)
        self.attach()
        return self


def _stopped(pid):
    try:
        return all(Path(f"/proc/{pid}/task/{task}/stat").read_text().rsplit(")", 1)[1].split()[0]
                   in "Tt" for task in os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:
        return False


def why_no_loop_disk(directory):
    """None if loop disks work here, else the reason."""
    if os.geteuid() != 0:
        return "needs root to mount"
    try:
        with LoopDisk(Path(directory) / "probe", mib=16):
            return None
    except OSError as error:
        return f"no loop mounts here: {error}"


def why_no_power_cut(directory):
    """None if power can be cut here, else the reason."""
    if os.geteuid() != 0:
        return "needs root to mount"
    try:
        with LoopDisk(Path(directory) / "probe", mib=16) as disk:
            holder = subprocess.Popen(["sleep", "60"])
            disk.cut_power(holder)
            return None
    except OSError as error:
        return f"power cannot be cut here: {error}"
