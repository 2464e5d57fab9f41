//! What the generator emits, for a few shapes that between them have everything.
//!
//! The output itself is nobody's to review; these are. Comments are left out, for they are the
//! contract's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use insta::assert_snapshot;
use regex::{Captures, Regex};

#[test]
fn types_carry_their_aws_json_form() {
    for name in [
        "CreateEnvironmentTemplateVersionRequest",
        "TemplateVersionSourceInput",
        "DeploymentState",
        "UpdateServiceTemplateVersionRequest",
        "ServiceStatus",
        "GetResourcesSummaryRequest",
        "Tag",
    ] {
        let keyword = if name == "ServiceStatus" {
            "enum"
        } else {
            "struct"
        };
        let opening = format!("pub {keyword} {name}");
        assert_snapshot!(format!("type_{name}"), items("proton.v1.rs", &opening));
    }
    assert_snapshot!(
        "type_DeploymentState_kind",
        items("proton.v1.rs", "pub mod deployment_state")
    );
}

#[test]
fn sensitive_types_print_themselves() {
    let opening = "impl std::fmt::Debug for CreateEnvironmentTemplateVersionRequest ";
    assert_snapshot!(
        "debug_CreateEnvironmentTemplateVersionRequest",
        items("redaction.rs", opening)
    );
}

#[test]
fn enums_know_their_wire_names() {
    assert_snapshot!(
        "wire_names_ListServiceInstancesFilterBy",
        items(
            "wire_names.rs",
            "impl WireEnum for pb::ListServiceInstancesFilterBy "
        )
    );
}

#[test]
fn conversions_go_both_ways() {
    for (name, opening) in [
        (
            "towards_CreateEnvironmentTemplateVersion",
            "impl TryFrom<pb::CreateEnvironmentTemplateVersionRequest>",
        ),
        (
            "towards_TemplateVersionSourceInput",
            "impl TryFrom<pb::TemplateVersionSourceInput>",
        ),
        (
            "towards_UpdateServiceTemplateVersion",
            "impl TryFrom<pb::UpdateServiceTemplateVersionRequest>",
        ),
        (
            "towards_SupportedComponentSourceList",
            "impl TryFrom<pb::SupportedComponentSourceList>",
        ),
        ("back_DeploymentState", "impl From<types::DeploymentState>"),
        ("back_ServiceStatus", "impl From<types::ServiceStatus>"),
        ("back_Tag", "impl From<types::Tag>"),
        (
            "back_GetResourcesSummary",
            "impl From<operation::get_resources_summary::GetResourcesSummaryOutput>",
        ),
    ] {
        assert_snapshot!(
            format!("conversion_{name}"),
            items("conversions.rs", opening)
        );
    }
}

#[test]
fn rules_become_checks() {
    for name in [
        "CreateEnvironmentTemplateVersionRequest",
        "TemplateVersionSourceInput",
        "UpdateServiceTemplateVersionRequest",
        "SupportedComponentSourceList",
        "GetResourcesSummaryRequest",
    ] {
        let opening = format!("impl Validate for pb::{name} ");
        assert_snapshot!(
            format!("validation_{name}"),
            with_rules(&items("validation.rs", &opening))
        );
    }
}

#[test]
fn an_operation_is_a_type_a_call_a_method_and_a_dispatch_arm() {
    let name = "CreateEnvironmentTemplateVersion";
    let method = "create_environment_template_version";
    assert_snapshot!(
        "operation_entry",
        items("operations.rs", &format!("impl Operation for {name} "))
    );
    assert_snapshot!(
        "operation_call",
        items("calls.rs", &format!("impl Call for operation::{name} "))
    );
    assert_snapshot!(
        "operation_method",
        items("service.rs", &format!("    async fn {method}("))
    );
    assert_snapshot!(
        "operation_handler",
        items("dispatch.rs", &format!("    fn {method}("))
    );
    assert_snapshot!(
        "operation_arm",
        items("dispatch.rs", &format!("        {name:?} =>"))
    );
}

#[test]
fn a_stream_is_its_pages_or_its_wait() {
    for (name, opening) in [
        ("pages", "impl Paginated for operation::ListEnvironments "),
        ("wait", "impl Wait for WaitUntilServicePipelineDeployed "),
        (
            "wait_until_gone",
            "impl Wait for WaitUntilComponentDeleted ",
        ),
        (
            "method",
            "    async fn wait_until_service_pipeline_deployed(",
        ),
    ] {
        assert_snapshot!(
            format!("stream_{name}"),
            items("streaming_service.rs", opening)
        );
    }
}

/// The items of a generated file that start like this, with their attributes.
fn items(file: &str, opening: &str) -> String {
    let code = fs::read_to_string(generated(file)).unwrap();
    let lines: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let starts = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| starts_item(line, opening));
    let found: Vec<String> = starts.map(|(at, _)| item(&lines, at)).collect();
    assert!(!found.is_empty(), "{file} has no {opening:?}");
    found.join("\n\n")
}

/// Whether the line starts the item, not one whose name only begins the same.
fn starts_item(line: &str, opening: &str) -> bool {
    line.strip_prefix(opening).is_some_and(|rest| {
        let whole = opening.ends_with(|last: char| !last.is_alphanumeric());
        whole || !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
    })
}

/// The attributes above a line, and everything down to the brace that closes it.
fn item(lines: &[&str], at: usize) -> String {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let depth = indentation(lines[at]);
    let attributes = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with("#["));
    let first = at - attributes.count();
    let closes =
        |line: &&str| indentation(line) == depth && (line.trim() == "}" || line.ends_with("{}"));
    let last = at + lines[at..].iter().position(closes).expect("an item ends");
    let item = lines[first..=last]
        .iter()
        .map(|line| line.get(depth..).unwrap_or_default());
    item.collect::<Vec<_>>().join("\n")
}

/// The checks with each rule in place of its number, which depends on all other rules.
fn with_rules(checks: &str) -> String {
    let numbered = Regex::new(r"RULE_\d+").unwrap();
    let spelled = numbered.replace_all(checks, |found: &Captures<'_>| {
        let code = fs::read_to_string(generated("validation.rs")).unwrap();
        let opening = format!("static {}: ", &found[0]);
        let (_, rule) = code.split_once(&opening).expect("the rule is there");
        let (rule, _) = rule.split_once(";\n").expect("a static ends");
        let (_, rule) = rule.split_once(" = ").expect("a static has a value");
        rule.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    spelled.into_owned()
}

fn generated(file: &str) -> PathBuf {
    Path::new(env!("OUT_DIR")).join(file)
}
