use super::*;

fn read(text: &str) -> Manifest {
    Manifest::read("infrastructure/manifest.yaml", text).unwrap()
}

fn refused(text: &str) -> String {
    Manifest::read("infrastructure/manifest.yaml", text)
        .unwrap_err()
        .message()
        .to_owned()
}

fn entry(lines: &str) -> String {
    format!(
        "infrastructure:\n  templates:\n    - {}\n",
        lines.trim().replace('\n', "\n      ")
    )
}

fn codebuild(settings: &str) -> CodeBuild {
    let text = entry(&format!(
        "rendering_engine: codebuild\nsettings:\n  {}",
        settings.trim().replace('\n', "\n  ")
    ));
    match read(&text) {
        Manifest::CodeBuild(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

const CLOUDFORMATION: &str =
    "file: \"cloudformation.yaml\"\nrendering_engine: jinja\ntemplate_language: cloudformation";

#[test]
fn the_three_engines_are_read() {
    assert_eq!(
        read(&entry(CLOUDFORMATION)),
        Manifest::CloudFormation {
            file: "cloudformation.yaml".to_owned()
        }
    );
    let terraform = "file: \"*\"\nrendering_engine: hcl\ntemplate_language: terraform";
    assert_eq!(
        read(&entry(terraform)),
        Manifest::Terraform {
            files: TerraformFiles::All
        }
    );
    let one = terraform.replace('*', "main.tf");
    assert_eq!(
        read(&entry(&one)),
        Manifest::Terraform {
            files: TerraformFiles::One("main.tf".to_owned())
        }
    );
    let build = codebuild("provision: [make]\ndeprovision: [make destroy]");
    assert_eq!(
        (build.provision, build.deprovision),
        (vec!["make".to_owned()], vec!["make destroy".to_owned()])
    );
}

#[test]
fn hand_written_forms_are_read() {
    let plain = read(&entry(CLOUDFORMATION));
    assert_eq!(read(&entry(CLOUDFORMATION).replace('\n', "\r\n")), plain);
    assert_eq!(
        read(&format!("---\n# a comment\n{}", entry(CLOUDFORMATION))),
        plain
    );
    let flow = "{infrastructure: {templates: [{file: ./cloudformation.yaml, rendering_engine: jinja, template_language: cloudformation}]}}";
    assert_eq!(read(flow), plain);
}

#[test]
fn any_other_triple_is_refused_with_the_legal_ones() {
    for (wrong, shown) in [
        (
            "file: a\nrendering_engine: jinja\ntemplate_language: terraform",
            "\"terraform\"",
        ),
        ("file: a\nrendering_engine: hcl", "no template_language"),
        (
            "file: a\nrendering_engine: mustache\ntemplate_language: cloudformation",
            "\"mustache\"",
        ),
        (
            "rendering_engine: codebuild\ntemplate_language: cloudformation\nsettings: {}",
            "\"codebuild\"",
        ),
    ] {
        let message = refused(&entry(wrong));
        assert!(
            message.contains(shown) && message.contains("hcl with template_language terraform"),
            "{message}"
        );
    }
}

#[test]
fn the_preview_format_is_explained() {
    let message = refused(&entry("file: cloudformation.yaml\nengine: jinja"));
    assert!(
        message.starts_with("infrastructure/manifest.yaml line 4: engine is the preview format"),
        "{message}"
    );
}

#[test]
fn exactly_one_entry_is_allowed() {
    assert!(refused("infrastructure:\n  templates: []\n").contains("has 0 entries"));
    let two = format!(
        "{}    - {}\n",
        entry(CLOUDFORMATION),
        CLOUDFORMATION.replace('\n', "\n      ")
    );
    assert!(refused(&two).contains("line 3: infrastructure.templates has 2 entries"));
}

#[test]
fn missing_levels_are_named() {
    for (text, says) in [
        ("", "infrastructure"),
        ("templates: []", "infrastructure"),
        (
            "infrastructure:\n  template: []",
            "infrastructure.templates is missing",
        ),
        ("infrastructure:\n  templates: {file: a}", "must be a list"),
        (
            "infrastructure:\n  templates: [x]",
            "rendering_engine is missing",
        ),
        (
            "infrastructure:\n  templates:\n    - rendering_engine: jinja\n      template_language: cloudformation",
            "file is missing",
        ),
    ] {
        let message = refused(text);
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn a_file_stays_inside_its_folder() {
    for name in [
        "../x.yaml",
        "/etc/passwd",
        "a/../../b",
        "\"\"",
        "a//b",
        "[a]",
    ] {
        refused(&entry(
            &CLOUDFORMATION.replace("\"cloudformation.yaml\"", name),
        ));
    }
    assert!(
        refused(&entry(&CLOUDFORMATION.replace("cloudformation.yaml", "*")))
            .contains("must name one file")
    );
    refused(&entry(
        "file: main.json\nrendering_engine: hcl\ntemplate_language: terraform",
    ));
}

#[test]
fn codebuild_settings_are_read_as_they_are_written() {
    let build = codebuild(
        "
image: aws/codebuild/amazonlinux2-x86_64-standard:4.0
runtimes: {golang: 1.20, nodejs: 16}
env:
  variables: {TF_VERSION: 1.3.9, DEBUG: yes, EMPTY: ''}
  secrets_manager: {TOKEN: 'proton/secret:Key'}
provision:
  - export IN=$(cat proton-inputs.json)
  - |
    for i in 1 2; do
      echo $i
    done
  - true
deprovision: []
input_type: hcl
project_properties:
  VpcConfig:
    VpcId: \"{{ environment.inputs.vpc }}\"
    Subnets: \"{{ environment.inputs.subnets }}\"
  TimeoutInMinutes: 20",
    );
    assert_eq!(build.runtimes["golang"], "1.20");
    assert_eq!(build.env.variables["TF_VERSION"], "1.3.9");
    assert_eq!(build.env.variables["DEBUG"], "yes");
    assert_eq!(build.env.secrets_manager["TOKEN"], "proton/secret:Key");
    assert_eq!(build.provision[1], "for i in 1 2; do\n  echo $i\ndone\n");
    assert_eq!(build.provision[2], "true");
    assert!(build.deprovision.is_empty());
    assert_eq!(build.input_type, InputType::Hcl);
    assert_eq!(
        build.project_properties["VpcConfig"]["VpcId"],
        "{{ environment.inputs.vpc }}"
    );
    assert_eq!(build.project_properties["TimeoutInMinutes"], 20);
}

#[test]
fn the_input_type_may_stand_beside_the_settings() {
    let beside = |value: &str, inside: &str| {
        entry(&format!(
            "rendering_engine: codebuild\ninput_type: {value}\nsettings: {{provision: [a], deprovision: [b]{inside}}}"
        ))
    };
    assert!(
        matches!(read(&beside("HCL", "")), Manifest::CodeBuild(build) if build.input_type == InputType::Hcl)
    );
    assert!(matches!(
        read(&beside("JSON", ", input_type: json")),
        Manifest::CodeBuild(_)
    ));
    assert!(refused(&beside("JSON", ", input_type: HCL")).contains("given twice, differently"));
    assert!(refused(&beside("XML", "")).contains("input_type is JSON or HCL"));
}

#[test]
fn wrong_codebuild_settings_are_explained() {
    let refused =
        |settings: &str| refused(&entry(&format!("rendering_engine: codebuild\n{settings}")));
    assert!(refused("").contains("settings is missing"));
    assert!(refused("settings: [a]").contains("settings must be a mapping"));
    assert!(refused("settings: {deprovision: [a]}").contains("settings.provision is missing"));
    assert!(
        refused("settings: {provision: make, deprovision: [a]}")
            .contains("must be a list of commands")
    );
    let mapping = refused("settings:\n  deprovision: [a]\n  provision:\n    - echo done: 1");
    assert!(
        mapping.contains("line 7") && mapping.contains("quote a command"),
        "{mapping}"
    );
    assert!(
        refused("settings: {provision: [a], deprovision: [b], env: {parameter_store: {}}}")
            .contains("parameter_store")
    );
    assert!(
        refused("settings: {provision: [a], deprovision: [b], runtimes: {go: [1]}}")
            .contains("settings.runtimes.go")
    );
}

#[test]
fn an_unquoted_expression_is_explained() {
    let message = refused(&entry(
        &CLOUDFORMATION.replace("\"cloudformation.yaml\"", "{{ x }}"),
    ));
    assert!(message.contains("quotes"), "{message}");
}

#[test]
fn selecting_takes_only_what_the_manifest_names() {
    let folder = [
        ("manifest.yaml", ""),
        ("a.tf", ""),
        ("b.tf", ""),
        ("sub/c.tf", ""),
        ("code.zip", ""),
        ("t.yaml", ""),
    ];
    let paths = |manifest: &Manifest| {
        let files = manifest
            .select("infrastructure", Files::from(folder))
            .unwrap();
        files.paths().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        paths(&Manifest::Terraform {
            files: TerraformFiles::All
        }),
        ["a.tf", "b.tf"]
    );
    assert_eq!(
        paths(&Manifest::CloudFormation {
            file: "t.yaml".to_owned()
        }),
        ["t.yaml"]
    );
    assert_eq!(
        paths(&Manifest::CodeBuild(Box::new(codebuild(
            "provision: [a]\ndeprovision: [b]"
        ))))
        .len(),
        6
    );

    let absent = Manifest::CloudFormation {
        file: "x.yaml".to_owned(),
    };
    let message = absent
        .select("infrastructure", Files::from(folder))
        .unwrap_err();
    assert!(message.message().contains("names \"x.yaml\""), "{message}");
    let none = Manifest::Terraform {
        files: TerraformFiles::All,
    }
    .select("infrastructure", Files::default());
    assert!(none.unwrap_err().message().contains("no *.tf file"));
}

#[test]
fn a_manifest_at_its_limit_is_read_quickly() {
    let limit = crate::control_plane::bundle::Limits::default().manifest_bytes;
    let head = entry("rendering_engine: codebuild\nsettings:\n  deprovision: []\n  provision:");
    for filler in [
        "          - a\n",
        "# comment\n",
        "          - [\n",
        "          - &a {a: *a}\n",
        "\"",
        "          - |\n",
    ] {
        let text = head.clone() + &filler.repeat((limit - head.len()) / filler.len());
        let start = std::time::Instant::now();
        let _ = Manifest::read("m", &text);
        assert!(
            start.elapsed() < std::time::Duration::from_secs(5),
            "{filler:?}: {:?}",
            start.elapsed()
        );
    }
}
