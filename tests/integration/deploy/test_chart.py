"""The Helm chart renders, and what it renders Kubernetes would take.

It needs a `helm` program or the PyPI package `helm-python-sdk`; with `kubernetes-validate` beside it every object is held
against the schemas of each Kubernetes release the chart says it runs on.
"""

import importlib.util
import pathlib
import shutil
import subprocess

import pytest
import yaml

from tests import conftest

ROOT = pathlib.Path(__file__).parents[3]
CHART = ROOT / "deploy/helm/tollway"
SERVICES = ("gateway", "router", "tools", "usage", "reports")
EVERYTHING = {
    "image": {"repository": "registry.example.com/tollway"},
    "imagePullSecrets": [{"name": "pull"}],
    "providerSecret": "providers",
    "otlpEndpoint": "http://collector:4318",
    "ingress": {"enabled": True, "tlsSecret": "certificate"},
    "podAnnotations": {"example.com/team": "models"},
    "nodeSelector": {"pool": "general"},
    "tolerations": [{"key": "models", "operator": "Exists"}],
    "services": {"usage": {"autoscaling": {"enabled": True, "min": 1, "max": 2, "cpu": 80}}},
    "config": "models:\n  fast: {targets: [{provider: openai, model: m}]}\n",
}


def rendered(values):
    """The objects of the chart, by whichever Helm there is."""
    if shutil.which("helm"):
        command = ["helm", "template", "t", str(CHART), "--values", "-"]
        done = subprocess.run(command, input=yaml.safe_dump(values), capture_output=True, text=True, check=True)
        texts = [done.stdout]
    elif importlib.util.find_spec("helm_python"):
        from helm_python import Chart, lint

        assert lint(str(CHART), values)["errors"] == []
        with Chart.load(str(CHART)) as chart:
            texts = [text for name, text in chart.render(values=values, name="t").items() if name.endswith(".yaml")]
    else:
        conftest.missing("helm", "no helm program, and helm-python-sdk is not installed")
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


@pytest.fixture(scope="module", params=[{}, EVERYTHING], ids=["defaults", "everything"])
def made(request):
    return rendered(request.param)


def workloads(made):
    return {each["metadata"]["name"]: each for each in made if each["kind"] in ("Deployment", "StatefulSet")}


def test_every_object_fits_the_schemas_of_the_releases_the_chart_names(made):
    if not importlib.util.find_spec("kubernetes_validate"):
        conftest.missing("kubernetes-validate", "not installed")
    import kubernetes_validate

    versions = [f"1.{minor}" for minor in range(29, 38)]
    for each in made:
        for version in versions:
            kubernetes_validate.validate(each, version, strict=True)


def test_every_workload_has_probes_limits_no_root_and_a_service_that_finds_it(made):
    assert set(workloads(made)) == {f"t-{name}" for name in SERVICES}
    services = {each["metadata"]["name"]: each for each in made if each["kind"] == "Service"}
    for name, each in workloads(made).items():
        pod = each["spec"]["template"]
        container = pod["spec"]["containers"][0]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
        selector = services[name]["spec"]["selector"]
        assert selector.items() <= pod["metadata"]["labels"].items()
        assert each["spec"]["selector"]["matchLabels"] == selector


def test_a_server_that_is_away_takes_no_pod_out_of_the_balancer(made):
    for each in workloads(made).values():
        container = each["spec"]["template"]["spec"]["containers"][0]
        assert container["readinessProbe"]["httpGet"]["path"] == "/health"
        assert container["startupProbe"]["httpGet"]["path"] == "/ready"


def test_a_pod_has_the_time_to_drain(made):
    for each in workloads(made).values():
        spec = each["spec"]["template"]["spec"]
        drain = next(item for item in spec["containers"][0]["env"] if item["name"] == "TOLLWAY_DRAIN_SECONDS")
        assert spec["terminationGracePeriodSeconds"] >= int(drain["value"]) + 25


def test_what_the_configuration_names_reaches_every_service_that_reads_it():
    """Every service refuses a file with a variable that is not set."""
    for each in workloads(rendered(EVERYTHING)).values():
        container = each["spec"]["template"]["spec"]["containers"][0]
        assert container["envFrom"] == [{"secretRef": {"name": "providers"}}]


def test_every_scaler_and_budget_points_at_a_workload(made):
    names = set(workloads(made))
    kinds = {each["metadata"]["name"]: each["kind"] for each in workloads(made).values()}
    scalers = [each for each in made if each["kind"] == "HorizontalPodAutoscaler"]
    assert {"t-gateway", "t-router", "t-tools"} <= {each["metadata"]["name"] for each in scalers}
    for each in scalers:
        target = each["spec"]["scaleTargetRef"]
        assert kinds[target["name"]] == target["kind"]
        # A count beside a scaler would fight with it on every upgrade.
        assert "replicas" not in workloads(made)[target["name"]]["spec"]
    assert {each["metadata"]["name"] for each in made if each["kind"] == "PodDisruptionBudget"} == names
