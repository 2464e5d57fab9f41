//! Whole bundles, laid out and written as authors do.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const ENVIRONMENT: TemplateKind = TemplateKind::Environment {
    customer_managed: false,
};
const SERVICE: TemplateKind = TemplateKind::Service {
    customer_managed_pipeline: false,
};
const SERVICE_ALONE: TemplateKind = TemplateKind::Service {
    customer_managed_pipeline: true,
};

const CLOUDFORMATION: &str = "infrastructure:\n  templates:\n    - file: \"cloudformation.yaml\"\n      rendering_engine: jinja\n      template_language: cloudformation\n";
const TERRAFORM: &str = "infrastructure:\n  templates:\n    - file: \"*\"\n      rendering_engine: hcl\n      template_language: terraform\n";
const CODEBUILD: &str = "infrastructure:\n  templates:\n    - rendering_engine: codebuild\n      settings:\n        image: img\n        \
                         runtimes: {nodejs: 16}\n        provision: [./deploy.sh]\n        deprovision: [./destroy.sh]\n";
/// Not YAML before it is rendered, as many templates are.
const TEMPLATE: &str = "AWSTemplateFormatVersion: 2010-09-09\r\nResources:\n{%- for i in [1] %}\n  R{{ i }}: {{ x }}: y\n{%- endfor %}\n";

fn schema(inputs: &[&str]) -> String {
    let head: String = inputs
        .iter()
        .map(|input| format!("  {input}_input_type: \"In\"\n"))
        .collect();
    format!(
        "schema:\n  format:\n    openapi: \"3.0.0\"\n{head}  types:\n    In:\n      type: object\n      description: \"größe\"\n      properties:\n        \
         size:\n          type: string\n          default: small\n"
    )
}

fn files<S: AsRef<str>>(files: &[(&str, S)]) -> Files {
    let mut all = Files::default();
    for (path, text) in files {
        let contents = Bytes::copy_from_slice(text.as_ref().as_bytes());
        all.insert(
            (*path).to_owned(),
            File {
                contents,
                executable: false,
            },
        )
        .unwrap();
    }
    all
}

fn environment_files(prefix: &str, manifest: &str) -> Vec<(String, String)> {
    [
        ("schema/schema.yaml", schema(&["environment"]).as_str()),
        ("infrastructure/manifest.yaml", manifest),
        ("infrastructure/cloudformation.yaml", TEMPLATE),
        ("infrastructure/main.tf", "resource {}"),
        ("infrastructure/modules/net/main.tf", "resource {}"),
        ("infrastructure/lambda.zip", "PK"),
    ]
    .map(|(path, text)| (format!("{prefix}{path}"), text.to_owned()))
    .to_vec()
}

fn checked(kind: TemplateKind, all: &[(String, String)]) -> Result<Bundle, Problem> {
    let all: Vec<_> = all
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    check(kind, &archive::pack(&files(&all)), &Limits::default())
}

