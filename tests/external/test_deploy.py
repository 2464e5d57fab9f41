"""What is shipped to run proton-grpc: the chart and the manifests made of it, the unit, the image."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from grpcurl import TOOLS
from server import BINARY

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "proton-grpc"
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
# The oldest and the newest that is looked at.
KUBERNETES = ["1.27.0", "1.37.0"]

LET_IN = {"callers": {"secret": "callers"}}
VALUES = {
    "least": LET_IN,
    "open": {"settings": {"allow-unauthenticated-public": True}, "networkPolicy": {"enabled": False}},
    "tls": LET_IN | {"tls": {"secret": "certificate", "clients": True}, "settings": {"trust-domain": "prod.example"}},
    "scaled": LET_IN
    | {
        "metrics": {"enabled": True},
        "autoscaling": {"enabled": True, "callsInFlight": 200},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
    },
    "grpc alone": LET_IN | {"awsJson": {"enabled": False}},
    "all": {
        "callers": {"file": '[[caller]]\nsubject = "a"\naccount = "111111111111"\n'},
        "image": {"repository": "registry.example/proton-grpc", "tag": "1", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "settings": {"jwt-issuer": "https://issuer.example", "workers": 2000000, "trust-request-id": True},
        "podAnnotations": {"linkerd.io/inject": "enabled"},
        "podLabels": {"team": "platform"},
        "serviceAccount": {"annotations": {"role": "arn:aws:iam::111111111111:role/proton"}},
        "networkPolicy": {"callers": [{"namespaceSelector": {}}], "egressPorts": [26257]},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "drainWait": 15,
        "replicas": 5,
    },
}


def helm(command: str, values: Path, version: str = KUBERNETES[-1]) -> subprocess.CompletedProcess:
    chart = [str(CHART), "--namespace=proton", f"--kube-version={version}", f"--values={values}"]
    name = ["proton-grpc"] if command == "template" else ["--strict"]
    return subprocess.run([TOOLS / "bin" / "helm", command, *name, *chart], capture_output=True, text=True, timeout=60)


@pytest.fixture
def values(tmp_path, request):
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(VALUES[request.param]))
    return file


def rendered(values: Path, version: str = KUBERNETES[-1]) -> str:
    told = helm("template", values, version)
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.fixture(scope="session")
def conforms(tmp_path_factory) -> Callable[[str, str], None]:
    """Checks manifests against the schemas of a version of Kubernetes."""
    directory = tmp_path_factory.mktemp("schemas")
    for version in KUBERNETES:
        (directory / version).mkdir()
        for schema in (SCHEMAS / f"v{version}-local-strict").glob("*.json"):
            # They refer to each other as on a web server that they are not on.
            text = schema.read_text().replace('"/api/_definitions.json', '"_definitions.json')
            (directory / version / schema.name).write_text(re.sub(r'"\$id": "[^"]*"', '"$comment": ""', text))

    def conforms(manifests: str, version: str) -> None:
        location = f"{directory}/{version}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        flags = ["-strict", "-summary", f"-kubernetes-version={version}", f"-schema-location={location}"]
        command = [TOOLS / "bin" / "kubeconform", *flags]
        told = subprocess.run(command, input=manifests, capture_output=True, text=True, timeout=60)
        assert told.returncode == 0, told.stdout + told.stderr
        assert "Invalid: 0, Errors: 0, Skipped: 0" in told.stdout

    return conforms


def pod(manifests: str) -> dict[str, Any]:
    (deployment,) = (each for each in yaml.safe_load_all(manifests) if each["kind"] == "Deployment")
    return deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize("values", VALUES, indirect=True)
def test_the_chart_is_in_order(values):
    told = helm("lint", values)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", VALUES, indirect=True)
def test_what_the_chart_makes_conforms(conforms, values, version):
    conforms(rendered(values, version), version)


@pytest.mark.parametrize("values", VALUES, indirect=True)
def test_pods_may_do_as_little_as_they_need(values):
    spec = pod(rendered(values))
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]


@pytest.mark.parametrize("values", VALUES, indirect=True)
def test_a_drain_has_the_time_that_it_may_take(values):
    spec = pod(rendered(values))
    (wait,) = (flag for flag in spec["containers"][0]["args"] if flag.startswith("--drain-wait="))

    assert spec["terminationGracePeriodSeconds"] >= int(wait.partition("=")[2]) + 35


@pytest.mark.parametrize("values", VALUES, indirect=True)
def test_every_flag_of_a_pod_is_one_of_the_server(values):
    known = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    for flag in pod(rendered(values))["containers"][0]["args"][1:]:
        assert re.search(rf"^\s+{re.escape(flag.partition('=')[0])}\b", known, re.MULTILINE), flag


@pytest.mark.parametrize("values", ["all"], indirect=True)
def test_settings_become_flags_as_they_are(values):
    flags = pod(rendered(values))["containers"][0]["args"]

    assert {"--jwt-issuer=https://issuer.example", "--workers=2000000", "--trust-request-id=true"} < set(flags)


def test_a_chart_that_would_let_anybody_in_says_so(tmp_path):
    (tmp_path / "values.yaml").write_text("{}")
    told = helm("template", tmp_path / "values.yaml")

    assert told.returncode != 0 and "who may call?" in told.stderr


def test_nothing_scales_on_metrics_that_are_off(tmp_path):
    (tmp_path / "values.yaml").write_text(json.dumps(LET_IN | {"autoscaling": {"enabled": True}}))
    told = helm("template", tmp_path / "values.yaml")

    assert told.returncode != 0 and "set metrics.enabled" in told.stderr


@pytest.mark.parametrize("wrong", [{"replica": 2}, {"settings": {"listen": "0.0.0.0:1"}}, {"settings": {"Region": "a"}}])
def test_values_that_mean_nothing_are_refused(tmp_path, wrong):
    (tmp_path / "values.yaml").write_text(json.dumps(LET_IN | wrong))
    told = helm("template", tmp_path / "values.yaml")

    assert told.returncode != 0 and "schema" in told.stderr


def test_the_plain_manifests_are_what_the_chart_makes(conforms):
    plain = (DEPLOY / "kubernetes" / "proton-grpc.yaml").read_text()

    assert plain == rendered(DEPLOY / "kubernetes" / "values.yaml")
    conforms(plain, KUBERNETES[-1])


UNIT = DEPLOY / "systemd" / "proton-grpc.service"


def test_the_unit_keeps_the_server_from_what_it_does_not_need():
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_unit_starts_the_server(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/proton-grpc", str(BINARY.resolve())))
    told = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
