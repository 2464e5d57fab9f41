"""Bundles and specs that are made to hurt: each is refused with a clear message, and the server stays small."""

import gzip
import io
import struct
import tarfile
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest
from botocore.exceptions import ClientError

import contract
from corpus import packed
from living import World
from server import Server
from small import MANIFEST, SCHEMA, TEMPLATE, Trial, bundle, refusal, schema
from wires import Grpc
from world import ARN, ROLE

# Far above what it takes, far below what these bundles would take.
PEAK_MIB = 300

MIB = 1024 * 1024
STACK = "infrastructure/cloudformation.yaml"
SCHEMA_FILE = "schema/schema.yaml"
MANIFEST_FILE = "infrastructure/manifest.yaml"


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """One server that all of them are thrown at."""
    with Server(tmp_path_factory.mktemp("server"), environment={"PROTON_GRPC_HANDOVER": "succeed"}) as server:
        yield Trial(World(server))


@pytest.fixture(autouse=True)
def small(trial):
    """Whatever it was, the server never grew large, and goes on."""
    yield
    assert peak_mib(trial.world.server) < PEAK_MIB
    assert trial.client.get_account_settings()["accountSettings"]


def peak_mib(server: Server) -> int:
    """The most memory that the server ever had."""
    status = open(f"/proc/{server.process.pid}/status").read()
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) // 1024


# Archives


def member(path: str, **attributes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    for name, value in attributes.items():
        setattr(entry, name, value)
    return entry


def with_member(path: str, **attributes) -> bytes:
    return bundle("environment", members=[member(path, **attributes)])


def with_header(path: str, size_field: bytes, content: bytes = b"") -> bytes:
    """An archive whose one member says of itself what it likes."""
    header = bytearray(tarfile.TarInfo(path).tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size_field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + content)


def zeros(mebibytes: int) -> bytes:
    """A gzip of very many zeros, without ever having them."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as gzipped:
        for _ in range(mebibytes):
            gzipped.write(bytes(MIB))
    return packed.getvalue()


def many(count: int) -> bytes:
    """An archive of very many folders."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=1) as tar:
        for number in range(count):
            tar.addfile(member(f"{number}", type=tarfile.DIRTYPE))
    return archive.getvalue()


def long_name(length: int) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("x" * length))
    return archive.getvalue()


def with_pax(records: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member("infrastructure/a", pax_headers=records))
    return archive.getvalue()


ARCHIVES = {
    "a way out": (lambda: with_member("../schema/schema.yaml"), '"../schema/schema.yaml"'),
    "a way out further down": (lambda: with_member("infrastructure/../../etc/passwd"), '"infrastructure/../../etc/passwd"'),
    "an absolute path": (lambda: with_member("/etc/passwd"), '"/etc/passwd"'),
    "a symbolic link": (lambda: with_member("l", type=tarfile.SYMTYPE, linkname="/etc/passwd"), '"l", a symbolic link'),
    "a hard link": (lambda: with_member("l", type=tarfile.LNKTYPE, linkname=SCHEMA_FILE), '"l", a hard link'),
    "a character device": (lambda: with_member("d", type=tarfile.CHRTYPE, devmajor=1, devminor=5), '"d", a device'),
    "a block device": (lambda: with_member("d", type=tarfile.BLKTYPE), '"d", a device'),
    "a pipe": (lambda: with_member("d", type=tarfile.FIFOTYPE), '"d", a device or other special file'),
    "a sparse file": (lambda: with_member("s", type=tarfile.GNUTYPE_SPARSE), "sparse"),
    "a file twice": (lambda: with_member(SCHEMA_FILE), 'the bundle holds "schema/schema.yaml" twice'),
    "a file that is a folder": (lambda: with_member("schema"), "both as a file and as a folder"),
    "bytes that are no name": (lambda: with_member("infrastructure/\udcff"), "the bundle holds"),
    "a NUL in a name": (lambda: with_pax({"path": "infra\0structure"}), "the bundle holds"),
    "a name without end": (lambda: long_name(5_000_000), "the bundle holds"),
    "a zip": (lambda: b"PK\3\4" + bytes(100), "it looks like a zip file"),
    "a tar": (lambda: gzip.decompress(bundle("environment")), "a tar archive that was not gzipped"),
    "nothing": (lambda: b"", "it is empty"),
    "noise": (lambda: bytes(range(256)) * 40, "the bundle is not a gzipped tar archive"),
    "noise behind a gzip head": (lambda: b"\x1f\x8b\x08\0" + bytes(range(256)) * 40, "is not a readable .tar.gz archive"),
    "half of it": (lambda: bundle("environment")[:-100], "cut off"),
    "a gzip bomb": (lambda: zeros(100), "the bundle unpacks to more than 67108864 bytes"),
    "a bomb in a file": (
        lambda: with_header("infrastructure/a", b"10000000000\0", bytes(70 * MIB)),
        "the bundle unpacks to more than 67108864 bytes",
    ),
    "a size that is a lie": (lambda: with_header("schema/schema.yaml", b"07777777777\0", b"schema: {}"), "the bundle"),
    "a size without end": (lambda: with_header("a", b"\x80" + bytes(3) + struct.pack(">Q", 2**63 - 1), b"a"), "the bundle"),
    "a negative size": (lambda: with_header("a", b"\xff" * 12, b"a"), "the bundle"),
    "a size in PAX": (lambda: with_pax({"size": "9" * 30}), "the bundle"),
    "too many files": (lambda: many(10_001), "the bundle holds more than 10000 files and folders"),
    "deep folders": (lambda: packed({f"{'d/' * 600}f": b""}), "the bundle holds"),
    "too large a bundle": (lambda: bundle("environment") + bytes(11 * MIB), "10485760"),
}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_that_is_made_to_hurt_does_not_register(trial, archive):
    make, message = ARCHIVES[archive]
    version = trial.registered("environment", archive=make())
    assert version["status"] == "REGISTRATION_FAILED"
    assert message in version["statusMessage"]
    assert len(version["statusMessage"]) <= 1000


