"""What a gRPC caller must see where AWS's clients see an error: the same code, as a status that a mesh can act on."""

import re

import grpc
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from model import OPERATIONS

# Who said it: the Proton API behind the facade, or the facade itself.
SERVICE_DOMAIN = "proton.amazonaws.com"
FACADE_DOMAIN = "proton-grpc"


def status_of(aws_code: str, operation: str) -> grpc.StatusCode:
    """The status that stands for an AWS error code; only for a conflict does it depend on the operation."""
    match aws_code:
        case "ValidationException":
            return grpc.StatusCode.INVALID_ARGUMENT
        case "AccessDeniedException":
            return grpc.StatusCode.PERMISSION_DENIED
        case "ResourceNotFoundException":
            return grpc.StatusCode.NOT_FOUND
        case "ServiceQuotaExceededException" | "ThrottlingException":
            return grpc.StatusCode.RESOURCE_EXHAUSTED
        case "InternalServerException":
            return grpc.StatusCode.INTERNAL
        case "UnknownOperationException":
            return grpc.StatusCode.UNIMPLEMENTED
        case "ConflictException" if re.match("Create(?!.*TemplateVersion)", operation):
            return grpc.StatusCode.ALREADY_EXISTS
        case "ConflictException" if re.match("Delete|Cancel|Accept|Reject", operation):
            return grpc.StatusCode.FAILED_PRECONDITION
        case "ConflictException":
            return grpc.StatusCode.ABORTED
    raise AssertionError(f"{operation} answered {aws_code}, which the Proton API does not know")


def declared_statuses(operation: str) -> set[grpc.StatusCode]:
    """Every status that the errors declared for an operation can become."""
    return {status_of(code, operation) for code in OPERATIONS[operation]["errors"]}


class Details:
    """The typed details of a failed call."""

    def __init__(self, error: grpc.RpcError):
        status: Status | None = rpc_status.from_call(error)
        self.all = status.details if status else []
        self.info = self._one(error_details_pb2.ErrorInfo)
        self.request = self._one(error_details_pb2.RequestInfo)
        self.bad_request = self._one(error_details_pb2.BadRequest)

    def _one(self, kind):
        found = kind()
        for detail in self.all:
            if detail.Unpack(found):
                return found
        return None

    def violations(self) -> list[tuple[str, str]]:
        """Path and rule of every violation of the contract, which only the facade reports."""
        return sorted((violation.field, violation.reason) for violation in self._broken_rules() if violation.field)

    def unshown_violations(self) -> int:
        """How many violations had no room among the details."""
        more = (re.match(r"(\d+) more violations", violation.description) for violation in self._broken_rules())
        return sum(int(match[1]) for match in more if match)

    def _broken_rules(self):
        spoke = self.info is not None and self.info.domain == FACADE_DOMAIN
        return self.bad_request.field_violations if spoke and self.bad_request else []
