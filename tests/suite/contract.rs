//! The contract and AWS's model of the Proton API say the same.
//!
//! Both are read into facts, one a line; what only one of them says is a disagreement. All of them
//! are reported together.

mod comments;
mod model;
mod proto;

use std::collections::BTreeSet;

use crate::descriptors::service;

/// Lists that an update clears when they are empty and keeps when they are absent, so that the
/// contract gives them a message of their own.
const KEPT_APART: [&str; 3] = [
    "NotifyResourceDeploymentStatusChangeRequest.outputs",
    "UpdateServiceTemplateVersionRequest.compatibleEnvironmentTemplates",
    "UpdateServiceTemplateVersionRequest.supportedComponentSources",
];

/// Every operation may fail with these; the contract says so once.
const COMMON_ERRORS: [&str; 4] = [
    "AccessDeniedException",
    "InternalServerException",
    "ThrottlingException",
    "ValidationException",
];

#[test]
fn the_contract_and_the_model_agree() {
    assert_agree(("model", model::facts()), ("contract", proto::facts()));
}

/// Reports everything that only one side says.
pub(crate) fn assert_agree(one: (&str, BTreeSet<String>), other: (&str, BTreeSet<String>)) {
    let only = |(who, facts): &(&str, BTreeSet<String>), others: &BTreeSet<String>| {
        let facts = facts.difference(others);
        facts
            .map(|fact| format!("only the {who} says: {fact}"))
            .collect::<Vec<_>>()
    };
    let disagreements = [only(&one, &other.1), only(&other, &one.1)].concat();
    let count = disagreements.len();
    assert!(
        count == 0,
        "{count} disagreements:\n{}",
        disagreements.join("\n")
    );
}

#[test]
fn there_are_87_operations_31_streams_and_two_looks_at_deployments() {
    assert_eq!(service("ProtonService").methods().len(), 87);
    let ours = service("ProtonStreamingService");
    let (streams, looks): (Vec<_>, Vec<_>) = ours
        .methods()
        .partition(|method| method.is_server_streaming());
    assert_eq!(streams.len(), 31);
    let looks: Vec<_> = looks.iter().map(|look| look.name().to_owned()).collect();
    assert_eq!(looks, ["GetDeploymentContent", "PreviewDeployment"]);
}

/// A field as a fact, from whichever side.
struct Field {
    /// Such as `CreateServiceRequest.branchName`.
    name: String,
    kind: String,
    presence: &'static str,
    sensitive: bool,
    /// As `path=value`.
    rules: Vec<String>,
}

impl Field {
    fn fact(mut self) -> String {
        self.rules.sort();
        let Self {
            name,
            kind,
            presence,
            sensitive,
            rules,
        } = self;
        let sensitive = if sensitive { ", sensitive" } else { "" };
        format!(
            "{name} is {kind}, {presence}{sensitive}, limited by [{}]",
            rules.join(", ")
        )
    }
}
