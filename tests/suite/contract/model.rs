//! What AWS's model says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Field, KEPT_APART};

#[derive(Deserialize)]
struct Model {
    operations: BTreeMap<String, Operation>,
    paginators: BTreeMap<String, Paginator>,
    waiters: BTreeMap<String, Waiter>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    input: String,
    output: String,
    idempotent: bool,
    errors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paginator {
    input_token: String,
    output_token: String,
    limit_key: Option<String>,
    result_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Waiter {
    operation: String,
    delay: u32,
    #[serde(rename = "maxAttempts")]
    _max_attempts: u32,
    acceptors: Vec<Acceptor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acceptor {
    matcher: String,
    argument: Option<String>,
    expected: String,
    state: String,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: BTreeMap<String, Member>,
    #[serde(default)]
    union: bool,
    #[serde(default)]
    exception: bool,
    #[serde(default)]
    sensitive: bool,
    #[serde(rename = "enum")]
    values: Option<Vec<String>>,
    member: Option<String>,
    min: Option<u64>,
    max: Option<u64>,
    pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Member {
    shape: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    idempotency_token: bool,
}

pub(super) fn facts() -> BTreeSet<String> {
    let model: Model = serde_json::from_str(include_str!("../../fixtures/model.json")).unwrap();
    let mut facts = BTreeSet::new();
    for (name, operation) in &model.operations {
        facts.extend(model.operation(name, operation));
    }
    for (name, shape) in &model.shapes {
        match shape.kind.as_str() {
            "structure" if !shape.exception => facts.extend(model.structure(name, shape)),
            "string" => {
                let values = shape.values.iter().flatten();
                facts.extend(values.map(|value| format!("enum {name} has {value}")));
            }
            _ => {}
        }
    }
    facts.extend(model.paginators.iter().map(|(name, paginator)| {
        let Paginator {
            input_token,
            output_token,
            limit_key,
            result_key,
        } = paginator;
        format!("{name} pages {result_key} by {input_token}, {output_token} and {limit_key:?}")
    }));
    for (name, waiter) in &model.waiters {
        facts.extend(wait(name, waiter));
    }
    facts
}

fn wait(name: &str, waiter: &Waiter) -> Vec<String> {
    let Waiter {
        operation,
        delay,
        acceptors,
        ..
    } = waiter;
    let mut facts = vec![format!(
        "WaitUntil{name} reads {operation} every {delay} seconds"
    )];
    for Acceptor {
        matcher,
        argument,
        expected,
        state,
    } in acceptors
    {
        facts.push(match (matcher.as_str(), argument) {
            ("path", Some(path)) => {
                format!("WaitUntil{name} has {state} when {path} is {expected}")
            }
            ("error", None) => format!("WaitUntil{name} has {state} on {expected}"),
            other => panic!("the test knows no matcher {other:?}"),
        });
    }
    facts
}

impl Model {
    fn shape(&self, name: &str) -> &Shape {
        self.shapes
            .get(name)
            .expect("the model has the shapes that it names")
    }

    fn operation(&self, name: &str, operation: &Operation) -> Vec<String> {
        let members = &self.shape(&operation.input).members;
        let token = members.values().any(|member| member.idempotency_token);
        let (level, class) = match (name, operation.idempotent) {
            _ if name.starts_with("Get") || name.starts_with("List") => ("NO_SIDE_EFFECTS", "Read"),
            _ if token => ("IDEMPOTENT", "Token"),
            (_, true) => ("IDEMPOTENT", "Idempotent"),
            (_, false) => ("IDEMPOTENCY_UNKNOWN", "Unsafe"),
        };
        let mut facts = vec![
            format!("{name} takes {name}Request and answers {name}Response"),
            format!("{name} is {level}, class {class}"),
        ];
        facts.extend(
            operation
                .errors
                .iter()
                .map(|error| format!("{name} may fail with {error}")),
        );
        facts
    }

    fn structure(&self, name: &str, shape: &Shape) -> Vec<String> {
        let message = self.message_name(name);
        let mut facts = vec![format!(
            "{} {message}",
            if shape.union { "union" } else { "message" }
        )];
        facts.extend(shape.members.iter().map(|(name, member)| {
            let name = format!("{message}.{name}");
            let apart = KEPT_APART.contains(&name.as_str());
            let presence = match (shape.union, member.required) {
                (true, _) => "one of the union",
                (false, true) => "required",
                (false, false) if apart => "optional even when empty",
                (false, false) => "optional",
            };
            Field {
                name,
                presence,
                kind: self.kind(&member.shape),
                sensitive: self.is_sensitive(&member.shape),
                rules: self.rules(&member.shape, member.required),
            }
            .fact()
        }));
        facts
    }

    /// The contract names inputs and outputs after their operation.
    fn message_name(&self, shape: &str) -> String {
        for (name, operation) in &self.operations {
            if operation.input == shape {
                return format!("{name}Request");
            } else if operation.output == shape {
                return format!("{name}Response");
            }
        }
        shape.to_owned()
    }

    fn kind(&self, name: &str) -> String {
        let shape = self.shape(name);
        match (shape.kind.as_str(), &shape.values, &shape.member) {
            ("structure", ..) => self.message_name(name),
            ("string", Some(_), _) => name.to_owned(),
            ("string", None, _) => "a string".to_owned(),
            ("integer", ..) => "a number".to_owned(),
            ("boolean", ..) => "a truth".to_owned(),
            ("timestamp", ..) => "a time".to_owned(),
            ("list", _, Some(member)) => format!("a list of {}", self.kind(member)),
            other => panic!("the test knows no shape {other:?}"),
        }
    }

    fn is_sensitive(&self, name: &str) -> bool {
        let shape = self.shape(name);
        shape.sensitive
            || shape
                .member
                .as_ref()
                .is_some_and(|member| self.is_sensitive(member))
    }

    /// The rules in the words of `buf.validate`.
    fn rules(&self, name: &str, required: bool) -> Vec<String> {
        let shape = self.shape(name);
        let bound = |rule: &str, bound: Option<u64>| bound.map(|bound| format!("{rule}={bound}"));
        // No text and no list is shorter than nothing.
        let min = shape.min.filter(|min| *min > 0);
        let mut rules: Vec<Option<String>> = Vec::new();
        match shape.kind.as_str() {
            "string" if shape.values.is_some() => {
                rules.push(Some("enum.defined_only=true".to_owned()));
                rules.push(Some(
                    if required {
                        "required=true"
                    } else {
                        "enum.not_in=[0]"
                    }
                    .to_owned(),
                ));
            }
            "string" => {
                rules.push(bound("string.min_len", min));
                rules.push(bound("string.max_len", shape.max));
                rules.push(
                    shape
                        .pattern
                        .as_ref()
                        .map(|text| format!("string.pattern={:?}", pattern(text))),
                );
            }
            "integer" => {
                rules.push(bound("int32.gte", shape.min));
                rules.push(bound("int32.lte", shape.max));
            }
            "list" => {
                rules.push(bound("repeated.min_items", min));
                rules.push(bound("repeated.max_items", shape.max));
                let member = shape.member.as_ref().expect("a list has a member");
                let items = self.rules(member, false);
                rules.extend(
                    items
                        .into_iter()
                        .map(|rule| Some(format!("repeated.items.{rule}"))),
                );
            }
            "structure" | "timestamp" => rules.push(required.then(|| "required=true".to_owned())),
            _ => {}
        }
        rules.into_iter().flatten().collect()
    }
}

/// The pattern as every language's regular expressions read it alike: `\d` and `\w` mean ASCII, a
/// hyphen stands last in its class, nothing is repeated once.
fn pattern(model: &str) -> String {
    let mut out = String::new();
    let mut in_class = false;
    let mut letters = model.chars();
    while let Some(letter) = letters.next() {
        let (escaped, letter) = match letter {
            '\\' => (true, letters.next().expect("a backslash escapes something")),
            _ => (false, letter),
        };
        let class = match letter {
            'd' => "0-9",
            'w' => "0-9A-Za-z_",
            _ => "",
        };
        match (escaped, letter) {
            (true, 'd' | 'w') if in_class => out += class,
            (true, 'd' | 'w') => out += &format!("[{class}]"),
            (true, _) => out.extend(['\\', letter]),
            (false, _) => {
                in_class = (in_class || letter == '[') && letter != ']';
                out.push(letter);
            }
        }
    }
    out.replace("[a-z0-9-\\.]", "[a-z0-9.-]").replace("{1}", "")
}
