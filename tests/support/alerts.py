"""Which alerts of deploy/prometheus would fire on what a relay shows? Two real scrapes are stretched over hours that
`promtool` then walks through: counters go on as they went between the two."""
import json
import re
import shutil
import subprocess

import pytest
import yaml

from support.source_tree import ROOT

RULES = ROOT / "deploy/prometheus/alerts.yml"
MINUTES = 240


def _series(before, after):
    """Each sample of the later scrape: counters in a line from the earlier one, gauges as they are now."""
    earlier = {(s.name, *sorted(s.labels.items())): float(s.value) for s in before}
    for sample in after:
        if not sample.name.startswith("sluice_"):
            continue
        labels = sample.labels | {"job": "sluice", "instance": "here"}
        name = sample.name + "{" + ",".join(f"{k}={json.dumps(v)}" for k, v in sorted(labels.items())) + "}"
        now = float(sample.value)
        if re.search(r"_(total|bucket|count|sum)$", sample.name):
            step = max(0.0, now - earlier.get((sample.name, *sorted(sample.labels.items())), 0.0))
            yield {"series": name, "values": f"0+{step:.6f}x{MINUTES}"}
        elif sample.name == "sluice_queue_recipients":  # that it grows is what may matter
            yield {"series": name, "values": f"{now:.6f}+{now / 1000:.6f}x{MINUTES}"}
        else:
            yield {"series": name, "values": f"{now:.6f}x{MINUTES}"}


def firing(before, after, folder):
    """Names of the alerts that fire if what happened between the scrapes happens each minute."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (package prometheus)")
    names = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    series = list(_series(before, after)) + [{"series": 'up{job="sluice",instance="here"}', "values": f"1x{MINUTES}"}]
    checks = [{"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > bool 0', "eval_time": f"{MINUTES}m",
               "exp_samples": [{"labels": "{}", "value": 1}]} for name in names]
    file = folder / "symptom.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m",
                                    "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": checks}]}))
    result = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
    said = result.stdout + result.stderr
    assert "FAILED" in said or "SUCCESS" in said, said
    silent = set(re.findall(r'alertname=\\?"(\w+)\\?"', said))
    return set(names) - silent
