use serde_json::json;

use super::*;
use crate::control_plane::bundle::manifest::TerraformFiles;

const CLOUDFORMATION: &str = "template.yaml";

fn inputs(value: Value) -> Inputs {
    value.as_object().unwrap().clone()
}

fn outputs(entries: &[(&str, &str)]) -> Outputs {
    let entries = entries.iter();
    entries
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn environment_of() -> EnvironmentOf {
    EnvironmentOf {
        name: "prod".to_owned(),
        account_id: "111122223333".to_owned(),
        outputs: outputs(&[("VpcId", "vpc-1"), ("my-output", "o")]),
    }
}

fn service() -> ServiceOf {
    ServiceOf {
        name: "web".to_owned(),
        branch_name: "main".to_owned(),
        repository_id: "octo/web".to_owned(),
        repository_connection_arn:
            "arn:aws:codestar-connections:us-east-1:111122223333:connection/c".to_owned(),
    }
}

fn without_repository() -> ServiceOf {
    ServiceOf {
        name: "web".to_owned(),
        ..ServiceOf::default()
    }
}

fn environment() -> Namespace {
    Namespace::Environment(Environment {
        name: "prod".to_owned(),
        inputs: inputs(json!({
            "cidr": "10.0.0.0/16", "zones": 2, "nat": true, "ratio": 0.5, "large": 1e20, "subnets": ["a", "b"],
            "none": [], "options": { "x": 1 }, "empty": {}, "note": "é \"quoted\"\n\u{1f}${x}", "max-size": 3,
        })),
    })
}

fn instance(component: Option<ComponentOf>) -> Namespace {
    Namespace::ServiceInstance(ServiceInstance {
        environment: environment_of(),
        service: without_repository(),
        name: "dev".to_owned(),
        inputs: inputs(json!({ "port": 80, "public": false })),
        component,
    })
}

fn component_of() -> ComponentOf {
    ComponentOf {
        name: "bucket".to_owned(),
        outputs: outputs(&[
            ("BucketName", "b-1"),
            ("Policy", "arn:aws:iam::111122223333:policy/p"),
        ]),
    }
}

fn pipeline() -> Namespace {
    let instance = |name: &str, port: u16| PipelineInstance {
        name: name.to_owned(),
        inputs: inputs(json!({ "port": port })),
        outputs: outputs(&[("Url", name)]),
        environment: environment_of(),
    };
    Namespace::Pipeline(Pipeline {
        service: service(),
        inputs: inputs(json!({ "dir": "." })),
        instances: vec![instance("dev", 80), instance("prod", 443)],
    })
}

fn component(attached: bool) -> Namespace {
    Namespace::Component(Component {
        name: "bucket".to_owned(),
        environment: environment_of(),
        attached: attached.then(|| Attachment {
            service: service(),
            instance_name: "dev".to_owned(),
            inputs: inputs(json!({ "port": 80 })),
        }),
    })
}

fn arn(resource: &str) -> String {
    format!("arn:aws:proton:us-east-1:111122223333:{resource}")
}

fn origin(namespace: &Namespace) -> Origin {
    let (resource, template) = match namespace {
        Namespace::Environment(_) => ("environment/prod", Some("environment-template/vpc")),
        Namespace::ServiceInstance(_) => (
            "service/web/service-instance/dev",
            Some("service-template/web"),
        ),
        Namespace::Pipeline(_) => ("service/web/pipeline", Some("service-template/web")),
        Namespace::Component(_) => ("component/bucket", None),
    };
    let attached =
        matches!(namespace, Namespace::Component(component) if component.attached.is_some());
    let in_environment = matches!(
        namespace,
        Namespace::ServiceInstance(_) | Namespace::Component(_)
    );
    Origin {
        arn: arn(resource),
        deployment_id: "7f6d9a3c-0000-4000-8000-000000000001".to_owned(),
        template: template.map(|template| TemplateVersion {
            arn: arn(template),
            major: "1".to_owned(),
            minor: "2".to_owned(),
        }),
        environment_arn: in_environment.then(|| arn("environment/prod")),
        service_arn: attached.then(|| arn("service/web")),
        service_instance_arn: attached.then(|| arn("service/web/service-instance/dev")),
        tags: vec![
            ("proton:account".to_owned(), "111122223333".to_owned()),
            ("proton:environment".to_owned(), arn("environment/prod")),
        ],
    }
}

fn rendered(
    manifest: &Manifest,
    files: &Files,
    namespace: &Namespace,
) -> Result<Rendering, String> {
    render(
        manifest,
        files,
        namespace,
        &origin(namespace),
        &Limits::default(),
    )
    .map_err(|error| error.to_string())
}

/// All files, one after the other.
fn shown(rendering: &Rendering) -> String {
    let files = rendering.files.iter();
    let text = |file: &File| String::from_utf8(file.contents.to_vec()).unwrap();
    files
        .map(|(path, file)| format!("==> {path} <==\n{}\n", text(file)))
        .collect()
}

fn terraform(namespace: &Namespace) -> Rendering {
    let manifest = Manifest::Terraform {
        files: TerraformFiles::All,
    };
    let files = Files::from([("main.tf", "# {{ not.rendered }}\r\nlocals {}\r\n")]);
    rendered(&manifest, &files, namespace).unwrap()
}

fn cloudformation(template: &str, namespace: &Namespace) -> Result<String, String> {
    let manifest = Manifest::CloudFormation {
        file: CLOUDFORMATION.to_owned(),
    };
    let files = Files::from([(CLOUDFORMATION, template)]);
    let rendering = rendered(&manifest, &files, namespace)?;
    assert_eq!(rendering.files.len(), 1);
    let file = rendering.files.get(CLOUDFORMATION).unwrap();
    Ok(String::from_utf8(file.contents.to_vec()).unwrap())
}

fn codebuild(settings: &str) -> Manifest {
    let settings = settings.replace('\n', "\n        ");
    let text = format!(
        "infrastructure:\n  templates:\n    - rendering_engine: codebuild\n      settings:\n        {settings}\n"
    );
    Manifest::read("manifest.yaml", &text).unwrap()
}

#[test]
fn terraform_folders_look_as_proton_writes_them() {
    insta::assert_snapshot!("terraform_environment", shown(&terraform(&environment())));
    insta::assert_snapshot!("terraform_instance", shown(&terraform(&instance(None))));
    insta::assert_snapshot!(
        "terraform_instance_with_component",
        shown(&terraform(&instance(Some(component_of()))))
    );
    insta::assert_snapshot!("terraform_pipeline", shown(&terraform(&pipeline())));
    insta::assert_snapshot!("terraform_component", shown(&terraform(&component(true))));
    insta::assert_snapshot!(
        "terraform_detached_component",
        shown(&terraform(&component(false)))
    );
}

#[test]
fn a_deleted_terraform_folder_says_so() {
    insta::assert_snapshot!(
        "terraform_deleted",
        shown(&deleted(&terraform(&instance(None))))
    );
}

#[test]
fn deleting_a_folder_twice_changes_nothing() {
    let once = deleted(&terraform(&environment()));
    assert_eq!(deleted(&once), once);
}

#[test]
fn without_tags_terraform_gets_none() {
    let namespace = environment();
    let origin = Origin {
        tags: Vec::new(),
        ..origin(&namespace)
    };
    let manifest = Manifest::Terraform {
        files: TerraformFiles::All,
    };
    let rendering = render(
        &manifest,
        &Files::default(),
        &namespace,
        &origin,
        &Limits::default(),
    )
    .unwrap();
    let text = shown(&rendering);
    assert!(!text.contains("\"proton_tags\" :"));
    assert!(
        text.contains("variable \"proton_tags\""),
        "the declaration stays"
    );
}

#[test]
fn generated_files_win_over_an_authors_of_the_same_name() {
    let manifest = Manifest::Terraform {
        files: TerraformFiles::All,
    };
    let files = Files::from([
        ("proton.environment.variables.tf", "mine"),
        ("bom.tf", "\u{feff}x"),
    ]);
    let rendering = rendered(&manifest, &files, &environment()).unwrap();
    let text = shown(&rendering);
    assert!(!text.contains("mine"));
    assert!(
        text.contains("*/\n\nx\n"),
        "a byte order mark behind the comment would be garbage"
    );
}

#[test]
fn templates_change_in_their_expressions_only() {
    let template = "Resources:\r\n  # 'kept'   \r\n  A:\r\n    Mode: 0755\r\n    Date: 2012-10-17\r\n    Ref: !Ref {{ environment.name }}\r\n";
    let text = "Resources:\r\n  # 'kept'   \r\n  A:\r\n    Mode: 0755\r\n    Date: 2012-10-17\r\n    Ref: !Ref prod";
    assert_eq!(cloudformation(template, &environment()).unwrap(), text);
}

#[test]
fn each_kind_of_resource_sees_its_names() {
    let sees = |namespace: &Namespace, expression: &str| {
        let text = cloudformation(&format!("v: '{{{{ {expression} }}}}'\n"), namespace);
        text.map(|text| text["v: '".len()..text.len() - 1].to_owned())
    };
    let fine = |namespace: &Namespace, expressions: &[(&str, &str)]| {
        for (expression, value) in expressions {
            assert_eq!(
                sees(namespace, expression).as_deref(),
                Ok(*value),
                "{expression}"
            );
        }
    };
    fine(
        &environment(),
        &[
            ("environment.name", "prod"),
            ("environment.inputs.zones", "2"),
            ("environment.inputs.nat", "True"),
            ("environment.inputs.large", "1e+20"),
            ("environment.inputs.max-size", "3"),
            ("environment.inputs.subnets|join", "ab"),
        ],
    );
    fine(
        &instance(None),
        &[
            ("environment.account_id", "111122223333"),
            ("environment.outputs.VpcId", "vpc-1"),
            ("environment.outputs.my-output", "o"),
            ("service_instance.environment.outputs.VpcId", "vpc-1"),
            ("service_instance.environment.name", "prod"),
            ("service.name", "web"),
            ("service.branch_name", ""),
            ("service_instance.name", "dev"),
            ("service_instance.inputs.public", "False"),
            ("service_instance.components.default", "{}"),
            ("service_instance.components.default.outputs", "{}"),
            ("service_instance.components.default.outputs|length", "0"),
            (
                "service_instance.components.default.outputs|proton_cfn_iam_policy_arns",
                "",
            ),
            ("service_instance.components.default.outputs.X|default", ""),
            ("'y' if service_instance.components.default else 'n'", "n"),
        ],
    );
    fine(
        &instance(Some(component_of())),
        &[
            ("service_instance.components.default.name", "bucket"),
            (
                "service_instance.components.default.outputs.BucketName",
                "b-1",
            ),
            ("service_instance.components.default.outputs|length", "2"),
            ("'y' if service_instance.components.default else 'n'", "y"),
        ],
    );
    fine(
        &pipeline(),
        &[
            ("pipeline.inputs.dir", "."),
            ("service.branch_name", "main"),
            ("service_instances|map(attribute=\"name\")|join", "devprod"),
            ("service_instances[1].inputs.port", "443"),
            ("service_instances[0].outputs.Url", "dev"),
            ("service_instances[0].environment.outputs.my-output", "o"),
        ],
    );
    fine(
        &component(true),
        &[
            ("component.name", "bucket"),
            ("environment.name", "prod"),
            ("environment.account_id", "111122223333"),
            ("environment.outputs.VpcId", "vpc-1"),
            ("service.name", "web"),
            ("service.repository_id", "octo/web"),
            ("service_instance.name", "dev"),
            ("service_instance.inputs.port", "80"),
        ],
    );
    fine(
        &component(false),
        &[
            ("component.name", "bucket"),
            ("environment.outputs.VpcId", "vpc-1"),
        ],
    );
    for (namespace, expression) in [
        (environment(), "environment.account_id"),
        (environment(), "environment.outputs"),
        (environment(), "service.name"),
        (instance(None), "environment.inputs"),
        (instance(None), "service_instance.components.default.name"),
        (
            instance(None),
            "service_instance.components.default.outputs.X",
        ),
        (instance(None), "pipeline"),
        (pipeline(), "service_instance.name"),
        (component(false), "service.name"),
        (component(false), "service_instance.name"),
    ] {
        let message = sees(&namespace, expression).unwrap_err();
        assert!(
            message.contains("template.yaml line 1: a value is used that does not exist"),
            "{message}"
        );
    }
}

#[test]
fn what_renders_to_no_yaml_fails_with_the_line() {
    let fails = |template: &str| cloudformation(template, &environment()).unwrap_err();
    let message = fails("A: 1\nB: C: {{ environment.name }}\n");
    assert!(
        message.starts_with("template.yaml is not valid YAML after rendering: ")
            && message.contains("line 2"),
        "{message}"
    );
    for template in [
        "just text",
        "- a\n- b\n",
        "a: [1\n",
        "a: 'x\n",
        "a: 1\n---\nb: 2\n",
        "a:\n\t- b\n",
    ] {
        assert!(fails(template).contains("not valid YAML"), "{template:?}");
    }
    for bomb in [
        format!("a: {}", "[".repeat(100_000)),
        "- ".repeat(100_000),
        "? ".repeat(50_000),
        "{\"a\":".repeat(100_000),
    ] {
        assert!(fails(&bomb).len() < 1100);
    }
}

#[test]
fn the_yaml_of_cloudformation_is_yaml() {
    for template in [
        "A: !Ref B\nC: !GetAtt A.B\nD: !GetAtt [A, B]\nE: !Sub |\n  ${A}\nF: !If [x, !Ref 'AWS::NoValue', !Join ['', []]]\n",
        "A: !Base64\n  Fn::Sub: x\nB: !Select [0, !GetAZs '']\nC: !Ref >\n  X\nD: !Cidr [!GetAtt V.C, 6, 5]\n",
        "A: null\nB:\nC: ~\n",
        "A: >-\n  {\"x\": \"y\"}\nB: Yes\nC: 2012-10-17\n",
        "{\n\t\"A\": {\"Ref\": \"B\"}\n}",
        "{\"A\": 1}",
        "# only\n---\nA: 1\n",
        "A: &x 1\nB: *x\n",
    ] {
        assert_eq!(
            cloudformation(template, &environment()).map(drop),
            Ok(()),
            "{template}"
        );
    }
}

#[test]
fn checking_yaml_fits_the_stack_of_a_worker_thread() {
    let lists = format!("a: {}{}", "[".repeat(39), "]".repeat(39));
    let check = move || cloudformation(&lists, &environment()).map(drop);
    let thread = std::thread::Builder::new().stack_size(1536 * 1024);
    thread.spawn(check).unwrap().join().unwrap().unwrap();
}

#[test]
fn builds_get_the_folder_the_inputs_and_their_settings() {
    let manifest = codebuild(
        "image: img\nruntimes: {nodejs: 16}\nenv:\n  variables: {A: b, RESOURCE_ARN: mine}\n  secrets_manager: {T: s}\n\
         provision: [\"echo {{ kept }}\"]\ndeprovision: [rm]\nproject_properties:\n  VpcConfig:\n    \
         VpcId: \"{{ environment.inputs.cidr }}\"\n    Subnets: \"{{ environment.inputs.subnets }}\"\n    \
         Name: \"x-{{ environment.name }}\"\n  TimeoutInMinutes: 20\n  Count: \"{{ environment.inputs.zones }}\"",
    );
    let files = Files::from([
        ("manifest.yaml", "m"),
        ("run.sh", "{{ kept }}"),
        ("proton-inputs.json", "sample"),
    ]);
    let rendering = rendered(&manifest, &files, &environment()).unwrap();
    insta::assert_snapshot!("codebuild_files", shown(&rendering));
    let build = rendering.build.as_ref().unwrap();
    insta::assert_snapshot!(
        "codebuild_build",
        serde_json::to_string_pretty(build).unwrap()
    );
}

#[test]
fn inputs_of_builds_name_no_components_and_no_tags() {
    let manifest = codebuild("provision: []\ndeprovision: []");
    let rendering = rendered(
        &manifest,
        &Files::default(),
        &instance(Some(component_of())),
    )
    .unwrap();
    insta::assert_snapshot!("codebuild_instance", shown(&rendering));
}

#[test]
fn builds_of_pipelines_are_told_of_every_instance() {
    let manifest = codebuild("provision: []\ndeprovision: []");
    let rendering = rendered(&manifest, &Files::default(), &pipeline()).unwrap();
    insta::assert_snapshot!("codebuild_pipeline", shown(&rendering));
}

#[test]
fn builds_may_ask_for_their_inputs_as_hcl() {
    let manifest = codebuild("provision: []\ndeprovision: []\ninput_type: HCL");
    let rendering = rendered(&manifest, &Files::default(), &environment()).unwrap();
    insta::assert_snapshot!("codebuild_hcl", shown(&rendering));
}

#[test]
fn a_property_that_cannot_be_rendered_fails_the_build() {
    let manifest = codebuild(
        "provision: []\ndeprovision: []\nproject_properties:\n  A: [{B: \"{{ nope }}\"}]",
    );
    let message = rendered(&manifest, &Files::default(), &environment()).unwrap_err();
    assert_eq!(
        message,
        "manifest.yaml line 1: a value is used that does not exist, in {{ nope }}"
    );
}

#[test]
fn a_packed_rendering_is_read_back() {
    let manifest = codebuild("provision: [a]\ndeprovision: []\nproject_properties: {A: 1.5}");
    let mut files: Vec<_> = Files::from([("a/b.sh", "x"), ("rendering.json", "mine")])
        .iter()
        .map(|(path, file)| (path.to_owned(), file.clone()))
        .collect();
    files[0].1.executable = true;
    let build = rendered(&manifest, &files.into_iter().collect(), &environment()).unwrap();
    let stack = Rendering {
        method: Method::CloudFormation,
        files: Files::from([("t.yaml", "a: é")]),
        build: None,
    };
    for rendering in [build, stack, terraform(&pipeline())] {
        let packed = rendering.pack();
        assert_eq!(Rendering::unpack(&packed).unwrap(), rendering);
        assert_eq!(rendering.pack(), packed);
    }
    assert!(Rendering::unpack(b"x").is_err());
    let bundle = crate::control_plane::bundle::archive::pack(&Files::from([("a", "b")]));
    assert_eq!(
        Rendering::unpack(&bundle).unwrap_err().message(),
        "these bytes are no rendering"
    );
}

#[test]
fn only_terraform_has_a_form_for_deletion() {
    let manifest = codebuild("provision: [a]\ndeprovision: []");
    let rendering = rendered(&manifest, &Files::default(), &environment()).unwrap();
    assert_eq!(deleted(&rendering), rendering);
}

#[test]
fn components_bring_their_code_with_them() {
    let manifest = |engine: &str, language: &str, file: &str| {
        format!(
            "infrastructure:\n  templates:\n    - file: \"{file}\"\n      rendering_engine: {engine}\n      template_language: {language}\n"
        )
    };
    let (part, files) = component_part(
        &manifest("jinja", "cloudformation", "c.yaml"),
        "Name: {{ component.name }}\n",
    )
    .unwrap();
    let rendering = rendered(&part, &files, &component(false)).unwrap();
    assert_eq!(shown(&rendering), "==> c.yaml <==\nName: bucket\n");

    for (written, name) in [("main.tf", "main.tf"), ("*", "component.tf")] {
        let (part, files) = component_part(&manifest("hcl", "terraform", written), "x").unwrap();
        let rendering = rendered(&part, &files, &component(false)).unwrap();
        assert!(rendering.files.get(name).is_some());
    }
    let build = "infrastructure:\n  templates:\n    - rendering_engine: codebuild\n      settings: {provision: [], deprovision: []}\n";
    assert!(
        component_part(build, "x")
            .unwrap_err()
            .message()
            .contains("not with CodeBuild")
    );
    assert!(
        component_part("nonsense", "x")
            .unwrap_err()
            .message()
            .starts_with("manifest")
    );
}
