"""A clock of the relay's own, by libfaketime: moved while it runs, without touching monotonic time."""
import glob


def library():
    """Path of libfaketime for programs with threads, or None."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    return found[0] if found else None


class FakeClock:
    """`env` goes to the relay; set() moves its wall clock: "+2h", "@2038-02-01 00:00:00"."""

    def __init__(self, directory, now="+0"):
        self.file = directory / "faketime"
        self.set(now)
        self.env = {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self.file),
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_RESET": "1"}

    def set(self, now):
        temporary = self.file.with_suffix(".new")
        temporary.write_text(now + "\n")
        temporary.replace(self.file)
