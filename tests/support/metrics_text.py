"""Prometheus text, parsed strictly: what a scraper would refuse is an error here."""
import re

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: (-?\d+))?")
_KINDS = ("counter", "gauge", "histogram", "summary", "untyped")


class Malformed(AssertionError):
    """Not the text format 0.0.4."""


class Sample:
    """One line: a name, its labels and its value."""

    def __init__(self, name, labels, value):
        self.name, self.labels, self.value = name, labels, value

    def __repr__(self):
        return f"{self.name}{self.labels} {self.value}"


def _labels(text, line):
    labels, at = {}, 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if not match:
            raise Malformed(f"labels of {line!r}")
        if match[1] in labels:
            raise Malformed(f"label twice in {line!r}")
        labels[match[1]] = match[2]
        at = match.end()
    return labels


def parse(text):
    """All samples, in order. Raises Malformed."""
    if text and not text.endswith("\n"):
        raise Malformed("the last line has no end")
    kinds, samples, seen, closed, family = {}, [], set(), set(), None
    for line in text.split("\n")[:-1]:
        if not line:
            continue
        if line.startswith("#"):
            parts = line.split(" ", 3)
            if len(parts) < 3 or parts[1] not in ("HELP", "TYPE") or not _NAME.fullmatch(parts[2]):
                continue  # a comment
            if parts[1] == "TYPE":
                if parts[2] in kinds or parts[3] not in _KINDS:
                    raise Malformed(f"type twice or unknown: {line!r}")
                kinds[parts[2]] = parts[3]
            continue
        match = _SAMPLE.fullmatch(line)
        if not match:
            raise Malformed(f"sample {line!r}")
        labels = _labels(match[2] or "", line)
        try:
            value = float(match[3])
        except ValueError:
            raise Malformed(f"value of {line!r}") from None
        key = (match[1], tuple(sorted(labels.items())))
        if key in seen:
            raise Malformed(f"series twice: {line!r}")
        seen.add(key)
        this = re.sub(r"_(bucket|sum|count)$", "", match[1])
        this = this if kinds.get(this) in ("histogram", "summary") else match[1]
        if this != family:
            if this in closed:
                raise Malformed(f"family {this} in two places")
            if family:
                closed.add(family)
            family = this
        samples.append(Sample(match[1], labels, value))
    _check_histograms(kinds, samples)
    return samples


def _check_histograms(kinds, samples):
    series = {}
    for sample in samples:
        base = re.sub(r"_bucket$", "", sample.name)
        if base != sample.name and kinds.get(base) == "histogram":
            rest = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            series.setdefault((base, rest), []).append((float(sample.labels["le"]), sample.value))
    for (name, _), buckets in series.items():
        if buckets != sorted(buckets) or buckets[-1][0] != float("inf"):
            raise Malformed(f"buckets of {name} out of order or without +Inf")
        counts = [count for _, count in buckets]
        if counts != sorted(counts):
            raise Malformed(f"buckets of {name} are not cumulative")


def total(samples, name, /, **labels):
    """Sum of the samples of that name whose labels match; 0 if there is none."""
    return sum(s.value for s in samples if s.name == name
               and all(s.labels.get(key) == value for key, value in labels.items()))


def quantile(samples, name, q, **labels):
    """Upper bound of the bucket in which the q-quantile lies."""
    buckets = {}
    for s in samples:
        if s.name == name + "_bucket" and all(s.labels.get(k) == v for k, v in labels.items()):
            buckets[float(s.labels["le"])] = buckets.get(float(s.labels["le"]), 0) + s.value
    wanted = q * buckets.get(float("inf"), 0)
    return next((bound for bound in sorted(buckets) if buckets[bound] >= wanted), None)
