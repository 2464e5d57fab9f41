//! CloudFormation: the one template, rendered.
//!
//! The text is the author's but for the expressions: it is never read and written again, which would change `0755` and tags. That it is YAML
//! is checked all the same, because CloudFormation's own message has no line. What it means, null values included, is CloudFormation's business.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::jinja::Templates;
use super::{Files, Limits, Namespace, RenderError, file};

pub(super) fn files(
    name: &str,
    text: &str,
    namespace: &Namespace,
    limits: &Limits,
) -> Result<Files, RenderError> {
    let rendered = Templates::new(namespace, limits).render(name, text)?;
    check(name, &rendered)?;
    Ok(Files::from_iter([(name.to_owned(), file(rendered))]))
}

type Template = BTreeMap<String, IgnoredAny>;

fn check(name: &str, text: &str) -> Result<(), RenderError> {
    // JSON with tabs is a template too, but not YAML.
    if text.trim_start().starts_with('{') && serde_json::from_str::<Template>(text).is_ok() {
        return Ok(());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Reading recurses; CloudFormation itself does not go much deeper.
            max_depth: 40,
            flow_nesting_limit: 40,
            max_nodes: 250_000,
            max_events: 750_000,
        },
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Template>(text, options)
        .map(drop)
        .map_err(|error| {
            RenderError::new(format!("{name} is not valid YAML after rendering: {error}"))
        })
}
