"""Is every metric that the code declares in docs/metrics.md, and the other way round?"""
import re

from support.source_tree import ROOT

DECLARED = re.compile(r'"(sluice_[a-z_]+)"')
# The contract's names: what dashboards rely on.
PROMISED = """sluice_build_info sluice_smtp_connections sluice_messages_accepted_total
sluice_bytes_accepted_total sluice_messages_refused_total sluice_deliveries_total sluice_queue_recipients
sluice_queue_messages sluice_queue_oldest_seconds sluice_delivery_delay_seconds sluice_commit_seconds
sluice_commit_messages sluice_deliveries_ambiguous_total sluice_recovery_dropped_bytes
sluice_quarantined_messages sluice_log_dropped_total sluice_reload_failures_total sluice_notices_total
sluice_syncs_total sluice_shed_total sluice_certificate_expiry_seconds sluice_dns_seconds
sluice_tls_sessions_total sluice_disk_free_bytes sluice_memory_bytes sluice_loop_lag_seconds""".split()


def declared():
    return set(DECLARED.findall((ROOT / "metrics/names.h").read_text()))


def documented():
    return set(re.findall(r"^\| `(sluice_[a-z_]+)`", (ROOT / "docs/metrics.md").read_text(), re.M))


def test_declared_and_documented_are_the_same():
    assert declared() and declared() == documented()


def test_what_dashboards_rely_on_is_declared():
    missing = set(PROMISED) - declared()
    assert not missing


def test_metrics_are_declared_nowhere_else():
    elsewhere = [str(p.relative_to(ROOT)) for layer in ("metrics", "net", "queue", "relay")
                 for p in (ROOT / layer).rglob("*.cc") if DECLARED.search(p.read_text())]
    assert not elsewhere, elsewhere
