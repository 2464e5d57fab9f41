//! Checks for the `buf.validate` rules of every message that a request can hold.

use std::{collections::BTreeMap, fmt::Write as _};

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use crate::contract::{Contract, Field, Kind, Message, Role};

pub fn emit(contract: &Contract) -> String {
    let mut rules = Rules::default();
    let mut checks = String::new();
    for message in contract.messages.iter().filter(|message| message.sent) {
        let body: String = match message.role {
            Role::Union => union(contract, message),
            _ => message
                .fields
                .iter()
                .map(|field| rules.field(contract, field))
                .collect(),
        };
        let (at, found) = if body.is_empty() {
            ("_at", "_found")
        } else {
            ("at", "found")
        };
        write!(
            checks,
            "impl Validate for pb::{} {{
                fn validate(&self, {at}: &Path<'_>, {found}: &mut Violations) {{ {body} }}
            }}",
            message.name
        )
        .expect("writing to a string");
    }
    rules.statics() + &checks
}

/// The distinct rules, each of which becomes one static.
#[derive(Default)]
struct Rules(BTreeMap<String, usize>);

impl Rules {
    fn field(&mut self, contract: &Contract, field: &Field) -> String {
        let name = &field.name;
        if field.repeated {
            return self.list(contract, field);
        }
        let required = rule(field, "required")
            .and_then(|value| value.as_bool())
            .unwrap_or_default();
        match &field.kind {
            Kind::Structure(inner) | Kind::Union(inner) | Kind::List(inner) => {
                let nested = contract.find(inner);
                let check = match has_checks(contract, nested) {
                    true => format!("value.validate(&at.field(\"{name}\"), found);"),
                    false => String::new(),
                };
                match (required, check.is_empty()) {
                    (true, _) => format!(
                        "match &self.{name} {{
                            Some({}) => {{ {check} }}
                            None => found.required(&at.field(\"{name}\")),
                        }}",
                        if check.is_empty() { "_" } else { "value" }
                    ),
                    (false, false) => format!("if let Some(value) = &self.{name} {{ {check} }}"),
                    (false, true) => String::new(),
                }
            }
            kind => {
                let Some(check) = self.scalar(kind, field.rules.as_ref(), required) else {
                    return String::new();
                };
                let place = format!("&at.field(\"{name}\")");
                match (field.required, kind) {
                    (true, Kind::String) => format!("{check}.check(&self.{name}, {place}, found);"),
                    (true, _) => format!("{check}.check(self.{name}, {place}, found);"),
                    (false, Kind::String) => {
                        format!(
                            "if let Some(value) = &self.{name} {{ {check}.check(value, {place}, found); }}"
                        )
                    }
                    (false, _) => {
                        format!(
                            "if let Some(value) = self.{name} {{ {check}.check(value, {place}, found); }}"
                        )
                    }
                }
            }
        }
    }

    fn list(&mut self, contract: &Contract, field: &Field) -> String {
        let name = &field.name;
        let rules = rule(field, "repeated").and_then(|rules| rules.as_message().cloned());
        let count = |name: &str| rules.as_ref().and_then(|rules| set(rules, name)?.as_u64());
        let mut out = String::new();
        if count("min_items").is_some() || count("max_items").is_some() {
            let rule = self.name(format!(
                "ListRule {{ min: {:?}, max: {:?} }}",
                count("min_items"),
                count("max_items")
            ));
            write!(
                out,
                "{rule}.check(self.{name}.len(), &at.field(\"{name}\"), found);"
            )
            .expect("writing to a string");
        }
        let place = format!("&at.field(\"{name}\").item(index)");
        let items = rules
            .as_ref()
            .and_then(|rules| set(rules, "items"))
            .and_then(|items| items.as_message().cloned());
        let check = match &field.kind {
            Kind::Structure(inner) if has_checks(contract, contract.find(inner)) => {
                Some(format!("value.validate({place}, found);"))
            }
            Kind::String => self
                .scalar(&field.kind, items.as_ref(), false)
                .map(|rule| format!("{rule}.check(value, {place}, found);")),
            Kind::Enum(_) => self
                .scalar(&field.kind, items.as_ref(), false)
                .map(|rule| format!("{rule}.check(*value, {place}, found);")),
            _ => None,
        };
        if let Some(check) = check {
            write!(
                out,
                "for (index, value) in self.{name}.iter().enumerate() {{ {check} }}"
            )
            .expect("writing to a string");
        }
        out
    }

