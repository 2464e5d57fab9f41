"""What operators point at servers: probes of health, load, scans of TLS. None of them finds anything."""

import re
import subprocess
from pathlib import Path

import pytest

from certificates import Authority
from grpcurl import TOOLS

SERVICES = ["", "proton.v1.ProtonService", "proton.v1.ProtonStreamingService"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("probes") / "authority")


@pytest.fixture
def secure(start, authority):
    certificate, key = authority.issue("server")
    return start(flags=[f"--tls-cert={certificate}", f"--tls-key={key}"])


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess:
    command = [TOOLS / "bin" / tool, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("service", SERVICES, ids=lambda name: name or "all")
def test_grpc_health_probe_finds_the_server_serving(start, service):
    probed = run("grpc-health-probe", "-addr", start().grpc, "-service", service)
    assert (probed.returncode, probed.stderr.strip()) == (0, "status: SERVING")


def test_grpc_health_probe_speaks_tls(secure, authority):
    tls = ["-tls", "-tls-ca-cert", authority.ca, "-tls-server-name", "localhost"]
    probed = run("grpc-health-probe", "-addr", secure.grpc, *tls)
    assert (probed.returncode, probed.stderr.strip()) == (0, "status: SERVING")


def test_grpc_health_probe_tells_an_unknown_service_from_one_that_does_not_serve(start):
    probed = run("grpc-health-probe", "-addr", start().grpc, "-service", "nobody")
    assert probed.returncode == 3
    assert 'service "nobody" is not known here' in probed.stderr


@pytest.mark.parametrize("call", ["ProtonService/GetAccountSettings", "ProtonStreamingService/ListEnvironmentTemplates"])
def test_ghz_gets_an_answer_to_every_call(secure, authority, call):
    tls = ["--cacert", authority.ca, "--cname", "localhost"]
    loaded = run("ghz", *tls, "--call", f"proton.v1.{call}", "-d", "{}", "-n", "1000", "-c", "50", secure.grpc)
    assert re.findall(r"\[(\w+)\] +(\d+) responses", loaded.stdout) == [("OK", "1000")], loaded.stdout + loaded.stderr
    assert "Error distribution" not in loaded.stdout


@pytest.mark.parametrize("front", ["grpc", "aws_json"])
def test_sslyze_finds_what_mozilla_recommends(secure, authority, front):
    port = getattr(secure, front).rpartition(":")[2]
    scanned = run("sslyze", "--certinfo_ca_file", authority.ca, "--mozilla_config=intermediate", f"localhost:{port}")
    assert scanned.returncode == 0, scanned.stdout
    assert f"localhost:{port}: OK - Compliant." in scanned.stdout
    weak = re.findall(r"^.*(?:VULNERABLE|Vulnerable).*$", scanned.stdout, re.MULTILINE)
    assert [line for line in weak if "Not vulnerable" not in line] == []
