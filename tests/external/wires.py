"""The two wires into the same API: boto3 to the AWS-JSON endpoint and gRPC, with outcomes that compare."""

from typing import Any, NamedTuple

import grpc
from botocore.exceptions import ClientError

import contract
from expectations import SERVICE_DOMAIN, Details, status_of
from model import OPERATIONS
from server import Server

CALL_SECONDS = 20


class Outcome(NamedTuple):
    """How a call ended. The message is None where the facade spoke for itself, in its own words."""

    status: grpc.StatusCode
    answer: dict[str, Any] | None = None
    aws_code: str | None = None
    message: str | None = None


class AwsJson:
    """Calls as boto3 makes them."""

    def __init__(self, server: Server):
        self.server = server
        self.client = server.boto3()

    def call(self, operation: str, request: dict[str, Any]) -> Outcome:
        try:
            answer = self.client._make_api_call(operation, request)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            expected = 500 if code == "InternalServerException" else 400
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == expected
            return Outcome(status_of(code, operation), aws_code=code, message=message)
        assert answer.pop("ResponseMetadata")["RequestId"]
        return Outcome(grpc.StatusCode.OK, contract.normalized(answer, OPERATIONS[operation]["output"]))


class Grpc:
    """Calls as a generated gRPC client makes them."""

    def __init__(self, server: Server):
        self.server = server
        self.stub = contract.stub_class(contract.SERVICE)(server.channel)

    def call(self, operation: str, request: dict[str, Any]) -> Outcome:
        try:
            answer = getattr(self.stub, operation)(contract.request(operation, request), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            info = Details(error).info
            assert info, f"{operation} failed without an ErrorInfo: {error}"
            message = error.details() if info.domain == SERVICE_DOMAIN else None
            return Outcome(error.code(), aws_code=info.metadata["aws_code"], message=message)
        return Outcome(grpc.StatusCode.OK, contract.to_aws(answer, OPERATIONS[operation]["output"]))


def assert_same(over_aws_json: Outcome, over_grpc: Outcome, what: str) -> None:
    if over_grpc.message is None:
        over_aws_json = over_aws_json._replace(message=None)
    assert over_grpc == over_aws_json, what
