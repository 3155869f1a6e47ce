"""How to wait for a condition, and for nothing else: every wait has one, and a limit."""
import threading
import time


class TooLate(AssertionError):
    """The condition did not come true in time."""


_never = threading.Event()


def pause(seconds):
    """Lets `seconds` pass: for pacing what a test sends, never for hoping that something is done."""
    _never.wait(seconds)


def wait_until(condition, timeout=10.0, what="the condition", every=0.01):
    """Gives what `condition()` gives once it is true; raises TooLate after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            shown = what() if callable(what) else what
            raise TooLate(f"not within {timeout:g} s: {shown}")
        pause(every)


def stays(condition, seconds, every=0.02):
    """True if `condition()` holds throughout the next `seconds`: for claims that nothing happens."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            return False
        pause(every)
    return True