fn paths(bundle: &Bundle, kind: PartKind) -> Vec<String> {
    bundle
        .part(kind)
        .unwrap()
        .files
        .paths()
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_packaging_in_use_is_read() {
    for prefix in ["", "v1/", "environment/", "my-template/v1/"] {
        let mut all = environment_files(prefix, CLOUDFORMATION);
        for sibling in [
            "README.md",
            "Makefile",
            "spec/spec.yaml",
            ".compatible-envs",
            "tests/schema.yaml",
        ] {
            all.push((format!("{prefix}{sibling}"), "{{ no yaml".to_owned()));
        }
        let bundle =
            checked(ENVIRONMENT, &all).unwrap_or_else(|problem| panic!("{prefix}: {problem}"));
        assert_eq!(
            paths(&bundle, PartKind::Environment),
            ["cloudformation.yaml"]
        );
    }
}

#[test]
fn each_engine_gets_its_files() {
    let files_of = |manifest| {
        paths(
            &checked(ENVIRONMENT, &environment_files("v1/", manifest)).unwrap(),
            PartKind::Environment,
        )
    };
    assert_eq!(files_of(CLOUDFORMATION), ["cloudformation.yaml"]);
    assert_eq!(files_of(TERRAFORM), ["main.tf"]);
    assert_eq!(
        files_of(CODEBUILD),
        [
            "cloudformation.yaml",
            "lambda.zip",
            "main.tf",
            "manifest.yaml",
            "modules/net/main.tf"
        ]
    );
}

#[test]
fn a_service_may_mix_engines_and_leave_out_the_pipeline() {
    let mut all = vec![
        (
            "schema/schema.yaml".to_owned(),
            schema(&["service", "pipeline"]),
        ),
        (
            "instance_infrastructure/manifest.yaml".to_owned(),
            CLOUDFORMATION.replace('\n', "\r\n"),
        ),
        (
            "instance_infrastructure/cloudformation.yaml".to_owned(),
            TEMPLATE.to_owned(),
        ),
    ];
    let alone = checked(SERVICE_ALONE, &all).unwrap();
    assert!(alone.part(PartKind::Pipeline).is_none());
    assert!(alone.schema.input(PartKind::Pipeline).is_none());
    let message = checked(SERVICE, &all).unwrap_err();
    assert!(
        message
            .message()
            .starts_with("pipeline_infrastructure/manifest.yaml is missing"),
        "{message}"
    );

    all.push((
        "pipeline_infrastructure/manifest.yaml".to_owned(),
        CODEBUILD.to_owned(),
    ));
    let both = checked(SERVICE, &all).unwrap();
    assert!(matches!(
        both.part(PartKind::Pipeline).unwrap().manifest,
        Manifest::CodeBuild(_)
    ));
    assert!(both.schema.input(PartKind::Pipeline).is_some());
    assert!(checked(SERVICE_ALONE, &all).is_err());
}

#[test]
fn a_customer_managed_environment_is_a_schema_and_nothing_else() {
    let kind = TemplateKind::Environment {
        customer_managed: true,
    };
    let text = schema(&["environment"]).replace("          default: small\n", "");
    let mut all = vec![("schema/schema.yaml".to_owned(), text)];
    assert!(checked(kind, &all).unwrap().parts.is_empty());
    all.push((
        "infrastructure/manifest.yaml".to_owned(),
        CLOUDFORMATION.to_owned(),
    ));
    assert!(
        checked(kind, &all)
            .unwrap_err()
            .message()
            .starts_with("infrastructure/ must not be in this bundle")
    );
}

#[test]
fn only_what_a_manifest_names_counts_against_the_quotas() {
    let limits = Limits {
        template_bytes: 500,
        ..Limits::default()
    };
    let check = |path: &str, text: &str, manifest| {
        let mut all = environment_files("", manifest);
        all.retain(|(known, _)| known != path);
        all.push((path.to_owned(), text.to_owned()));
        let all: Vec<_> = all
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        check_files(ENVIRONMENT, &files(&all), &limits)
    };
    let large = "x".repeat(501);
    check("infrastructure/package-lock.json", &large, CLOUDFORMATION).unwrap();
    check("infrastructure/package-lock.json", &large, CODEBUILD).unwrap();
    check("infrastructure/modules/net/main.tf", &large, TERRAFORM).unwrap();
    assert!(
        check("infrastructure/main.tf", &large, TERRAFORM)
            .unwrap_err()
            .message()
            .contains("501 bytes, the limit is 500")
    );
    assert!(check("infrastructure/cloudformation.yaml", &large, CLOUDFORMATION).is_err());
}

#[test]
fn codebuild_bundles_have_a_limit_on_files() {
    let limits = Limits {
        codebuild_files: 4,
        ..Limits::default()
    };
    let all = environment_files("", CODEBUILD);
    let all: Vec<_> = all
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let message = check_files(ENVIRONMENT, &files(&all), &limits).unwrap_err();
    assert_eq!(
        message.message(),
        "the parts that CodeBuild provisions hold 5 files, the limit is 4"
    );
}

#[test]
fn manifests_and_schemas_have_limits() {
    let all = environment_files("", CLOUDFORMATION);
    let all: Vec<_> = all
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let refused = |limits: Limits| {
        check_files(ENVIRONMENT, &files(&all), &limits)
            .unwrap_err()
            .message()
            .to_owned()
    };
    assert!(
        refused(Limits {
            manifest_bytes: 20,
            ..Limits::default()
        })
        .starts_with("infrastructure/manifest.yaml has")
    );
    assert!(
        refused(Limits {
            schema_bytes: 20,
            ..Limits::default()
        })
        .contains("schema/schema.yaml has")
    );
}

#[test]
fn the_first_thing_wrong_is_reported_in_the_order_of_registration() {
    let mut all = environment_files("", "infrastructure: {{ }}");
    all[0].1 = "not a schema".to_owned();
    assert!(
        checked(ENVIRONMENT, &all)
            .unwrap_err()
            .message()
            .starts_with("infrastructure/manifest.yaml is not valid YAML")
    );
    all[1].1 = CLOUDFORMATION.to_owned();
    assert!(
        checked(ENVIRONMENT, &all)
            .unwrap_err()
            .message()
            .starts_with("Environment template schema is not valid")
    );
}

#[test]
fn the_example_bundles_are_clean() {
    for (example, kind) in [
        ("cloudformation/environment", ENVIRONMENT),
        ("cloudformation/service", SERVICE),
        ("terraform/environment", ENVIRONMENT),
        ("terraform/service", SERVICE),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/bundles")
            .join(example);
        let files = directory::read(&path, &Limits::default()).unwrap();
        let bundle = check(kind, &archive::pack(&files), &Limits::default())
            .unwrap_or_else(|problem| panic!("{example}: {problem}"));
        assert_eq!(bundle.parts.len(), kind.parts().len());
        assert!(files.paths().any(|path| path.starts_with("spec/")));
    }
}

#[test]
fn a_directory_is_read_like_an_archive() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("schema/schema.yaml", "s");
    write("schema/._schema.yaml", "resource fork");
    write(".git/config", "c");
    let files = directory::read(root.path(), &Limits::default()).unwrap();
    assert_eq!(files.paths().collect::<Vec<_>>(), ["schema/schema.yaml"]);
    assert_eq!(
        archive::unpack(&archive::pack(&files), &Limits::default()).unwrap(),
        files
    );

    let refused = |limits: Limits| {
        directory::read(root.path(), &limits)
            .unwrap_err()
            .to_string()
    };
    write("a", "12345");
    assert!(
        refused(Limits {
            unpacked_bytes: 5,
            ..Limits::default()
        })
        .contains("more than 5 bytes")
    );
    assert!(
        refused(Limits {
            entries: 1,
            ..Limits::default()
        })
        .contains("more than 1")
    );
    assert!(
        directory::read(&root.path().join("nope"), &Limits::default())
            .unwrap_err()
            .to_string()
            .starts_with("could not read")
    );
}

