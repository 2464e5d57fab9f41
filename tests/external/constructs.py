"""What is seen in the bundles that platform teams really have: how they are packed, and what stands in their manifests,
templates, schemas and specs.

Each row is one construct and the predicate by which the corpus is found to use it.
"""

import re
from functools import cached_property
from typing import Any, Callable, Iterator

import yaml

from corpus import PARTS, Case, cases

Uses = Callable[["Corpus"], bool]


class Corpus:
    """All texts of the cases that live, by what they are."""

    def __init__(self) -> None:
        self.cases = cases()

    @cached_property
    def manifests(self) -> list[str]:
        components = [case.text("manifest.yaml") for case in self.cases if case.kind == "component"]
        return components + [case.text(f"{part}/manifest.yaml") for case in self.cases for part in case.parts]

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        return [entry for text in self.manifests for entry in yaml.safe_load(text)["infrastructure"]["templates"]]

    @cached_property
    def templates(self) -> list[str]:
        """Of CloudFormation."""
        components = [case.text(case.life[0]["create"]) for case in self.cases if case.kind == "component"]
        stacks = [(case, part) for case in self.cases for part in case.parts if case.engine == "jinja"]
        return components + [case.text(path) for case, part in stacks for path in case.templates(part)]

    @cached_property
    def pipelines(self) -> list[str]:
        parts = [(case, part) for case in self.cases for part in case.parts if part == "pipeline_infrastructure"]
        return [case.text(path) for case, part in parts for path in case.templates(part)]

    @cached_property
    def schemas(self) -> list[str]:
        return [case.text("schema/schema.yaml") for case in self.cases if "schema/schema.yaml" in case.files]

    @cached_property
    def types(self) -> list[dict[str, Any]]:
        """Every type of every schema, however deep."""
        return [found for text in self.schemas for found in within(yaml.safe_load(text)["schema"]["types"].values())]

    @cached_property
    def specs(self) -> list[str]:
        steps = [(case, step) for case in self.cases if case.kind != "component" for step in case.life]
        return [case.text(path) for case, step in steps for path in step.values() if isinstance(path, str)]

    @cached_property
    def scripts(self) -> list[str]:
        return [case.text(path) for case in self.cases for path in case.files if path.endswith(".sh")]

    @property
    def texts(self) -> list[str]:
        return self.manifests + self.templates + self.schemas + self.specs


def within(types) -> Iterator[dict[str, Any]]:
    for found in types:
        yield found
        yield from within(found.get("properties", {}).values())
        yield from within(inner for inner in [found.get("items")] if inner)


def in_(texts: str, pattern: str) -> Uses:
    """Whether a text of this sort holds the pattern."""
    found = re.compile(pattern, re.M)
    return lambda corpus: any(found.search(text) for text in getattr(corpus, texts))


def template(pattern: str) -> Uses:
    return in_("templates", pattern)


def keyword(name: str, holds: Callable[[Any], bool] = lambda _: True, of: str | None = None) -> Uses:
    """Whether a schema says this of a type."""

    def uses(corpus: Corpus) -> bool:
        return any(name in found and holds(found[name]) and of in (None, found.get("type")) for found in corpus.types)

    return uses


def packed(holds: Callable[[Case], bool]) -> Uses:
    return lambda corpus: any(holds(case) for case in corpus.cases)


def file(pattern: str) -> Uses:
    """Whether a file of a bundle has such a path."""
    return packed(lambda case: any(re.search(pattern, path) for path in case.files))


def entry(holds: Callable[[dict[str, Any]], bool]) -> Uses:
    return lambda corpus: any(holds(found) for found in corpus.entries)


def setting(name: str) -> Uses:
    """Whether a build has this setting, by its path."""

    def given(found: dict[str, Any]) -> bool:
        value: Any = found.get("settings")
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return bool(value)

    return entry(given)


def step(holds: Callable[[dict[str, Any]], bool]) -> Uses:
    return packed(lambda case: any(holds(step) for step in case.life))


def is_no_yaml(text: str) -> bool:
    try:
        yaml.compose(text)
    except yaml.YAMLError:
        return True
    return False


