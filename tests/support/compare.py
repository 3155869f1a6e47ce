"""Who got what: acknowledged against delivered. lost, dups and ghosts of the bars."""
from collections import Counter


class Verdict:
    """Ids that were lost, that came more than once (with how often), and that should not have come."""

    def __init__(self, lost, dups, ghosts):
        self.lost, self.dups, self.ghosts = lost, dups, ghosts

    @property
    def extra_copies(self):
        return sum(count - 1 for count in self.dups.values())

    def assert_clean(self, dups=0):
        """lost 0, ghosts 0, and at most so many extra copies."""
        assert not self.lost, f"{len(self.lost)} lost: {sorted(self.lost)[:5]}"
        assert not self.ghosts, f"{len(self.ghosts)} ghosts: {sorted(self.ghosts)[:5]}"
        assert self.extra_copies <= dups, \
            f"{self.extra_copies} extra copies, {dups} allowed: {list(self.dups.items())[:5]}"
        return self

    def __repr__(self):
        return f"lost {len(self.lost)}, dups {self.extra_copies}, ghosts {len(self.ghosts)}"


def compare(acknowledged, delivered, unknown=(), reported=()):
    """`delivered` holds an id for each copy. `unknown` got no reply, so may come or not; `reported`
    were told to their sender as failed."""
    copies = Counter(delivered)
    acknowledged, unknown = set(acknowledged), set(unknown)
    lost = acknowledged - copies.keys() - set(reported)
    dups = {name: count for name, count in copies.items() if count > 1}
    ghosts = copies.keys() - acknowledged - unknown
    return Verdict(lost, dups, set(ghosts))