# YAML

DEEP = "[" * 10_000
DEEP_MAPPING = "".join(f"{' ' * level}a:\n" for level in range(1_500))
ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(9)
)
CYCLE = "a: &a\n  b: *a\n"
BAD_UTF8 = b"schema:\n  format: \xff\xfe\xc3\x28\n"
YAML = {
    "deep lists": f"infrastructure: {DEEP}\n",
    "deep mappings": DEEP_MAPPING,
    "aliases of aliases": ALIASES,
    "an alias of itself": CYCLE,
    "a merge of itself": "a: &a\n  <<: *a\n",
    "an unknown tag": "infrastructure: !!python/object:os.system [ls]\n",
    "a key twice": "infrastructure: 1\ninfrastructure: 2\n",
    "two documents": "infrastructure: 1\n---\ninfrastructure: 2\n",
    "a billion anchors": "".join(f"k{number}: &a{number} x\n" for number in range(30_000)),
    "bad UTF-8": BAD_UTF8,
    "UTF-16": "infrastructure: {}\n".encode("utf-16"),
    "a NUL": "infrastructure:\n  templates: \0\n",
    "nothing": "",
    "a number": "1" * 40_000,
    "an open quote": 'infrastructure: "' + "x" * 40_000,
}


@pytest.mark.parametrize("file", [SCHEMA_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("text", YAML)
def test_yaml_that_is_made_to_hurt_does_not_register(trial, file, text):
    version = trial.registered("environment", {file: YAML[text]})
    assert version["status"] == "REGISTRATION_FAILED"
    assert file in version["statusMessage"] or "Missing property [schema]" in version["statusMessage"]
    assert len(version["statusMessage"]) <= 1000


@pytest.mark.parametrize("text", [name for name in YAML if isinstance(YAML[name], str) and YAML[name]])
def test_a_spec_that_is_made_to_hurt_is_refused(trial, environment_template, text):
    request = creation(trial, environment_template, YAML[text][:51_000])
    told = refusal(trial.client.create_environment, **request)
    assert "spec" in told.lower()
    assert len(told) < 3000
    if text in ("deep lists", "aliases of aliases", "a NUL"):
        outcome = Grpc(trial.world.server).call("CreateEnvironment", request)
        assert (outcome.status, outcome.message) == (grpc.StatusCode.INVALID_ARGUMENT, told)


def test_a_spec_has_a_limit(trial, environment_template):
    request = creation(trial, environment_template, "x" * 51_201)
    assert "51200" in refusal(trial.client.create_environment, **request)
    # The facade answers for itself, before anything is asked of the control plane.
    outcome = Grpc(trial.world.server).call("CreateEnvironment", request)
    assert (outcome.status, outcome.aws_code) == (grpc.StatusCode.INVALID_ARGUMENT, None)


def test_a_spec_is_text(trial):
    """Clients make sure of it, so bytes that are none come from elsewhere."""
    server, spec = trial.world.server, b"proton: \xff\xfe"
    body = b'{"name": "a", "templateName": "a", "templateMajorVersion": "1", "spec": "%b"}' % spec
    headers = {"X-Amz-Target": "AwsProton20200720.CreateEnvironment", "Content-Type": "application/x-amz-json-1.0"}
    with pytest.raises(HTTPError) as error:
        urlopen(Request(server.aws_json, body, headers))
    assert error.value.code == 400
    assert b"the body is not a JSON object" in error.value.read()

    call = server.channel.unary_unary("/proton.v1.ProtonService/CreateEnvironment", bytes, bytes)
    field = contract.method("CreateEnvironment").input_type.fields_by_name["spec"].number
    with pytest.raises(grpc.RpcError) as refused:
        call(bytes([field << 3 | 2, len(spec)]) + spec, timeout=20)
    assert "CreateEnvironmentRequest.spec: invalid string value" in refused.value.details()


def creation(trial, template, spec):
    return {"name": trial.fresh("refused"), **template, "spec": spec, "protonServiceRoleArn": ROLE}


@pytest.fixture(scope="module")
def environment_template(trial):
    return trial.template("environment")


# Schemas and inputs

SCHEMAS = {
    "a type in itself": (schema("a: {$ref: '#/schema/types/In'}"), None),
    "only itself": (SCHEMA.split("    In:")[0] + "    In: {$ref: '#/schema/types/In'}\n", "schema/schema.yaml line"),
    "a reference elsewhere": (schema("a: {$ref: 'file:///etc/passwd'}"), "schema/schema.yaml line"),
    "a reference to the net": (schema("a: {$ref: 'http://169.254.169.254/'}"), "schema/schema.yaml line"),
    "a long name": (schema(f"{'a' * 40_000}: {{type: string}}"), None),
    "too large a schema": (SCHEMA + "#" * 60_000, "schema/schema.yaml has"),
    "very many types": (schema("\n".join(f"a{number}: {{}}" for number in range(4_000))), None),
}


@pytest.mark.parametrize("sort", SCHEMAS)
def test_a_schema_that_is_made_to_hurt_ends_its_registration(trial, sort):
    text, message = SCHEMAS[sort]
    version = trial.registered("environment", {SCHEMA_FILE: text})
    if message:
        assert version["status"] == "REGISTRATION_FAILED"
        assert message in version["statusMessage"]
    else:
        assert version["status"] in ("DRAFT", "REGISTRATION_FAILED")


INPUTS = {
    "a pattern that backtracks": (
        "a: {type: string, pattern: '^(a+)+$'}",
        f"{{a: {'a' * 40_000}!}}",
        "must match the pattern",
    ),
    "a pattern of patterns": ("a: {type: string, pattern: '((((a{1,100}){1,100}){1,100}){1,100})'}", "{a: x}", "spec.a"),
    "a pattern that looks back": ("a: {type: string, pattern: '(a)\\1'}", "{a: aa}", "spec.a cannot be checked"),
    "a pattern that is none": ("a: {type: string, pattern: '['}", "{a: aa}", "spec.a cannot be checked"),
    "a large number": ("a: {type: integer, maximum: 10}", "{a: 1000000000}", "spec.a must be at most 10"),
    "a number beyond numbers": ("a: {type: number, maximum: 10}", "{a: 1e999}", "non-finite float"),
    "no number": ("a: {type: number}", "{a: .nan}", "non-finite float"),
    "digits without end": ("a: {type: integer, maximum: 10}", f"{{a: {'9' * 40_000}}}", "spec is not valid YAML"),
    "a tiny multiple": ("a: {type: number, multipleOf: 1e-300}", "{a: x}", "spec.a must be a number"),
    "lists in lists": ("a: {type: array, items: {type: array}}", f"{{a: {'[' * 20}{']' * 20}}}", None),
    "many that repeat": (
        "a: {type: array, uniqueItems: true}",
        f"{{a: [{','.join(map(str, range(500)))},1]}}",
        "repeats an item",
    ),
    "very many problems": (
        "a: {type: array, items: {type: boolean}}",
        f"{{a: [{','.join('x' * 10_000)}]}}",
        "and 9990 more",
    ),
    "a type in itself": ("a: {$ref: '#/schema/types/In'}", "{a: {a: {a: {a: 1}}}}", "spec.a.a.a.a must be a mapping"),
}


@pytest.mark.parametrize("sort", INPUTS)
def test_inputs_that_are_made_to_hurt_are_refused(trial, sort):
    properties, inputs, message = INPUTS[sort]
    changes, spec = {SCHEMA_FILE: schema(properties)}, f"proton: EnvironmentSpec\nspec: {inputs}\n"
    if message is None:
        assert trial.environment(changes, spec)["deploymentStatus"] == "SUCCEEDED"
    else:
        told = refusal(trial.environment, changes=changes, spec=spec)
        assert message in told
        assert len(told) < 3000


# Templates

NINES = "9" * 9
TEMPLATES = {
    "a long text": "{{ 'x' * 10**9 }}",
    "a longer text": "{{ 'x' * 10**18 }}",
    "a list of lists": "{{ [[0] * 10**6] * 10**6 }}",
    "a large power": "{{ 10 ** 10 ** 10 }}",
    "a power of a power": "{{ 9 ** 9 ** 9 ** 9 }}",
    "a number that does not fit": f"{{{{ {'9' * 30_000} * 2 }}}}",
    "a range": "{% for i in range(10**9) %}x{% endfor %}",
    "a range as a list": "{{ range(10**12) | list }}",
    "the sum of a range": "{{ range(10**9) | sum }}",
    "a loop in a loop": "{% for i in range(9999) %}" * 3 + "x" + "{% endfor %}" * 3,
    "a silent loop in a loop": "{% for i in range(9999) %}" * 3 + "{% endfor %}" * 3,
    "a text that doubles": "{% set n = namespace(t='x') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}",
    "a list that doubles": "{% set n = namespace(t=[0]) %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}",
    "a list in itself": "{% set n = namespace(t=0) %}{% for i in range(999) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t }}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macros that call each other": "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "a loop that calls itself": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "a wide field": "{{ '%999999999d' % 1 }}",
    "a wide format": "{{ '{:999999999}'.format(1) }}",
    "a wide center": "{{ 'x' | center(10**9) }}",
    "a wide indent": f"{{{{ 'x\\nx' | indent({NINES}) }}}}",
    "a replacement": "{{ ('x' * 9999) | replace('x', 'x' * 9999) | replace('x', 'x' * 9999) }}",
    "a join": "{{ range(99999) | join('x' * 99999) }}",
    "a method that joins": "{{ ('x' * 99999).join(['a'] * 99999) }}",
    "a batch": "{{ [1] | batch(10**9, 'x') | list }}",
    "slices": "{{ [1] | slice(10**9) | list }}",
    "deep brackets": "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "deep lists": "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "deep ifs": "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
    "a long chain": "{{ 1" + " + 1" * 100_000 + " }}",
    "a long chain of filters": "{{ 'x'" + " | upper" * 50_000 + " }}",
    "a file": "{% include '/etc/passwd' %}",
    "an import": "{% import 'os' as os %}",
    "another template": "{% extends 'x' %}",
    "Python inside": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "{{ range.__globals__ }}",
    "an open expression": "{{ " * 20_000,
    "a large output": "{% for i in range(40000) %}" + "x" * 100 + "{% endfor %}",
}


@pytest.mark.parametrize("sort", TEMPLATES)
def test_a_template_that_is_made_to_hurt_fails_its_deployment(trial, sort):
    environment = trial.environment({STACK: TEMPLATE.replace("Value: text", f'Value: "{TEMPLATES[sort]}"')})
    assert environment["deploymentStatus"] == "FAILED", sort
    assert environment["deploymentStatusMessage"].startswith("cloudformation.yaml")
    assert len(environment["deploymentStatusMessage"]) <= 5000


RENDERED = {
    "deep lists": TEMPLATE.replace("text", DEEP),
    "deep lists that are closed": TEMPLATE.replace("text", "[" * 5_000 + "]" * 5_000),
    "deep mappings": DEEP_MAPPING,
    "aliases of aliases": ALIASES + TEMPLATE,
    "an alias of itself": CYCLE + TEMPLATE,
    "deep functions": TEMPLATE.replace("text", "!Join ['', [" * 500 + "]]" * 500),
    "doubling": "Resources:\n  A0: {Type: AWS::SNS::Topic, Properties: {TopicName: xxxxxxxxxx}}\n"
    + "".join(
        f"  A{n + 1}: {{Type: AWS::SNS::Topic, Properties: {{TopicName: !Sub '${{A{n}}}${{A{n}}}'}}}}\n" for n in range(60)
    ),
    "too large an output": TEMPLATE.replace("text", "x" * 1_025),
    "too many resources": "Resources:\n" + "".join(f"  R{n}: {{Type: AWS::SNS::Topic}}\n" for n in range(501)),
    "a NUL": TEMPLATE.replace("text", "\"{{ '\\0' }}\""),
    "a circle": "Resources:\n  A: {Type: AWS::SNS::Topic, DependsOn: B}\n  B: {Type: AWS::SNS::Topic, DependsOn: A}\n",
}


@pytest.mark.parametrize("sort", RENDERED)
def test_a_stack_that_is_made_to_hurt_fails_its_deployment(trial, sort):
    environment = trial.environment({STACK: RENDERED[sort]})
    assert environment["deploymentStatus"] == "FAILED", sort
    assert environment["deploymentStatusMessage"]
    assert len(environment["deploymentStatusMessage"]) <= 5000


def test_templates_are_text(trial):
    for content, message in ((BAD_UTF8, "UTF-8"), (b"Resources: {}\n\xff", "UTF-8"), (b"x" * (2 * MIB + 1), "2097152")):
        version = trial.registered("environment", {STACK: content})
        assert version["status"] == "REGISTRATION_FAILED"
        assert STACK in version["statusMessage"]
        assert message in version["statusMessage"]


def test_what_an_instance_gives_out_cannot_hurt_the_pipeline(trial):
    """A text of an instance is a value to the pipeline, and no template."""
    instance = TEMPLATE.replace("Value: text", "Value: \"{{ '{{ 10 ** 10 ** 10 }}' }}\"")
    pipeline = TEMPLATE.replace("Value: text", "Value: '{{ service_instances[0].outputs.Text }}'")
    changes = {
        f"{part}_infrastructure/cloudformation.yaml": text for part, text in (("instance", instance), ("pipeline", pipeline))
    }
    service = trial.service(changes)
    assert service["status"] == "ACTIVE"
    assert trial.world.outputs(service["name"], "pipeline") == {"Text": "{{ 10 ** 10 ** 10 }}"}


def test_what_a_developer_gives_is_no_template(trial):
    text = "{{ range(10**9) | list }}{% for"
    template = TEMPLATE.replace("Value: text", "Value: '{{ environment.inputs.text }}'")
    environment = trial.environment({STACK: template}, f"proton: EnvironmentSpec\nspec: {{text: '{text}'}}\n")
    assert environment["deploymentStatus"] == "SUCCEEDED"
    assert trial.world.outputs(environment["name"], "environment") == {"Text": text}


@pytest.mark.parametrize("sort", ["a long text", "a loop in a loop", "a macro that calls itself", "a file"])
def test_properties_of_a_build_that_are_made_to_hurt_fail_its_deployment(trial, sort):
    manifest = f"""\
infrastructure:
  templates:
    - rendering_engine: codebuild
      settings:
        provision: []
        deprovision: []
        project_properties:
          Description: "{TEMPLATES[sort]}"
"""
    environment = trial.environment({MANIFEST_FILE: manifest})
    assert environment["deploymentStatus"] == "FAILED"
    assert environment["deploymentStatusMessage"].startswith("manifest.yaml")


COMPONENTS = {
    "a manifest with a way out": (MANIFEST.replace("cloudformation.yaml", "../a.yaml"), TEMPLATE),
    "a manifest of commands": ("infrastructure: {templates: [{rendering_engine: codebuild, settings: {}}]}\n", TEMPLATE),
    "a deep manifest": (YAML["deep lists"], TEMPLATE),
    "aliases of aliases": (ALIASES, TEMPLATE),
    "no manifest": ("", TEMPLATE),
}


@pytest.mark.parametrize("sort", COMPONENTS)
def test_a_component_that_is_made_to_hurt_is_refused(trial, sort):
    manifest, template = COMPONENTS[sort]
    component = {
        "name": trial.fresh("refused"),
        "environmentName": trial.base,
        "manifest": manifest,
        "templateFile": template,
    }
    assert "manifest" in refusal(trial.client.create_component, **component)


def test_outputs_that_are_made_to_hurt_are_refused(trial):
    arn = f"{ARN}:environment/{trial.base}"
    for output in (
        {"key": "a", "valueString": "x" * 1_025},
        {"key": "a" * 1_025, "valueString": "x"},
        {"key": "", "valueString": "x"},
    ):
        told = refusal(trial.client.notify_resource_deployment_status_change, resourceArn=arn, outputs=[output])
        assert "outputs" in told
    many = [{"key": f"a{number}", "valueString": "x"} for number in range(51)]
    assert "outputs" in refusal(trial.client.notify_resource_deployment_status_change, resourceArn=arn, outputs=many)


def test_a_request_without_end_is_not_read_to_its_end(trial, environment_template):
    request = creation(trial, environment_template, "x" * (6 * MIB))
    with pytest.raises(ClientError) as error:
        trial.client.create_environment(**request)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 413)
    outcome = Grpc(trial.world.server).call("CreateEnvironment", request)
    assert (outcome.status, outcome.aws_code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)
