"""What the dashboards and alert rules name exists, and what the compose file names is there."""

import importlib
import json
import pathlib
import pkgutil
import re
import runpy
import shutil
import subprocess

import pytest
import yaml
from prometheus_client import REGISTRY

import services
from tests import conftest

ROOT = pathlib.Path(__file__).parents[3]
METRIC = re.compile(r"\b((?:tollway|usage)_[a-z_]+)\b")
SUFFIXES = ("_bucket", "_count", "_sum")


def known_metrics():
    """Every metric any service registers, by the names that Prometheus sees."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.rsplit(".", 1)[-1] in ("metrics", "app"):
            importlib.import_module(module.name)
    names = set()
    for collector in list(REGISTRY._collector_to_names):
        names |= set(REGISTRY._collector_to_names[collector])
    return names


def named_in(text):
    for name in METRIC.findall(text):
        for suffix in SUFFIXES:
            name = name.removesuffix(suffix)
        yield name


@pytest.mark.parametrize("path", ["deploy/observability/alerts.yml", "deploy/grafana/dashboards/tollway.json"])
def test_every_metric_that_is_named_exists(path):
    known = known_metrics()
    text = (ROOT / path).read_text()
    assert sorted({name for name in named_in(text) if name not in known}) == []


def test_the_dashboard_is_what_its_list_says():
    made = runpy.run_path(str(ROOT / "deploy/grafana/make.py"))["dashboard"]()
    assert json.loads((ROOT / "deploy/grafana/dashboards/tollway.json").read_text()) == made


def test_every_runbook_that_an_alert_names_is_written():
    text = (ROOT / "docs/operations.md").read_text()
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    rules = yaml.safe_load((ROOT / "deploy/observability/alerts.yml").read_text())["groups"][0]["rules"]
    named = {rule["annotations"]["runbook"].split("#")[1] for rule in rules if "runbook" in rule["annotations"]}
    assert named - anchors == set()


def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_the_stack_is_locked_down():
    made = compose()
    for name in ("gateway", "router", "tools", "usage", "reports"):
        service = made["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["deploy"]["resources"]["limits"]["memory"]
        assert service["logging"]["options"]["max-size"]
        # Every service reads the whole configuration, and refuses one with a variable that is not set.
        assert service["env_file"] == [{"path": ".env", "required": False}]
    for name in ("postgres", "redis", "rabbitmq", "door"):
        assert made["services"][name]["cap_drop"] == ["ALL"]
        assert made["services"][name]["security_opt"] == ["no-new-privileges:true"]
    published = {
        name for name, service in made["services"].items() if service.get("ports") and not service.get("profiles")
    }
    assert published == {"gateway", "usage"}
    for name in published:
        assert all(port.startswith("${TOLLWAY_BIND:-127.0.0.1}") for port in made["services"][name]["ports"])


def test_every_file_that_compose_mounts_is_there():
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume


def test_the_systemd_unit_is_one_that_systemd_takes(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        conftest.missing("systemd-analyze", "not installed")
    unit = (ROOT / "deploy/systemd/tollway.service").read_text().replace("/opt/tollway/.venv/bin/tollway", "/bin/true")
    (tmp_path / "tollway.service").write_text(unit)
    done = subprocess.run(
        [analyze, "verify", tmp_path / "tollway.service"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_door_tries_nothing_twice_that_a_gateway_may_have_begun():
    text = (ROOT / "deploy/nginx/nginx.conf").read_text()
    assert re.search(r"^\s*proxy_next_upstream error timeout;", text, re.MULTILINE)
    assert re.search(r"^\s*proxy_buffering off;", text, re.MULTILINE)
