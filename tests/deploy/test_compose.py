"""Does the compose file say what it should, and do its parts fit each other?"""
import re

import pytest
import yaml
from dockerfile import read

from support.source_tree import ROOT

FILE = ROOT / "deploy/compose.yaml"


@pytest.fixture(scope="module")
def project():
    return yaml.safe_load(FILE.read_text())


def test_only_known_keys_are_used(project):
    assert set(project) <= {"name", "services", "networks", "volumes"}
    known = {"image", "build", "hostname", "environment", "volumes", "ports", "networks", "read_only", "cap_drop",
             "security_opt", "ulimits", "stop_grace_period", "restart", "network_mode", "depends_on", "command", "tmpfs"}
    for name, service in project["services"].items():
        assert set(service) <= known, name


def test_services_are_confined(project):
    for name, service in project["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_images_and_volumes_and_mounts_exist(project):
    build = project["services"]["sluice"]["build"]
    context = (FILE.parent / build["context"]).resolve()
    assert context == ROOT and (context / build["dockerfile"]).exists()
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", project["services"][name]["image"])
    for service in project["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (FILE.parent / source).exists() if source.startswith(".") else source in project["volumes"]


def test_the_queue_is_on_the_images_volume(project):
    image = read(ROOT / "deploy/container/Dockerfile")[-1]
    assert f"queue:{image.one('VOLUME').text}" in project["services"]["sluice"]["volumes"]


def test_nothing_is_published_beyond_loopback(project):
    for service in project["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), port


def test_only_loopback_and_the_projects_own_network_may_relay(project):
    networks = project["services"]["sluice"]["environment"]["SLUICE_RELAY_NETWORKS"].split()
    subnet = project["networks"]["sluice"]["ipam"]["config"][0]["subnet"]
    assert networks == ["127.0.0.0/8", subnet]


def test_it_is_given_the_time_to_drain(project):
    grace = project["services"]["sluice"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > 30


def test_variables_are_ones_that_the_relay_reads(project):
    read_by_relay = (ROOT / "relay/config/environment.cc").read_text()
    for name in project["services"]["sluice"]["environment"]:
        assert f'"{name}"' in read_by_relay, name


def test_grafana_finds_the_dashboard_and_its_prometheus(project):
    """The provisioning files name paths that are mounted, and an address that Prometheus has there."""
    mounts = dict(volume.split(":")[:2] for volume in project["services"]["grafana"]["volumes"])
    inside = {target: (FILE.parent / source).resolve() for source, target in mounts.items() if source.startswith(".")}
    folder = inside["/etc/grafana/provisioning"]
    provider, = yaml.safe_load((folder / "dashboards/sluice.yaml").read_text())["providers"]
    assert (inside[provider["options"]["path"]] / "sluice.json").exists()
    home = project["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == provider["options"]["path"] + "/sluice.json"
    source, = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://sluice:9090"
    assert project["services"]["prometheus"]["network_mode"] == "service:sluice"
    assert set(project["services"]["grafana"]["networks"]) & set(project["services"]["sluice"]["networks"])
