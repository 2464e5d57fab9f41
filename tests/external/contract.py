"""The contract as a Python client sees it: stubs from proto/, and the way between AWS's form of a value and a message."""

import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from model import SHAPES

PROTO = Path(__file__).parents[2] / "proto"
STUBS = Path(__file__).parents[2] / "target" / "test-stubs"
SERVICE = "proton.v1.ProtonService"
STREAMING_SERVICE = "proton.v1.ProtonStreamingService"

# An enum number that no enum of the contract has.
UNKNOWN_NUMBER = 9999

# Stands for any time, and for any page token, where two answers are compared.
TIME = "<time>"
TOKEN = "<token>"


def generate_stubs() -> None:
    """Generates Python stubs for every file of the contract and makes them importable, protovalidate's rules included."""
    STUBS.mkdir(parents=True, exist_ok=True)
    files = sorted(str(file.relative_to(PROTO)) for file in PROTO.rglob("*.proto"))
    own = [file for file in files if not file.startswith("google/")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"--python_out={STUBS}"]
    subprocess.run([*command, f"--grpc_python_out={STUBS}", *own], check=True)
    sys.path.insert(0, str(STUBS))
    for file in own:
        importlib.import_module(file.removesuffix(".proto").replace("/", ".") + "_pb2")


@cache
def stub_class(service: str) -> type:
    """The generated stub of a service, whichever file it is declared in."""
    package, _, name = service.rpartition(".")
    file = Path(descriptor_pool.Default().FindServiceByName(service).file.name)
    module = importlib.import_module(f"{package}.{file.stem}_pb2_grpc")
    return getattr(module, f"{name}Stub")


def method(name: str, service: str = SERVICE) -> MethodDescriptor:
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]


def methods(service: str) -> list[str]:
    return sorted(descriptor_pool.Default().FindServiceByName(service).methods_by_name)


def request(operation: str, value: dict[str, Any], service: str = SERVICE) -> Message:
    """The request message of an operation, from AWS's form of it."""
    descriptor = method(operation, service).input_type
    return ParseDict(_to_json(value, descriptor), message_factory.GetMessageClass(descriptor)())


def to_json(operation: str, value: dict[str, Any]) -> dict[str, Any]:
    """The request of an operation in Protobuf's JSON, from AWS's form of it."""
    return _to_json(value, method(operation).input_type)


def _to_json(value: dict[str, Any], descriptor) -> dict[str, Any]:
    fields = {field.json_name: field for field in descriptor.fields}
    return {member: _member_to_json(inner, fields[member]) for member, inner in value.items()}


def _member_to_json(value: Any, field: FieldDescriptor) -> Any:
    if isinstance(value, list):
        wrapped = not field.is_repeated
        entry = field.message_type.fields_by_name["items"] if wrapped else field
        entries = [_entry_to_json(inner, entry) for inner in value]
        return {"items": entries} if wrapped else entries
    return _entry_to_json(value, field)


def _entry_to_json(value: Any, field: FieldDescriptor) -> Any:
    if field.enum_type:
        return next((number for name, number in _enum_names(field.enum_type) if name == _folded(value)), UNKNOWN_NUMBER)
    if field.message_type:
        return _to_json(value, field.message_type)
    return value


@cache
def _enum_names(enum: EnumDescriptor) -> list[tuple[str, int]]:
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return [(_folded(value.name.removeprefix(prefix)), value.number) for value in enum.values]


def _folded(name: str) -> str:
    """The one spelling that createdAt and CREATED_AT share."""
    return name.replace("_", "").upper()


def to_aws(message: Message, shape: str) -> dict[str, Any]:
    """AWS's form of a response message, times and page tokens replaced by a mark."""
    answer = {}
    fields = {field.json_name: field for field in message.DESCRIPTOR.fields}
    assert fields.keys() == SHAPES[shape]["members"].keys(), f"{message.DESCRIPTOR.full_name} has other members than {shape}"
    for member, of in SHAPES[shape]["members"].items():
        field = fields[member]
        if field.has_presence and not message.HasField(field.name):
            continue
        value = _to_aws(getattr(message, field.name), of["shape"])
        if field.is_repeated and not value and not of.get("required"):
            continue
        answer[member] = TOKEN if member == "nextToken" else value
    return answer


def _to_aws(value: Any, shape: str) -> Any:
    facts = SHAPES[shape]
    match facts["type"]:
        case "structure":
            return to_aws(value, shape)
        case "list":
            entries = getattr(value, "items") if isinstance(value, Message) else value
            return [_to_aws(entry, facts["member"]) for entry in entries]
        case "timestamp":
            return TIME
        case "string" if "enum" in facts:
            return _enum_value(value, shape)
    return value


def _enum_value(number: int, shape: str) -> str:
    """The model's name of an enum value; the enum of the contract has the shape's name."""
    enum = descriptor_pool.Default().FindEnumTypeByName(f"proton.v1.{shape}")
    folded = next(name for name, known in _enum_names(enum) if known == number)
    return next(value for value in SHAPES[shape]["enum"] if _folded(value) == folded)


def normalized(answer: Any, shape: str) -> Any:
    """A boto3 answer in the form of `to_aws`."""
    facts = SHAPES[shape]
    match facts["type"]:
        case "structure":
            members = facts["members"]
            kept = {member: normalized(value, members[member]["shape"]) for member, value in answer.items()}
            return {
                member: TOKEN if member == "nextToken" else value
                for member, value in kept.items()
                if value != [] or members[member].get("required")
            }
        case "list":
            return [normalized(entry, facts["member"]) for entry in answer]
        case "timestamp":
            return TIME
    return answer
