"""What a server tells of its calls: metrics as Prometheus reads them, and the log."""

import json
import urllib.request

import botocore.exceptions
import grpc
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from server import Server

TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture
def telling(tmp_path):
    flags = ["--metrics=127.0.0.1:0", "--log=info,proton_grpc::calls=debug", "--log-format=json"]
    with Server(tmp_path, flags=flags) as server:
        yield server


def get(server, path):
    with urllib.request.urlopen(server.metrics + path, timeout=10) as response:
        return response.headers["content-type"], response.read().decode()


def samples(server):
    """Every number, by its name and labels."""
    kind, text = get(server, "/metrics")
    assert kind == TYPE
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    return {(sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples}


def test_prometheus_reads_what_both_fronts_count(telling):
    with pytest.raises(grpc.RpcError):
        telling.channel.unary_unary("/proton.v1.ProtonService/GetNothing")(b"", timeout=10)
    telling.channel.unary_unary("/proton.v1.ProtonService/GetAccountSettings")(b"", timeout=10)
    telling.boto3().get_account_settings()
    with pytest.raises(botocore.exceptions.ClientError):
        telling.boto3().get_environment(name="nowhere")

    told = samples(telling)

    method = "proton.v1.ProtonService/GetAccountSettings"
    assert told["grpc_server_call_started_total", method] == 1
    assert told["grpc_server_call_duration_seconds_count", "OK", method] == 1
    assert told["grpc_server_call_duration_seconds_count", "UNIMPLEMENTED", "other"] == 1
    request = "proton_grpc_aws_json_request_duration_seconds_count"
    assert told[request, "GetAccountSettings", "OK"] == 1
    assert told[request, "GetEnvironment", "ResourceNotFoundException"] == 1
    assert told["process_cpu_seconds_total",] >= 0
    assert told["proton_grpc_connections", "grpc"] == 1


def test_probes_are_answered(telling):
    assert get(telling, "/livez")[1] == "alive\n"
    assert get(telling, "/readyz")[1] == "serving\n"


def test_each_call_is_a_line_in_the_log_and_holds_nothing_that_was_said(telling):
    metadata = [("x-request-id", "the-callers-own")]
    with pytest.raises(grpc.RpcError):
        telling.channel.unary_unary("/proton.v1.ProtonService/GetNothing")(b"", timeout=10, metadata=metadata)
    with pytest.raises(botocore.exceptions.ClientError):
        telling.boto3().create_environment_template(name="a name!", description="a secret")

    lines = [json.loads(line) for line in telling.log.read_text().splitlines()]
    calls = [line for line in lines if line["target"] == "proton_grpc::calls"]

    unknown, invalid = calls
    assert (unknown["method"], unknown["code"], unknown["reason"]) == ("other", "UNIMPLEMENTED", "UNKNOWN_METHOD")
    assert (unknown["request_id"], unknown["front"]) == ("the-callers-own", "grpc")
    assert (invalid["method"], invalid["code"]) == ("CreateEnvironmentTemplate", "ValidationException")
    assert (invalid["principal"], invalid["level"]) == ("local", "DEBUG")
    assert "secret" not in telling.log.read_text()
