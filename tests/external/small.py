"""Bundles in their smallest form, with as much changed as a test is about, and what becomes of them."""

import itertools
import tarfile
import time
from functools import cached_property
from typing import Any, Iterable

from botocore.exceptions import ClientError

from corpus import packed
from living import SOURCE_CODE, World
from world import ROLE

SCHEMA = """\
schema:
  format:
    openapi: "3.0.0"
  environment_input_type: "In"
  service_input_type: "In"
  pipeline_input_type: "In"
  types:
    In:
      type: object
      properties:
        text:
          type: string
          default: hello
"""
MANIFEST = """\
infrastructure:
  templates:
    - file: "cloudformation.yaml"
      rendering_engine: jinja
      template_language: cloudformation
"""
TEMPLATE = """\
Resources:
  Topic:
    Type: AWS::SNS::Topic
Outputs:
  Text:
    Value: text
"""
ENVIRONMENT = {
    "schema/schema.yaml": SCHEMA,
    "infrastructure/manifest.yaml": MANIFEST,
    "infrastructure/cloudformation.yaml": TEMPLATE,
}
SERVICE = {
    "schema/schema.yaml": SCHEMA,
    "instance_infrastructure/manifest.yaml": MANIFEST,
    "instance_infrastructure/cloudformation.yaml": TEMPLATE,
    "pipeline_infrastructure/manifest.yaml": MANIFEST,
    "pipeline_infrastructure/cloudformation.yaml": TEMPLATE,
}
BUNDLES = {"environment": ENVIRONMENT, "service": SERVICE}


# Files that are other than usual; None leaves one out.
Changes = dict[str, str | bytes | None]


def bundle(kind: str, changes: Changes | None = None, members: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """The archive of a small bundle with changes, and with members that have no content."""
    files = {path: content for path, content in {**BUNDLES[kind], **(changes or {})}.items() if content is not None}
    bytes_of = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
    return packed(bytes_of, members)


def schema(properties: str) -> str:
    """The schema with other properties, each a line."""
    return SCHEMA.split("        text:")[0] + "".join(f"        {line}\n" for line in properties.splitlines())


ENVIRONMENT_SPEC = "proton: EnvironmentSpec\n"
SECONDS = 30


class Trial:
    """Tries bundles and specs out, each with a template of its own."""

    def __init__(self, world: World):
        self.world, self.client = world, world.client
        self._numbers = itertools.count(1)

    def fresh(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    @cached_property
    def base(self) -> str:
        """An environment for services."""
        return self.environment()["name"]

    def registered(
        self, kind: str, changes: Changes | None = None, archive: bytes | None = None, **options: str
    ) -> dict[str, Any]:
        """The first version of a new template, published if it can be."""
        name = self.fresh(f"{kind}-template")
        self.world.create_template(kind, name, **options)
        compatible = {}
        if kind == "service":
            template = self.client.get_environment(name=self.base)["environment"]["templateName"]
            compatible = {"compatibleEnvironmentTemplates": [{"templateName": template, "majorVersion": "1"}]}
        version = self.world.register(kind, name, bundle(kind, changes) if archive is None else archive, **compatible)
        if version["status"] == "DRAFT":
            self.world.publish(kind, version)
        return version

    def template(self, kind: str, changes: Changes | None = None) -> dict[str, str]:
        """How a creation names the template of such a bundle, which must register."""
        version = self.registered(kind, changes)
        assert version["status"] == "DRAFT", version
        return {"templateName": version["templateName"], "templateMajorVersion": "1"}

    def environment(self, changes: Changes | None = None, spec: str = ENVIRONMENT_SPEC) -> dict[str, Any]:
        """An environment made from such a bundle, at the end of its deployment."""
        name = self.fresh("environment")
        roles = {"protonServiceRoleArn": ROLE, "codebuildRoleArn": ROLE, "componentRoleArn": ROLE}
        self.client.create_environment(name=name, **self.template("environment", changes), spec=spec, **roles)
        deadline = time.monotonic() + SECONDS
        while True:
            environment = self.client.get_environment(name=name)["environment"]
            if environment["deploymentStatus"] != "IN_PROGRESS":
                return environment
            assert time.monotonic() < deadline, environment
            time.sleep(0.02)

    def service(self, changes: Changes | None = None) -> dict[str, Any]:
        """A service made from such a bundle, at its end."""
        name = self.fresh("service")
        self.client.create_service(name=name, **self.template("service", changes), spec=self.service_spec(), **SOURCE_CODE)
        deadline = time.monotonic() + SECONDS
        while True:
            service = self.client.get_service(name=name)["service"]
            if not service["status"].endswith("_IN_PROGRESS"):
                return service
            assert time.monotonic() < deadline, service
            time.sleep(0.02)

    def service_spec(self) -> str:
        return f"proton: ServiceSpec\npipeline: {{}}\ninstances: [{{name: dev, environment: {self.base}}}]\n"

    def instance(self, service: str) -> dict[str, Any]:
        return self.client.get_service_instance(serviceName=service, name="dev")["serviceInstance"]


def refusal(call, **request: Any) -> str:
    """What the caller of a call is told that is not valid."""
    try:
        answer = call(**request)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException", error
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused: {answer}")
