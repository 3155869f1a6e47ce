"""A memory limit around the relay: a control group of version 1 or 2."""
import os
import uuid
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def why_no_cgroup():
    """None if a memory limit can be set here, else the reason."""
    try:
        with MemoryLimit(64 << 20):
            return None
    except OSError as error:
        return f"no memory control group here: {error}"


class MemoryLimit:
    """`preexec` puts a process that is about to start inside."""

    def __init__(self, limit_bytes):
        self.limit_bytes = limit_bytes
        self.version = 1 if (_V1 / "memory.limit_in_bytes").exists() else 2
        self.folder = (_V1 if self.version == 1 else _V2) / f"sluice-test-{uuid.uuid4().hex[:8]}"

    def __enter__(self):
        self.folder.mkdir()
        try:
            if self.version == 1:
                (self.folder / "memory.limit_in_bytes").write_text(str(self.limit_bytes))
            else:
                (self.folder / "memory.max").write_text(str(self.limit_bytes))
                (self.folder / "memory.swap.max").write_text("0")
        except OSError:
            self.folder.rmdir()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.folder.rmdir()
        except OSError:
            pass  # a process is still ending in it; an empty group harms nobody

    def preexec(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self):
        """Processes that the kernel killed for want of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        for line in (self.folder / name).read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0
