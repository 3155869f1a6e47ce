"""strace over the relay: count its calls, see whom it connects to, make a call fail or wait.

A wrapper starts the relay under it (`-D`: the relay stays our child); attach() joins one that runs, so
that the n-th call is counted from there.
"""
import re
import shutil
import signal
import subprocess

from support.waiting import wait_until


def why_no_strace():
    """None if strace can trace here, else the reason."""
    if not shutil.which("strace"):
        return "strace is not installed"
    result = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True)
    return None if result.returncode == 0 else f"strace cannot trace here: {result.stderr.strip()}"


class Strace:
    """`trace` names the calls; `inject` holds expressions such as "fdatasync:error=EIO:when=3"."""

    def __init__(self, directory, trace, inject=(), strings=64, paths=()):
        self.output = directory / f"strace-{len(list(directory.glob('strace-*')))}"
        self._options = ["-f", "-yy", "-ttt", "-s", str(strings), "-o", str(self.output), "-e",
                         f"trace={trace}"]
        for expression in inject:
            self._options += ["-e", f"inject={expression}"]
        for path in paths:
            self._options += ["-P", str(path)]
        self._process = None

    def wrapper(self):
        """In front of the command to run."""
        return ["strace", "-D", "-qq", *self._options]

    def attach(self, pid):
        """Joins a running process and all its threads; waits until it has."""
        self._process = subprocess.Popen(["strace", *self._options, "-p", str(pid)],
                                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        line = self._process.stderr.readline()
        assert "attached" in line, line
        return self

    def detach(self):
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)
            self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.detach()

    def lines(self):
        return self.output.read_text(errors="replace").splitlines() if self.output.exists() else []

    def calls(self):
        """Whole calls in the order of their begin; one that was interrupted is put together."""
        return parse(self.lines())

    def wait_for(self, pattern, timeout=10.0):
        """The first line that matches, once it is there."""
        expression = re.compile(pattern)
        return wait_until(lambda: next((l for l in self.lines() if expression.search(l)), None), timeout,
                          f"{pattern} in the trace")


class Call:
    """`begin` and `end` are places in the trace, to say what came before what."""

    def __init__(self, pid, name, arguments, begin):
        self.pid, self.name, self.arguments, self.begin = pid, name, arguments, begin
        self.end, self.result = None, None

    def __repr__(self):
        return f"{self.name}({self.arguments[:120]}) = {self.result} [{self.begin},{self.end}]"


def parse(lines):
    calls, open_calls = [], {}
    for number, line in enumerate(lines):
        match = re.match(r"(\d+)\s+[\d.]+ (.*)", line)
        if not match:
            continue
        pid, text = match[1], match[2]
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", text)
        if resumed:
            call = open_calls.pop((pid, resumed[1]), None)
            if call is None:
                continue
            text = resumed[2]
        else:
            started = re.match(r"(\w+)\((.*)", text)
            if not started:
                continue
            call = Call(pid, started[1], "", number)
            calls.append(call)
            text = started[2]
            if text.endswith("<unfinished ...>"):
                call.arguments = text[:-len("<unfinished ...>")]
                open_calls[(pid, call.name)] = call
                continue
        ended = re.match(r"(.*)\)\s+= (-?\d+|\?|0x[0-9a-f]+)(.*)$", text)
        if ended:
            call.arguments += ended[1]
            call.end, call.result = number, ended[2] + ended[3]
    return calls
