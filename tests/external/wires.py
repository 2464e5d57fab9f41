"""The two wires into the same API: boto3 to the AWS-JSON endpoint and gRPC, with outcomes that compare."""

from typing import Any, Iterator, NamedTuple

import grpc
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

import contract
from expectations import SERVICE_DOMAIN, Details, status_of
from model import OPERATIONS, PAGINATORS
from server import Server

CALL_SECONDS = 20
# A list may be long, and the machine busy.
LIST_SECONDS = 120


class Outcome(NamedTuple):
    """How a call ended. Code and message are None where the facade spoke for itself, in its own words."""

    status: grpc.StatusCode
    answer: dict[str, Any] | None = None
    aws_code: str | None = None
    message: str | None = None


class NoAnswer(Exception):
    """The server said nothing about the call, which it may have executed."""


class AwsJson:
    """Calls as boto3 makes them."""

    def __init__(self, server: Server):
        self.server = server
        self.client = server.boto3()

    def call(self, operation: str, request: dict[str, Any]) -> Outcome:
        try:
            answer = self.client._make_api_call(operation, self.server.ids.meant(request))
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            expected = 500 if code == "InternalServerException" else 400
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == expected
            return Outcome(status_of(code, operation), aws_code=code, message=self.server.ids.shown(message))
        except BotoCoreError as error:
            raise NoAnswer(f"{operation}: {error}") from error
        assert answer.pop("ResponseMetadata")["RequestId"]
        answer = contract.normalized(answer, OPERATIONS[operation]["output"])
        return Outcome(grpc.StatusCode.OK, self.server.ids.learned(answer))

    def entries(self, operation: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The whole of a list, over all pages."""
        for page in self.client.get_paginator(xform_name(operation)).paginate(**request):
            del page["ResponseMetadata"]
            yield from contract.normalized(page, OPERATIONS[operation]["output"])[PAGINATORS[operation]["result_key"]]


class Grpc:
    """Calls as a generated gRPC client makes them."""

    def __init__(self, server: Server):
        self.server = server
        self.stub = contract.stub_class(contract.SERVICE)(server.channel)
        self.streams = contract.stub_class(contract.STREAMING_SERVICE)(server.channel)

    def call(self, operation: str, request: dict[str, Any]) -> Outcome:
        try:
            asked = contract.request(operation, self.server.ids.meant(request))
            answer = getattr(self.stub, operation)(asked, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            info = Details(error).info
            if info is None:
                raise NoAnswer(f"{operation} failed without an ErrorInfo: {error}") from error
            if info.domain != SERVICE_DOMAIN:
                return Outcome(error.code())
            message = self.server.ids.shown(error.details())
            return Outcome(error.code(), aws_code=info.metadata["aws_code"], message=message)
        answer = contract.to_aws(answer, OPERATIONS[operation]["output"])
        return Outcome(grpc.StatusCode.OK, self.server.ids.learned(answer))

    def entries(self, operation: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The whole of a list, over all messages of its stream."""
        asked = contract.request(operation, request, contract.STREAMING_SERVICE)
        for page in getattr(self.streams, operation)(asked, timeout=LIST_SECONDS):
            yield from contract.to_aws(page, OPERATIONS[operation]["output"])[PAGINATORS[operation]["result_key"]]


def assert_same(over_aws_json: Outcome, over_grpc: Outcome, what: str) -> None:
    if over_grpc.aws_code is None:
        over_aws_json = over_aws_json._replace(aws_code=None, message=None)
    assert over_grpc == over_aws_json, what