def instances(text: str) -> list[dict[str, Any]]:
    return yaml.safe_load(text).get("instances") or []


EXPRESSION = r"\{\{[^{}]*"
NAMES = [
    *("environment.name", "environment.account_id", "environment.inputs.", "environment.outputs."),
    *("service.name", "service.branch_name", "service.repository_id", "service.repository_connection_arn"),
    *("service_instance.name", "service_instance.inputs.", "service_instance.environment.account_id"),
    *("service_instance.components.default.outputs", "pipeline.inputs.", "component.name"),
]
RESOURCES = {
    "IAM Role": "AWS::IAM::Role",
    "IAM Policy": "AWS::IAM::Policy",
    "EC2 network": "AWS::EC2::(VPC|Subnet|RouteTable|SecurityGroup)",
    "ECS": "AWS::ECS::",
    "CodeBuild": "AWS::CodeBuild::Project",
    "CodePipeline": "AWS::CodePipeline::Pipeline",
    "ELBv2": "AWS::ElasticLoadBalancingV2::",
    "KMS": "AWS::KMS::Key",
    "S3": "AWS::S3::Bucket",
    "AutoScaling": "AWS::AutoScaling::",
    "SAM functions": "AWS::Serverless::Function",
    "Custom::": "Custom::",
}

CONSTRUCTS: dict[str, dict[str, Uses]] = {
    "packaging": {
        "root at the top": packed(lambda case: case.kind != "component" and not case.root),
        "root at ./": packed(lambda case: case.root == "./"),
        "root one folder down": packed(lambda case: re.fullmatch(r"[^./]+", case.root or "") is not None),
        "root two folders down": packed(lambda case: re.fullmatch(r"[^./]+/[^./]+", case.root or "") is not None),
        "a major version's folder": packed(lambda case: (case.root or "").split("/")[-1] in ("v1", "v2")),
        "README.md beside the root folders": file(r"^README\.md$"),
        "spec/ beside the root folders": file(r"^spec/"),
        ".compatible-envs beside the root folders": file(r"^\.compatible-envs$"),
        "Makefile beside the root folders": file(r"^Makefile$"),
        **{f"manifest in {part}/": file(rf"^{part}/manifest\.yaml$") for part in PARTS},
        **{
            f"template named {name}": entry(lambda found, name=name: found.get("file") == name)
            for name in ("cloudformation.yaml", "*", "environment.yaml", "instance.yaml", "pipeline.yaml", "component.tf")
        },
        "template of any other name": entry(lambda found: found.get("file") == "stack.yaml"),
        "more than 10 files": packed(lambda case: len(case.files) > 10),
        "a file over 200 KB": packed(lambda case: max(map(len, case.files.values())) > 200 * 1024),
        "subfolders in a part": file(r"infrastructure/[^/]+/"),
        "a zip": file(r"\.zip$"),
        "compiled Python": file(r"\.pyc$"),
        **{f"no YAML: *.{ending}": file(rf"infrastructure/.*\.{ending}$") for ending in ("tf", "ts", "sh", "zip")},
        "no YAML: a template with bare expressions": lambda corpus: any(map(is_no_yaml, corpus.templates)),
        "a customer-managed environment, schema only": packed(
            lambda case: case.kind == "environment" and case.managed_by == "customer" and not case.parts
        ),
    },
    "manifest": {
        "jinja and cloudformation": entry(lambda found: found.get("template_language") == "cloudformation"),
        "hcl and terraform": entry(lambda found: found.get("template_language") == "terraform"),
        "hcl beside subfolders and other files": packed(
            lambda case: (
                case.engine == "hcl"
                and any(re.search(r"infrastructure/.*/.*\.tf$", path) for path in case.files)
                and any(path.endswith(".zip") for path in case.files)
            )
        ),
        "codebuild without file and template_language": entry(
            lambda found: found["rendering_engine"] == "codebuild" and not found.keys() & {"file", "template_language"}
        ),
        **{
            f"settings.{name}": setting(name)
            for name in (
                *("image", "runtimes.golang", "runtimes.nodejs", "provision", "deprovision"),
                *("env.variables", "env.secrets_manager", "project_properties.VpcConfig"),
            )
        },
        "Jinja inside the manifest": in_("manifests", r"\{\{ environment\.inputs\.\w+ \}\}"),
        "commands read proton-inputs.json": in_("manifests", r"proton-inputs\.json"),
        "commands read RESOURCE_ARN": in_("manifests", r"\$RESOURCE_ARN"),
        "commands read STACK_NAME": in_("manifests", r"\$STACK_NAME"),
        "notify IN_PROGRESS": in_("manifests", r"notify-resource.* --status IN_PROGRESS"),
        "notify SUCCEEDED": in_("manifests", r"notify-resource.* --status SUCCEEDED"),
        "notify without a status": in_("manifests", r"notify-resource(?!.*--status).*--outputs"),
        "a script notifies with a status": in_("scripts", r"notify-resource.* --status"),
        "a script notifies without a status": in_("scripts", r"notify-resource(?!.*--status)"),
        "outputs are notified": step(lambda step: any(words.startswith("notify ") for words in step)),
    },
    "jinja": {
        "a quoted expression": template(r"'\{\{ ?[\w.]+ ?\}\}'"),
        "a bare expression": template(r": \{\{ [\w.]+ \}\}$"),
        "for": template(r"\{% for"),
        "for over service_instances, shadowing service_instance": template(r"for service_instance in service_instances %"),
        "for over split()": template(r"for \w+ in [\w.]+\.split\(','\) %"),
        "loop.index in a logical id": template(r"^  Deploy\{\{loop\.index\}\}Project:"),
        "loop.index0": template(r"service_instances\[loop\.index0\]"),
        "whitespace control before for": template(r"\{%- for"),
        "whitespace control before endfor": template(r"\{%- endfor %\}"),
        "if": template(r"\{% if"),
        "else": template(r"\{% else %\}"),
        "==": template(r"if [\w.]+ == "),
        "truth of a value": template(r"if [\w.]+ %\}"),
        "is defined": template(r"is defined"),
        ">": template(r"if [\w.| ]+ > \d"),
        "set": template(r"set \w+ = "),
        "set of two": template(r"set \w+, \w+ = .*split\('='\)"),
        "set inside a loop": template(r"\{%- for [^%]*%\}\n\{%- set"),
        "split as a method": template(r"\.split\(','\)"),
        "service_instances[0].outputs": template(r"service_instances\[0\]\.outputs\.\w+"),
        "a dict indexed by an output": template(r"\}\[service_instances\[0\]\.outputs"),
        "a dict over lines, as JSON inside JSON": template(
            r"\{\{ \{\n[^%]*\}\[[^\]]*\]\.outputs\.\w+\] \| tojson \| safe \}\}"
        ),
        "truncate with the default leeway": template(r"""\(\S+~"--"~\S+\)\|truncate\(29, true, "zzz"\)"""),
        "truncate with leeway 0": template(r"truncate\(\d+, true, \"zzz\", 0\)"),
        **{
            f"filter {name}": template(rf"\| ?{name}\b")
            for name in (
                *("truncate", "tojson", "safe", "length", "trim", "lower", "default"),
                *("proton_cfn_iam_policy_arns", "proton_cfn_ecs_task_definition_formatted_env_vars"),
                *("proton_cfn_lambda_function_formatted_env_vars", "proton_cfn_sanitize"),
            )
        },
        "an argument of a filter of Proton's": template(r"formatted_env_vars\(raw=False\)"),
        "~": template(r" ?~ ?\"--\""),
        "raw around a dynamic reference": template(r"\{% raw %\}\{\{resolve:.*\}\}\{% endraw %\}"),
        "a list that a filter goes on with, indented": template(r"^ +- arn:.*\n +\{\{ [^}]*proton_cfn_iam_policy_arns \}\}"),
        **{f"name {name}": template(rf"\{{[{{%][^{{}}]*\b{re.escape(name)}") for name in NAMES},
        "service_instances[].environment": in_("pipelines", r"service_instances\[0\]\.environment\.outputs"),
        "service_instance.outputs in a pipeline": in_("pipelines", r"\.outputs\."),
        "service_instance.inputs in a pipeline": in_("pipelines", r"service_instance\.inputs\."),
        "a number": template(r"subnet_bits \}\}"),
        "a boolean": template(r"flow_logs \}\}"),
        "a list": template(r"for item in environment\.inputs\.list"),
        "a literal that comes back as an output": template(r"Value: '\{\{service_instance\.inputs\.lambda_runtime\}\}'"),
    },
    "cloudformation": {
        "!Ref": template(r"!Ref \w+$"),
        "!Ref quoted once": template(r"!Ref '\w+'"),
        "!Ref quoted twice": template(r'!Ref "AWS::NoValue"'),
        "!Ref folded": template(r"!Ref >$"),
        "!GetAtt A.B": template(r"!GetAtt \w+\.\w+$"),
        "!GetAtt [A, B]": template(r"!GetAtt \[\w+, \w+\]"),
        "!FindInMap": template(r"!FindInMap \["),
        "!Sub plain": template(r"!Sub [\w/]"),
        "!Sub quoted": template(r"!Sub '"),
        "!Sub block": template(r"!Sub \|$"),
        "!Join": template(r"!Join \["),
        "!Select": template(r"!Select \["),
        "!Cidr": template(r"!Cidr \["),
        "!GetAZs ''": template(r"!GetAZs ''"),
        "!Equals": template(r"!Equals \["),
        "!Base64 block": template(r"!Base64 \|$"),
        "!Base64 folded": template(r"!Base64 >"),
        "Ref:": template(r"\bRef: '?\w"),
        **{f"Fn::{name}": template(rf"Fn::{name}\"?:") for name in ("GetAtt", "Join", "Select", "GetAZs", "FindInMap")},
        **{
            f"section {name}": template(rf"^{name}:")
            for name in (
                *("Resources", "Outputs", "AWSTemplateFormatVersion", "Description", "Mappings", "Globals"),
                *("Parameters", "Conditions", "Metadata"),
            )
        },
        "SAM": template(r"^Transform: AWS::Serverless"),
        "a parameter from SSM": template(r"Type: AWS::SSM::Parameter::"),
        **{
            f"attribute {name}": template(rf"^    {name}:")
            for name in ("DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Condition", "UpdatePolicy")
        },
        "Condition of an IAM statement": template(r"^ {8,}Condition:$"),
        **{
            f"AWS::{name}": template(rf"AWS::{name}\b")
            for name in ("Region", "AccountId", "Partition", "NoValue", "StackName", "URLSuffix")
        },
        **{f"resource {name}": template(f"Type: {pattern}") for name, pattern in RESOURCES.items()},
    },
    "yaml": {
        "a comment": template(r"^#"),
        "a trailing comment": template(r"\w #"),
        "a flow mapping": template(r": \{ ?\w"),
        "a flow sequence": template(r": \[ ?\w"),
        "a quoted key": in_("texts", r'^ *(- )?"\w+":'),
        "a chomping block with JSON, expressions and statements": template(
            r">-\n( +.*\n)*? +[{](.*\n)*?.*\{\{.*(.*\n)*?.*\{%"
        ),
        "an expression inside a flow sequence": template(r"!\w+ \[.*\{\{ [\w.]+ \}\}"),
        "an unquoted date": template(r"Version: 2012-10-17$"),
        "an unquoted date at the top": template(r"^AWSTemplateFormatVersion: 2010-09-09$"),
        "block |": template(r": \|$"),
        "a tag and a block": template(r"!\w+ [|>]"),
        "YAML 1.1 booleans": template(r": (Yes|No)$"),
        "nothing behind a key": in_("schemas", r"example:$"),
        "CRLF in a template": template(r"\r\n"),
        "CRLF in a manifest": in_("manifests", r"\r\n"),
        "non-ASCII text in a schema": in_("schemas", r"[^\x00-\x7f]"),
        "a spec that begins with ---": in_("specs", r"\A---"),
    },
    "schema": {
        "openapi 3.0.0": in_("schemas", r'openapi: "3\.0\.0"'),
        "no format": lambda corpus: any("openapi:" not in text for text in corpus.schemas),
        **{f"{part}_input_type": in_("schemas", rf"{part}_input_type:") for part in ("service", "pipeline", "environment")},
        "environment_input_type in a service's schema": in_(
            "schemas", r"service_input_type:(.*\n)*.*environment_input_type:"
        ),
        **{
            f"type {name}": keyword("type", lambda value, name=name: value == name)
            for name in ("object", "string", "number", "boolean", "array", "integer")
        },
        "items": keyword("items", of="array"),
        "nested objects": lambda corpus: any(
            inner.get("properties") for found in corpus.types for inner in found.get("properties", {}).values()
        ),
        "description": keyword("description"),
        "title": keyword("title"),
        **{
            f"default of {sort.__name__}": keyword("default", lambda value, sort=sort: type(value) is sort)
            for sort in (str, int, bool, list, dict, float)
        },
        **{
            f"enum of {sort.__name__}": keyword("enum", lambda value, sort=sort: type(value[0]) is sort)
            for sort in (str, int, bool, float)
        },
        **{
            name: keyword(name)
            for name in (
                *("minLength", "maxLength", "minimum", "maximum", "pattern", "required", "example", "minItems", "maxItems"),
                *("multipleOf", "additionalProperties", "minProperties", "maxProperties", "nullable"),
            )
        },
        "an unanchored pattern": keyword("pattern", lambda value: value.startswith("([0-9]{1,3}")),
        "a pattern of account ids": keyword("pattern", lambda value: value == r"^$|^\d{12}(,\d{12})*$"),
        **{
            f"format {name}": keyword("format", lambda value, name=name: value == name)
            for name in ("date", "uuid", "double", "int8", "uri")
        },
        "exclusiveMinimum as a boolean": keyword("exclusiveMinimum", lambda value: value is True),
        "exclusiveMaximum as a boolean": keyword("exclusiveMaximum", lambda value: value is True),
        "minimum of an array": keyword("minimum", of="array"),
        "maximum of an array": keyword("maximum", of="array"),
        "a boolean whose default is text": keyword("default", lambda value: value == "public", of="boolean"),
        "a default shorter than minLength": lambda corpus: any(
            len(found["default"]) < found.get("minLength", 0) for found in corpus.types if type(found.get("default")) is str
        ),
        "a spec with an input that no schema names": in_("specs", r"nobody_knows_this"),
    },
    "spec": {
        "EnvironmentSpec": in_("specs", r"^proton: EnvironmentSpec"),
        "ServiceSpec with a pipeline": in_("specs", r"^proton: ServiceSpec\n\n?pipeline:"),
        "ServiceSpec without a pipeline": lambda corpus: any(
            "pipeline" not in text for text in corpus.specs if "ServiceSpec" in text
        ),
        "an instance without spec": lambda corpus: any(
            "spec" not in each for text in corpus.specs for each in instances(text)
        ),
        **{
            f"a value that is {sort.__name__}": lambda corpus, sort=sort: any(
                type(value) is sort for text in corpus.specs for value in (yaml.safe_load(text).get("spec") or {}).values()
            )
            for sort in (str, int, bool)
        },
        "one line of flow YAML": in_("specs", r"\A\{proton: EnvironmentSpec, spec: \{.*\}\}\n\Z"),
        "one line of flow YAML with instances": in_("specs", r"\A\{proton: ServiceSpec, .*instances: \[\{.*\}\]\}\n\Z"),
        "written again by PyYAML: keys sorted, no indented lists": in_("specs", r"^instances:\n- environment:"),
        "written again by go-yaml: four spaces": in_("specs", r"^instances:\n    - name:"),
        "written again by yq: styles and comments kept": in_("specs", r"^spec: \{\""),
        "CURRENT_VAL quoted": in_("specs", r'"\$\{Proton::CURRENT_VAL\}"'),
        "CURRENT_VAL plain": in_("specs", r": \$\{Proton::CURRENT_VAL\}"),
        "instances: []": in_("specs", r"instances: \[\]"),
        "an instance added by CreateServiceInstance": step(lambda step: any(words.startswith("add ") for words in step)),
    },
}
