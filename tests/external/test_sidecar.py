"""deploy/envoy/sidecar.yaml in a real Envoy: who is let in, and whom the server takes them for."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from certificates import Authority
from envoy import DEPLOY, Envoy, called, configuration, refused
from expectations import Details
from server import Server

WEB = "spiffe://prod.example/shop/web"
CALLERS = f"""
[[caller]]
spiffe = "{WEB}"
account = "111111111111"
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates") / "authority")


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory, authority) -> Iterator[Envoy]:
    """Envoy in front of a server that asks who calls."""
    directory = tmp_path_factory.mktemp("sidecar")
    certificate, key = authority.issue("sidecar", "spiffe://prod.example/proton-grpc")
    (directory / "callers.toml").write_text(CALLERS)
    socket = f"{directory}/grpc.sock"
    flags = [f"--listen=unix:{socket}", "--trusted-proxy=unix", f"--callers={directory}/callers.toml"]
    replaced = {
        "/run/proton-grpc/grpc.sock": socket,
        "/etc/proton-grpc/tls/tls.crt": str(certificate),
        "/etc/proton-grpc/tls/tls.key": str(key),
        "/etc/proton-grpc/tls/ca.crt": str(authority.ca),
        "/etc/proton-grpc/tls}": f"{directory}}}",
    }
    with Server(directory / "server", flags=flags):
        with Envoy(directory / "envoy", configuration(DEPLOY / "sidecar.yaml", replaced)) as running:
            yield running


@contextmanager
def with_certificate(sidecar: Envoy, authority: Authority, *uris: str) -> Iterator[grpc.Channel]:
    certificate, key = (file.read_bytes() for file in authority.issue("client", *uris))
    shown = grpc.ssl_channel_credentials(authority.ca.read_bytes(), key, certificate)
    with grpc.secure_channel(sidecar.addresses["mtls"].replace("127.0.0.1", "localhost"), shown) as channel:
        yield channel


def test_the_sidecar_tells_who_calls(sidecar, authority):
    with with_certificate(sidecar, authority, WEB) as channel:
        forged = (("x-forwarded-client-cert", "URI=spiffe://prod.example/shop/admin"),)
        made = called(channel, "CreateEnvironmentTemplate", forged, name="web").environment_template

    assert made.arn == "arn:aws:proton:us-east-1:111111111111:environment-template/web"


def test_a_caller_whom_nobody_knows_is_told_by_the_server(sidecar, authority):
    with with_certificate(sidecar, authority, "spiffe://prod.example/bank") as channel:
        error = refused(channel, "GetAccountSettings")

    assert (error.code(), Details(error).info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "IDENTITY_UNMAPPED")


@pytest.mark.parametrize("uris", [["spiffe://test.example/shop/web"], ["spiffe://prod.example.evil/shop/web"], []])
def test_a_caller_of_another_trust_domain_does_not_reach_the_server(sidecar, authority, uris):
    failed = sidecar.statistic("listener.*.ssl.fail_verify_san")
    with with_certificate(sidecar, authority, *uris) as channel:
        assert refused(channel, "GetAccountSettings").code() == grpc.StatusCode.UNAVAILABLE

    assert sidecar.statistic("listener.*.ssl.fail_verify_san") > failed


def test_a_caller_whom_another_authority_vouches_for_does_not_either(sidecar, authority, tmp_path):
    stranger = Authority(tmp_path / "stranger")
    stranger.ca = authority.ca
    with with_certificate(sidecar, stranger, WEB) as channel:
        assert refused(channel, "GetAccountSettings").code() == grpc.StatusCode.UNAVAILABLE
