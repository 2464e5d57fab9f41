//! What policies can speak of, in Cedar's terms. Follows from the table; every policy is checked against it.

use std::{fmt::Write as _, sync::LazyLock};

use cedar_policy::Schema;

use super::{question::Action, resource::Kind, table::ACTIONS};
use crate::api::operation::Class;

pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(&text()).expect("the table makes a schema");
    schema
});

pub(super) const READ_ONLY: &str = "ReadOnly";
pub(super) const WRITE: &str = "Write";

/// The group of actions that an action is in.
pub(super) fn group(action: &Action) -> &'static str {
    match action.facts.class {
        Class::Read => READ_ONLY,
        Class::Token | Class::Idempotent | Class::Unsafe => WRITE,
    }
}

/// The schema as Cedar writes it.
fn text() -> String {
    let mut text = String::from(
        "entity Caller in [Account] { id: String, kind: String, account: String, region: String } tags Set<String>;
         entity RequestTags tags String;
         entity Account { arn: String };\n",
    );
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Account) {
        let whole = kind.whole().map_or("", Kind::name);
        let within = [whole, Kind::Account.name()].into_iter();
        let within = within.filter(|name| !name.is_empty()).collect::<Vec<_>>();
        let (name, within) = (kind.name(), within.join(", "));
        line(
            &mut text,
            format_args!("entity {name} in [{within}] {{ arn: String }} tags String;"),
        );
    }
    line(&mut text, format_args!("action {READ_ONLY}, {WRITE};"));
    for action in ACTIONS {
        let kinds: Vec<_> = action.kinds.iter().map(|kind| kind.name()).collect();
        line(
            &mut text,
            format_args!(
                "action {} in [{}] appliesTo {{ principal: [Caller], resource: [{}], context: {{ {} }} }};",
                action.facts.name,
                group(action),
                kinds.join(", "),
                context(action).join(", "),
            ),
        );
    }
    format!("namespace Proton {{ {text} }}")
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}

fn context(action: &Action) -> Vec<&'static str> {
    let keys = &action.keys;
    let members = [
        (keys.tags, "requestTags: RequestTags"),
        (keys.tags || keys.tag_keys, "tagKeys: Set<String>"),
        (
            keys.environment_template || keys.template_of_environment,
            "environmentTemplate?: String",
        ),
        (
            keys.service_template || keys.template_of_service,
            "serviceTemplate?: String",
        ),
    ];
    let there = members.into_iter().filter(|(there, _)| *there);
    there.map(|(_, member)| member).collect()
}