#[cfg(unix)]
#[test]
fn a_directory_with_a_link_is_no_bundle_and_executables_stay_executable() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("run.sh"), "").unwrap();
    fs::set_permissions(
        root.path().join("run.sh"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let files = directory::read(root.path(), &Limits::default()).unwrap();
    assert!(files.get("run.sh").unwrap().executable);
    symlink("/etc", root.path().join("Makefile")).unwrap();
    let error = directory::read(root.path(), &Limits::default()).unwrap_err();
    assert!(
        error.to_string().contains("\"Makefile\", a symbolic link"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_mutation_of_a_bundle_makes_the_check_panic(
        which in 0usize..3,
        at in any::<prop::sample::Index>(),
        insert in "[\\PC\n\t:{}\\[\\]*&!|>#\"'-]{0,12}",
        delete in 0usize..20,
    ) {
        let manifest = [CLOUDFORMATION, TERRAFORM, CODEBUILD][which];
        for target in 0..2 {
            let mut all = environment_files("", manifest);
            let text: Vec<char> = all[target].1.chars().collect();
            let start = at.index(text.len());
            let rest = &text[(start + delete).min(text.len())..];
            all[target].1 = text[..start].iter().chain(&insert.chars().collect::<Vec<_>>()).chain(rest).collect();
            if let Err(problem) = checked(ENVIRONMENT, &all) {
                prop_assert!(problem.message().chars().count() <= 1000);
            }
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,200}") {
        let _ = Manifest::read("m", &text);
        let file = File { contents: Bytes::from(text), executable: false };
        let _ = Schema::read(ENVIRONMENT, &file, &Limits::default());
    }
}