    /// The rule that checks a string, number or enum, if it has one.
    fn scalar(
        &mut self,
        kind: &Kind,
        rules: Option<&DynamicMessage>,
        required: bool,
    ) -> Option<String> {
        let of = |name: &str| {
            rules
                .and_then(|rules| set(rules, name))
                .and_then(|found| found.as_message().cloned())
        };
        match kind {
            Kind::String => {
                let rules = of("string")?;
                let length = |name: &str| set(&rules, name).and_then(|value| value.as_u64());
                let pattern =
                    set(&rules, "pattern").and_then(|pattern| pattern.as_str().map(str::to_owned));
                let pattern = match pattern {
                    Some(pattern) => format!("Some(Pattern::new({pattern:?}))"),
                    None => "None".to_owned(),
                };
                Some(self.name(format!(
                    "StringRule {{ min: {:?}, max: {:?}, pattern: {pattern} }}",
                    length("min_len"),
                    length("max_len")
                )))
            }
            Kind::Int32 => {
                let rules = of("int32")?;
                let bound = |name: &str| set(&rules, name).and_then(|value| value.as_i32());
                let (Some(low), Some(high)) = (bound("gte"), bound("lte")) else {
                    panic!("numbers are limited on both sides")
                };
                Some(self.name(format!("RangeRule {{ low: {low}, high: {high} }}")))
            }
            Kind::Enum(name) => {
                of("enum")?;
                Some(format!("EnumRule::<pb::{name}>::new({required})"))
            }
            _ => None,
        }
    }

    fn name(&mut self, rule: String) -> String {
        let next = self.0.len();
        format!("RULE_{}", self.0.entry(rule).or_insert(next))
    }

    fn statics(&self) -> String {
        let mut rules: Vec<_> = self.0.iter().collect();
        rules.sort_by_key(|(_, number)| **number);
        rules
            .into_iter()
            .map(|(rule, number)| {
                let kind = rule.split(' ').next().expect("a rule starts with its type");
                format!("static RULE_{number}: {kind} = {rule};")
            })
            .collect()
    }
}

fn union(contract: &Contract, message: &Message) -> String {
    let kind = format!("pb::{}::Kind", crate::emit::snake(&message.name));
    let mut arms = String::new();
    for field in &message.fields {
        let Kind::Structure(inner) = &field.kind else {
            panic!("unions hold structures")
        };
        let variant = crate::emit::camel(&field.name);
        match has_checks(contract, contract.find(inner)) {
            true => write!(
                arms,
                "Some({kind}::{variant}(value)) => value.validate(&at.field(\"{}\"), found),",
                field.name
            ),
            false => write!(arms, "Some({kind}::{variant}(_)) => {{}}"),
        }
        .expect("writing to a string");
    }
    format!("match &self.kind {{ {arms} None => found.required(&at.field(\"kind\")), }}")
}

fn has_checks(contract: &Contract, message: &Message) -> bool {
    message.role == Role::Union
        || message.fields.iter().any(|field| {
            field.rules.is_some()
                || match &field.kind {
                    Kind::Structure(inner) | Kind::Union(inner) | Kind::List(inner) => {
                        has_checks(contract, contract.find(inner))
                    }
                    _ => false,
                }
        })
}

fn rule(field: &Field, name: &str) -> Option<Value> {
    set(field.rules.as_ref()?, name)
}

/// A field's value, if it is set.
fn set(message: &DynamicMessage, name: &str) -> Option<Value> {
    let field = message.descriptor().get_field_by_name(name)?;
    message
        .has_field(&field)
        .then(|| message.get_field(&field).into_owned())
}
