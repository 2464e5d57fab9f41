"""What real users got wrong: bundles and specs that register or do not, and what the registration, the call or the
deployment says."""

import tarfile

import pytest

from living import SOURCE_CODE, World
from server import Server
from small import MANIFEST, SCHEMA, TEMPLATE, Trial, bundle, refusal, schema

CODEBUILD = """\
infrastructure:
  templates:
    - rendering_engine: codebuild
      settings:
        image: aws/codebuild/standard:6.0
        provision: [make]
        deprovision: [make clean]
"""
MALFORMED = "Spec file was not correctly formatted. Please check that it is valid yaml according to the Spec definition."
STACK = "infrastructure/cloudformation.yaml"
SCHEMA_FILE = "schema/schema.yaml"


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), environment={"PROTON_GRPC_HANDOVER": "succeed"}) as server:
        yield Trial(World(server))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            TEMPLATE.replace("SNS::Topic", "SNS::Topic\n    Properties:\n      DisplayName:"),
            "'null' values are not allowed in templates",
        ),
        (
            "Resources:\n  Subnet:\n    Type: AWS::EC2::Subnet\n    Properties:\n"
            "      AvailabilityZone: AvailabilityZone: !Select [0, !GetAZs '']\n",
            "cloudformation.yaml is not valid YAML after rendering: mapping values are not allowed in this context",
        ),
        ("Outputs:\n  Text:\n    Value: text\n", "At least one Resources member must be defined."),
        (
            TEMPLATE.replace("text", "{{ service_instance.name }}"),
            "cloudformation.yaml line 6: a value is used that does not exist",
        ),
        (TEMPLATE.replace("text", "{{ environment.inputs.unknown }}"), "a value is used that does not exist"),
        (TEMPLATE.replace("text", "{{ environment.name | unknown }}"), "cloudformation.yaml line 6: "),
        (
            TEMPLATE.replace("text", "{% if environment.name %}"),
            "cloudformation.yaml: unexpected end of input, expected end of block",
        ),
    ],
    ids=["null", "no YAML", "no Resources", "undefined name", "undefined input", "unknown filter", "open block"],
)
def test_a_template_that_cannot_be_deployed_fails_the_deployment(trial, template, message):
    environment = trial.environment({STACK: template})
    assert environment["deploymentStatus"] == "FAILED"
    assert message in environment["deploymentStatusMessage"]


def test_a_pipeline_is_cancelled_when_an_instance_fails(trial):
    service = trial.service({"instance_infrastructure/cloudformation.yaml": "Outputs: {}\n"})
    instance = trial.instance(service["name"])
    assert (service["status"], instance["deploymentStatus"]) == ("CREATE_FAILED", "FAILED")
    assert "At least one Resources member must be defined." in instance["deploymentStatusMessage"]
    assert service["pipeline"]["deploymentStatus"] == "FAILED"
    assert service["pipeline"]["deploymentStatusMessage"] == (
        f"Service Instance(s): [{instance['arn']}] failed to deploy - canceling pipeline deployment"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ service_instance.name }}", "a value is used that does not exist"),
        ("{{ service_instances[0].outputs.Unknown }}", "a value is used that does not exist"),
        # What the instance gave out makes the text no YAML any more.
        ("{{ service_instances[0].outputs.Text }}: more", "cloudformation.yaml is not valid YAML after rendering"),
    ],
)
def test_a_pipeline_that_cannot_be_rendered_fails_alone(trial, text, message):
    pipeline = {"pipeline_infrastructure/cloudformation.yaml": TEMPLATE.replace("Value: text", f"Value: {text}")}
    service = trial.service(pipeline)
    assert trial.instance(service["name"])["deploymentStatus"] == "SUCCEEDED"
    assert service["pipeline"]["deploymentStatus"] == "FAILED"
    assert message in service["pipeline"]["deploymentStatusMessage"]
    assert service["status"] == "CREATE_FAILED"


