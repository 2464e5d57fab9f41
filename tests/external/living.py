"""Lives a case of the corpus: through boto3, its waiters included."""

import itertools
import re
import time
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from corpus import Case
from server import Server
from world import ARN, CONNECTION, ROLE

QUICKLY = {"Delay": 0.05, "MaxAttempts": 400}
SECONDS = 30
BUCKET = "corpus"
REPOSITORY = {"provider": "GITHUB", "name": "platform/infrastructure", "branch": "main"}
SOURCE_CODE = {"repositoryConnectionArn": CONNECTION, "repositoryId": "shop/code", "branchName": "main"}


class World:
    """A server that cases are lived in. Templates stay; what is deployed goes with its case."""

    def __init__(self, server: Server):
        self.server = server
        self.client = server.boto3()
        self._templates: set[str] = set()
        self._numbers = itertools.count(1)
        self.client.create_repository(**without(REPOSITORY, "branch"), connectionArn=CONNECTION)
        self.client.update_account_settings(
            pipelineServiceRoleArn=ROLE, pipelineCodebuildRoleArn=ROLE, pipelineProvisioningRepository=REPOSITORY
        )

    def source(self, archive: bytes) -> dict[str, Any]:
        """Puts an archive into the bucket and says where it lies."""
        key = f"{next(self._numbers)}.tar.gz"
        file = self.server.bundles / BUCKET / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archive)
        return {"s3": {"bucket": BUCKET, "key": key}}

    def template(self, case: Case) -> str:
        """The name of the template made from a case, which is registered and published when it is needed first."""
        if case.name not in self._templates:
            self._templates.add(case.name)
            managed = {"environment": "provisioning", "service": "pipelineProvisioning"}[case.kind]
            options = {managed: "CUSTOMER_MANAGED"} if case.managed_by == "customer" else {}
            self.create_template(case.kind, case.name, **options)
            version = self.register(case.kind, case.name, case.packed(), **self.compatible(case))
            assert version["status"] == "DRAFT", version
            self.publish(case.kind, version)
        return case.name

    def compatible(self, case: Case) -> dict[str, Any]:
        if case.kind == "environment":
            return {}
        names = dict.fromkeys((case.environments or {}).values())
        templates = [{"templateName": self.template(Case(name)), "majorVersion": "1"} for name in names]
        sources = {"supportedComponentSources": ["DIRECTLY_DEFINED"]} if case.components else {}
        return {"compatibleEnvironmentTemplates": templates, **sources}

    def create_template(self, kind: str, name: str, **options: str) -> None:
        getattr(self.client, f"create_{kind}_template")(name=name, **options)

    def register(self, kind: str, template: str, archive: bytes, **options: Any) -> dict[str, Any]:
        """Registers an archive as the next version of a template, and returns the version as it is at the end."""
        create = getattr(self.client, f"create_{kind}_template_version")
        created = create(templateName=template, source=self.source(archive), **options)[f"{kind}TemplateVersion"]
        named = {member: created[member] for member in ("templateName", "majorVersion", "minorVersion")}
        get = getattr(self.client, f"get_{kind}_template_version")
        deadline = time.monotonic() + SECONDS
        while True:
            version = get(**named)[f"{kind}TemplateVersion"]
            if version["status"] != "REGISTRATION_IN_PROGRESS":
                return version
            assert time.monotonic() < deadline, version
            time.sleep(0.02)

    def publish(self, kind: str, version: dict[str, Any]) -> None:
        named = {member: version[member] for member in ("templateName", "majorVersion", "minorVersion")}
        getattr(self.client, f"update_{kind}_template_version")(**named, status="PUBLISHED")

    def wait(self, waiter: str, **request: str) -> None:
        try:
            self.client.get_waiter(waiter).wait(**request, WaiterConfig=QUICKLY)
        except WaiterError as error:
            raise AssertionError(f"{waiter} {request}: {error.last_response}") from None

    # Environments

    def create_environment(self, name: str, case: Case, spec: str) -> None:
        self.client.create_environment(
            name=name, templateName=self.template(case), templateMajorVersion="1", spec=spec, **provisioning(case)
        )
        self.wait("environment_deployed", name=name)

    def update_environment(self, name: str, case: Case, spec: str) -> None:
        repository = {"provisioningRepository": REPOSITORY} if case.engine == "hcl" else {}
        self.client.update_environment(name=name, deploymentType="CURRENT_VERSION", spec=spec, **repository)
        self.wait("environment_deployed", name=name)

    def delete_environment(self, name: str) -> None:
        self.client.delete_environment(name=name)
        self.gone(self.client.get_environment, name=name)

    def gone(self, get, **request: str) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                found = get(**request)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ResourceNotFoundException", error
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    # Services

    def create_service(self, name: str, case: Case, spec: str, **options: str) -> None:
        code = {} if case.managed_by == "customer" else SOURCE_CODE
        template = {"templateName": self.template(case), "templateMajorVersion": "1"}
        self.client.create_service(name=name, **template, spec=spec, **code, **options)
        self.wait("service_created", name=name)

    def delete_service(self, name: str) -> None:
        self.client.delete_service(name=name)
        self.wait("service_deleted", name=name)

    # What is deployed, by the words that the steps of a case use

    def outputs(self, name: str, what: str) -> dict[str, str]:
        kind, _, instance = what.partition(" ")
        listed = {
            "environment": lambda: self.client.list_environment_outputs(environmentName=name),
            "instance": lambda: self.client.list_service_instance_outputs(serviceName=name, serviceInstanceName=instance),
            "pipeline": lambda: self.client.list_service_pipeline_outputs(serviceName=name),
            "component": lambda: self.client.list_component_outputs(componentName=name),
        }[kind]()
        return {output["key"]: output["valueString"] for output in listed["outputs"]}

    def notify(self, name: str, what: str, outputs: dict[str, str] | None = None, **request: Any) -> None:
        """Tells what somebody else's run has come to."""
        if outputs is not None:
            request["outputs"] = [{"key": key, "valueString": value} for key, value in outputs.items()]
        self.client.notify_resource_deployment_status_change(resourceArn=arn(name, what), **request)

    def notify_in_time(self, *what: Any, **request: Any) -> None:
        """Tells it as soon as the run could have begun."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return self.notify(*what, **request)
            except self.client.exceptions.ConflictException:
                assert time.monotonic() < deadline, what
                time.sleep(0.02)


def provisioning(case: Case) -> dict[str, Any]:
    """Who may provision in an environment."""
    if case.engine == "hcl":
        return {"provisioningRepository": REPOSITORY}
    return {"protonServiceRoleArn": ROLE, "codebuildRoleArn": ROLE, "componentRoleArn": ROLE}


def arn(name: str, what: str) -> str:
    kind, _, instance = what.partition(" ")
    return {
        "environment": f"{ARN}:environment/{name}",
        "instance": f"{ARN}:service/{name}/service-instance/{instance}",
        "pipeline": f"{ARN}:service/{name}/pipeline",
        "component": f"{ARN}:component/{name}",
    }[kind]


def like(text: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


def without(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {known: value for known, value in mapping.items() if known != key}


class Life:
    """The steps of one case, and everything that has to be there for it."""

    def __init__(self, world: World, case: Case):
        self.world, self.case = world, case
        self.name = f"shared-{case.name}"

    def live(self) -> None:
        for name, of in (self.case.environments or {}).items():
            self.world.create_environment(name, Case(of), first_spec(Case(of)))
        for name, of in (self.case.services or {}).items():
            self.world.create_service(name, Case(of), first_spec(Case(of)))
        for step in self.case.life:
            self.step(**step)
        getattr(self.world, f"delete_{self.case.kind}", self.delete_component)(self.name)
        for name in self.case.services or {}:
            self.world.delete_service(name)
        for name in self.case.environments or {}:
            self.world.delete_environment(name)

    def step(self, outputs: dict[str, dict[str, str]] | None = None, **step: Any) -> None:
        ((words, value),) = step.items()
        verb, _, what = words.partition(" ")
        getattr(self, verb)(what, value)
        for what, expected in (outputs or {}).items():
            seen = self.world.outputs(self.name, what)
            assert seen.keys() == expected.keys(), f"{words}: {what} has {seen}"
            wrong = {key: seen[key] for key in seen if not like(seen[key], expected[key])}
            assert not wrong, f"{words}: {what} has {wrong}"

    def create(self, _: str, spec: str) -> None:
        if self.case.kind == "component":
            self.create_component(spec)
        else:
            getattr(self.world, f"create_{self.case.kind}")(self.name, self.case, self.case.text(spec))

    def notify(self, what: str, outputs: dict[str, str]) -> None:
        self.world.notify(self.name, what, outputs)

    def update(self, what: str, spec: str) -> None:
        kind, _, instance = what.partition(" ")
        text = self.case.text(spec)
        client, deploys = self.world.client, {"deploymentType": "CURRENT_VERSION", "spec": text}
        if kind == "environment":
            self.world.update_environment(self.name, self.case, text)
        elif kind == "service":
            client.update_service(name=self.name, spec=text)
            self.world.wait("service_updated", name=self.name)
        elif kind == "instance":
            named = {"serviceName": self.name, "name": instance}
            client.update_service_instance(**named, **deploys)
            self.world.wait("service_instance_deployed", **named)
        elif kind == "pipeline":
            client.update_service_pipeline(serviceName=self.name, **deploys)
            self.world.wait("service_pipeline_deployed", name=self.name)
        elif kind == "component":
            template = self.case.text(spec)
            client.update_component(name=self.name, deploymentType="CURRENT_VERSION", templateFile=template)
            self.world.wait("component_deployed", name=self.name)

    def add(self, what: str, spec: str) -> None:
        """Adds one instance to the service."""
        named = {"serviceName": self.name, "name": what.removeprefix("instance ")}
        self.world.client.create_service_instance(**named, spec=self.case.text(spec))
        self.world.wait("service_instance_deployed", **named)

    # Components

    def create_component(self, template: str) -> None:
        """In the case's environment, or attached to the first instance of its service."""
        place: dict[str, str] = {"environmentName": next(iter(self.case.environments))}
        if self.case.services:
            service = next(iter(self.case.services))
            instances = self.world.client.list_service_instances(serviceName=service)["serviceInstances"]
            instance = min(instance["name"] for instance in instances)
            place = {"serviceName": service, "serviceInstanceName": instance}
        files = {"manifest": self.case.text("manifest.yaml"), "templateFile": self.case.text(template)}
        self.world.client.create_component(name=self.name, **place, **files)
        self.world.wait("component_deployed", name=self.name)

    def redeploy(self, what: str, spec: str) -> None:
        """Deploys an instance of the component's service again, which sees the component's outputs then."""
        service = next(iter(self.case.services))
        named = {"serviceName": service, "name": what.removeprefix("instance ")}
        self.world.client.update_service_instance(**named, deploymentType="CURRENT_VERSION")
        self.world.wait("service_instance_deployed", **named)
        seen = self.world.client.list_service_instance_outputs(serviceName=service, serviceInstanceName=named["name"])
        values = {output["key"]: output["valueString"] for output in seen["outputs"]}
        for key, value in spec.items():
            assert like(values[key], value), values

    def detach(self, _: str, template: str) -> None:
        """Away from its instance, whose names the template does not see any more."""
        detached = {"serviceName": "", "serviceInstanceName": "", "templateFile": self.case.text(template)}
        self.world.client.update_component(name=self.name, deploymentType="CURRENT_VERSION", **detached)
        self.world.wait("component_deployed", name=self.name)

    def delete_component(self, name: str) -> None:
        self.world.client.delete_component(name=name)
        self.world.wait("component_deleted", name=name)


def first_spec(case: Case) -> str:
    return case.text(case.life[0]["create"])
