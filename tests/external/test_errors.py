"""What a Python client finds in a failed call, and how calls fail that never reach an operation."""

import grpc
import pytest

import contract
from expectations import FACADE_DOMAIN, SERVICE_DOMAIN, Details

MIB = 1 << 20


@pytest.fixture
def proton(server):
    return contract.stub_class(contract.SERVICE)(server.channel)


def failure(call, *arguments, **options) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments, **{"timeout": 10, **options})
    return error.value


def get_template(name: str):
    return contract.request("GetEnvironmentTemplate", {"name": name})


def test_an_error_of_the_service_names_its_aws_code_and_operation(proton):
    error = failure(proton.GetEnvironmentTemplate, get_template("nowhere"))
    details = Details(error)

    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "nowhere" in error.details()
    assert (details.info.domain, details.info.reason) == (SERVICE_DOMAIN, "RESOURCE_NOT_FOUND_EXCEPTION")
    assert details.info.metadata["aws_code"] == "ResourceNotFoundException"
    assert details.info.metadata["http_status"] == "400"
    assert details.info.metadata["operation"] == "GetEnvironmentTemplate"
    assert details.info.metadata["attempts"] == "1"
    assert details.info.metadata["outcome"] == "rejected"


def test_every_violation_of_the_contract_is_listed_with_its_rule(proton):
    request = contract.request(
        "CreateEnvironmentTemplateVersion",
        {"templateName": "not a name", "majorVersion": "1.0", "source": {"s3": {"bucket": "ok-bucket", "key": ""}}},
    )
    error = failure(proton.CreateEnvironmentTemplateVersion, request)
    details = Details(error)

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details.info.domain == FACADE_DOMAIN
    assert details.info.metadata["outcome"] == "not_executed"
    assert details.violations() == [
        ("major_version", "string.pattern"),
        ("source.s3.key", "string.min_len"),
        ("template_name", "string.pattern"),
    ]


def test_a_failed_call_carries_its_request_id_in_details_and_metadata(proton):
    error = failure(proton.GetEnvironmentTemplate, get_template("nowhere"))

    assert request_id(error)
    assert Details(error).request.request_id == request_id(error)


def test_a_successful_call_carries_its_request_id(proton):
    _, call = proton.GetAccountSettings.with_call(contract.request("GetAccountSettings", {}), timeout=10)

    assert request_id(call)


def request_id(call) -> str | None:
    metadata = [*call.initial_metadata(), *call.trailing_metadata()]
    return next((value for key, value in metadata if key == "x-amzn-requestid"), None)


def test_a_call_with_hardly_any_time_left_exceeds_its_deadline(proton):
    error = failure(proton.GetAccountSettings, contract.request("GetAccountSettings", {}), timeout=0.005)

    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_an_oversize_request_is_resource_exhausted_zipped_or_not(proton, compression):
    request = contract.request("CreateEnvironmentTemplate", {"name": "big", "description": "d" * (2 * MIB)})
    error = failure(proton.CreateEnvironmentTemplate, request, compression=compression)

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("path", [f"/{contract.SERVICE}/NoSuchMethod", "/no.such.Service/GetAccountSettings"])
def test_an_unknown_method_is_unimplemented(server, path):
    assert failure(server.channel.unary_unary(path), b"").code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_gzipped_call_is_answered(server):
    with grpc.insecure_channel(server.grpc, compression=grpc.Compression.Gzip) as channel:
        proton = contract.stub_class(contract.SERVICE)(channel)
        name, description = "zipped", "d" * 400
        request = contract.request("CreateEnvironmentTemplate", {"name": name, "description": description})

        assert proton.CreateEnvironmentTemplate(request, timeout=10).environment_template.description == description


def test_an_unsupported_compression_is_unimplemented(proton):
    request = contract.request("GetAccountSettings", {})
    error = failure(proton.GetAccountSettings, request, compression=grpc.Compression.Deflate)

    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_malformed_message_is_internal(server):
    call = server.channel.unary_unary(f"/{contract.SERVICE}/GetEnvironmentTemplate")

    assert failure(call, b"\xff\xff").code() == grpc.StatusCode.INTERNAL