@pytest.mark.parametrize(
    "properties",
    [
        "public: {type: boolean, default: public}",
        "word: {type: string, minLength: 12, default: ''}",
        "day: {type: string, format: date, default: today}",
    ],
)
def test_a_default_that_breaks_its_schema_fails_nothing_until_it_is_given(trial, properties):
    changes = {SCHEMA_FILE: schema(properties)}
    assert trial.environment(changes)["deploymentStatus"] == "SUCCEEDED"
    name, default = properties.split(":")[0], properties.split("default: ")[1].rstrip("}")
    spec = f"proton: EnvironmentSpec\nspec: {{{name}: {default}}}\n"
    message = refusal(trial.environment, changes=changes, spec=spec)
    assert f"spec.{name} must " in message


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "service",
            {SCHEMA_FILE: SCHEMA.replace('  pipeline_input_type: "In"\n', "")},
            "Service template schema is not valid: Missing property [pipelineInputType]",
        ),
        (
            "service",
            {SCHEMA_FILE: SCHEMA.replace('  service_input_type: "In"\n', "")},
            "Service template schema is not valid: Missing property [serviceInputType]",
        ),
        (
            "environment",
            {SCHEMA_FILE: SCHEMA.replace('  environment_input_type: "In"\n', "")},
            "Environment template schema is not valid: Missing property [environmentInputType]",
        ),
        ("environment", {SCHEMA_FILE: None}, "the bundle holds no schema/schema.yaml"),
        (
            "environment",
            {STACK: None},
            'infrastructure/manifest.yaml names "cloudformation.yaml", which is not in infrastructure/',
        ),
        ("environment", {"infrastructure/manifest.yaml": None}, "infrastructure/manifest.yaml is missing"),
        (
            "environment",
            {
                "infrastructure/manifest.yaml": MANIFEST.replace(
                    "rendering_engine: jinja\n      template_language: cloudformation", "engine: jinja"
                )
            },
            "engine is the preview format",
        ),
        (
            "environment",
            {"infrastructure/manifest.yaml": MANIFEST + MANIFEST.split("templates:\n")[1]},
            "infrastructure.templates has 2 entries, exactly one is allowed",
        ),
        (
            "environment",
            {"infrastructure/manifest.yaml": MANIFEST + "  - file: b\n"},
            "infrastructure/manifest.yaml is not valid YAML",
        ),
        (
            "environment",
            {"infrastructure/manifest.yaml": MANIFEST.replace("jinja", "hcl")},
            "is unknown; it is either jinja with",
        ),
        (
            "environment",
            {"infrastructure/manifest.yaml": MANIFEST.replace("cloudformation.yaml", "../schema/schema.yaml")},
            "file must name a file inside this folder",
        ),
        (
            "environment",
            {"infrastructure/manifest.yaml": CODEBUILD.replace("        provision: [make]\n", "")},
            "settings.provision is missing",
        ),
        (
            "environment",
            {"infrastructure/manifest.yaml": "infrastructure: {{ environment.name }}\n"},
            "put Jinja expressions in quotes",
        ),
        (
            "environment",
            {SCHEMA_FILE: SCHEMA.replace("type: object", "type: objekt")},
            "schema/schema.yaml line 9: types.In.type must be string, number,",
        ),
        (
            "service",
            {"instance_infrastructure/manifest.yaml": None, "instance_infrastructure/cloudformation.yaml": None},
            "instance_infrastructure/manifest.yaml is missing",
        ),
    ],
)
def test_a_bundle_that_is_not_complete_does_not_register(trial, kind, changes, message):
    version = trial.registered(kind, changes)
    assert version["status"] == "REGISTRATION_FAILED"
    assert message in version["statusMessage"]


def test_links_beside_the_templates_are_refused_and_named(trial):
    link = tarfile.TarInfo("infrastructure/Makefile")
    link.type, link.linkname = tarfile.SYMTYPE, "../../../../scripts/Makefile"
    version = trial.registered("environment", archive=bundle("environment", members=[link]))
    assert version["status"] == "REGISTRATION_FAILED"
    assert (
        version["statusMessage"]
        == 'the bundle holds "infrastructure/Makefile", a symbolic link; only regular files are allowed'
    )


def test_what_the_customer_manages_has_no_infrastructure(trial):
    version = trial.registered("environment", provisioning="CUSTOMER_MANAGED")
    assert version["status"] == "REGISTRATION_FAILED"
    assert version["statusMessage"].startswith("infrastructure/ must not be in this bundle")
    version = trial.registered("service", pipelineProvisioning="CUSTOMER_MANAGED")
    assert version["status"] == "REGISTRATION_FAILED"
    assert version["statusMessage"].startswith("pipeline_infrastructure/ must not be in this bundle")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("text: {type: string}\nsize: {type: number}", None),
        ("text: {type: number}", "environment.text"),
        ("size: {type: number}", "environment.text"),
        ("text: {type: string}\nsize: {type: number}\n", "environment.size"),
    ],
    ids=["more", "another type", "one gone", "one required"],
)
def test_a_minor_version_must_take_the_specs_of_the_one_before(trial, properties, message):
    name = trial.template("environment")["templateName"]
    changed = schema(properties)
    if message == "environment.size":
        changed = changed.replace("      type: object\n", "      type: object\n      required: [size]\n")
    version = trial.world.register("environment", name, bundle("environment", {SCHEMA_FILE: changed}), majorVersion="1")
    if message is None:
        assert (version["status"], version["minorVersion"]) == ("DRAFT", "1")
    else:
        assert version["status"] == "REGISTRATION_FAILED"
        assert "is not backward compatible with the minor version before" in version["statusMessage"]
        assert message in version["statusMessage"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("proton: ServiceSpec\ninstances: {}\n", MALFORMED),
        ("proton: ServiceSpec\ninstances: {dev: {}}\n", MALFORMED),
        ("proton: ServiceSpec\npipeline: {}\n", MALFORMED),
        ("proton: EnvironmentSpec\nspec: {}\n", MALFORMED),
        ("proton: ServiceSpec\ninstances:\n- name: dev\n environment: e\n", MALFORMED),
        ("instances: [{name: dev, environment: e}]\n", MALFORMED),
        ("proton: ServiceSpec\ninstances: [{name: dev, environment: e}, {name: dev, environment: e}]\n", "is listed twice"),
        ("proton: ServiceSpec\ninstances: [{name: dev}]\n", 'instance "dev" has no environment'),
        ("proton: ServiceSpec\ninstances: [{name: dev, environment: e, inputs: {}}]\n", '"inputs"'),
        ("proton: ServiceSpec\ninstances: [{name: dev, name: b, environment: e}]\n", MALFORMED),
        ("just text\n", MALFORMED),
        ("", "spec"),
    ],
)
def test_a_malformed_service_spec_is_refused_in_protons_words(trial, spec, message):
    template = trial.template("service")
    told = refusal(trial.client.create_service, name=trial.fresh("refused"), **template, spec=spec, **SOURCE_CODE)
    assert message in told


@pytest.mark.parametrize(
    ("properties", "inputs", "message"),
    [
        ("day: {type: string, format: date}", "{day: tomorrow}", "environment: spec.day must be a date such as 2024-02-29"),
        ("day: {type: string, format: date}", "{day: 2023-02-29}", "spec.day must be a date"),
        ("id: {type: string, format: uuid}", "{id: 1-2-3}", "spec.id must be a UUID"),
        ("port: {type: number}", "{port: '80'}", "spec.port must be a number, not a string"),
        ("size: {type: string, enum: [small, large]}", "{size: medium}", 'spec.size must be one of "small", "large"'),
        ("cidr: {type: string, pattern: '^10[.]'}", "{cidr: 192.168.0.0/16}", "spec.cidr must match the pattern"),
        ("n: {type: number, maximum: 5, exclusiveMaximum: true}", "{n: 5}", "spec.n must be less than 5"),
        ("text: {type: string}", "{text: '${Proton::CURRENT_VAL}'}", "spec.text has no current value to keep"),
        ("n: {type: number}", "[1]", "must be a mapping of inputs"),
    ],
)
def test_inputs_that_break_the_schema_are_refused_by_name(trial, properties, inputs, message):
    changes = {SCHEMA_FILE: schema(properties)}
    told = refusal(trial.environment, changes=changes, spec=f"proton: EnvironmentSpec\nspec: {inputs}\n")
    assert message in told


def test_a_date_may_be_written_without_quotes(trial):
    changes = {SCHEMA_FILE: schema("day: {type: string, format: date}")}
    environment = trial.environment(changes, "proton: EnvironmentSpec\nspec: {day: 2024-02-29}\n")
    assert environment["deploymentStatus"] == "SUCCEEDED"
