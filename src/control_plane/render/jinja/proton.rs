//! Proton's own filters, which write outputs of a component into a CloudFormation template.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, Value};

use super::budget::{Budget, Text};
use super::error::{invalid, undefined};
use super::operators::Arguments;
use super::python;

const ECS: &str = "proton_cfn_ecs_task_definition_formatted_env_vars";
const LAMBDA: &str = "proton_cfn_lambda_function_formatted_env_vars";
const POLICIES: &str = "proton_cfn_iam_policy_arns";
const SANITIZE: &str = "proton_cfn_sanitize";

/// Whether a filter gives lines of YAML, which start at the column of their expression.
pub(super) fn is_block(filter: &str) -> bool {
    matches!(filter, ECS | LAMBDA | POLICIES)
}

pub(super) fn install(environment: &mut Environment<'_>, budget: &Budget) {
    let mut add =
        |name: &'static str, filter: fn(&Budget, &Value, &Arguments) -> Result<Value, Error>| {
            let budget = budget.clone();
            environment.add_filter(
                name,
                move |value: &Value, positional: Rest<Value>, named: Kwargs| {
                    filter(&budget, value, &Arguments::new(positional, named))
                },
            );
        };
    add(ECS, |budget, value, arguments| {
        variables(budget, value, arguments, |lines, name, value| {
            lines.line(format_args!("- Name: {name}"))?;
            lines.line(format_args!("  Value: {value}"))
        })
    });
    add(LAMBDA, |budget, value, arguments| {
        variables(budget, value, arguments, |lines, name, value| {
            lines.line(format_args!("{name}: {value}"))
        })
    });
    add(POLICIES, policies);
    add(SANITIZE, sanitize);
}

/// Lines of YAML at a column.
struct Lines<'b> {
    text: Text<'b>,
    column: usize,
}

impl<'b> Lines<'b> {
    fn new(budget: &'b Budget, column: Option<usize>) -> Self {
        Self {
            text: budget.text(),
            column: column.unwrap_or(0),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), Error> {
        if self.text.len() > 0 {
            self.text.push("\n")?;
            self.text.push_times(" ", self.column)?;
        }
        self.text.push_fmt(line)
    }
}

fn variables(
    budget: &Budget,
    value: &Value,
    arguments: &Arguments,
    write: fn(&mut Lines<'_>, &str, &str) -> Result<(), Error>,
) -> Result<Value, Error> {
    let raw = arguments.truth(0, "raw")?.unwrap_or(true);
    let mut lines = Lines::new(budget, arguments.count(1, "column")?);
    arguments.done(1)?;
    for (name, value) in entries(value)? {
        let (name, value) = (python::text(budget, &name)?, python::text(budget, &value)?);
        if !raw && !is_simple(&value) {
            return Err(invalid(format!(
                "illegal characters in {:?}: it must match the regex {SIMPLE}",
                shown(&value)
            )));
        }
        write(&mut lines, &scalar(&name), &scalar(&value))?;
    }
    Ok(lines.text.into_value())
}

fn policies(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let mut lines = Lines::new(budget, arguments.count(0, "column")?);
    arguments.done(0)?;
    for (_, value) in entries(value)? {
        let value = python::text(budget, &value)?;
        if is_policy(&value) {
            lines.line(format_args!("- {}", scalar(&value)))?;
        }
    }
    Ok(lines.text.into_value())
}

fn entries(value: &Value) -> Result<impl Iterator<Item = (Value, Value)>, Error> {
    match value.kind() {
        ValueKind::Map => Ok(python::pairs(value)),
        ValueKind::Undefined => Err(undefined()),
        kind => Err(invalid(format!(
            "the filter takes a mapping such as outputs, not {kind}"
        ))),
    }
}

fn sanitize(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    arguments.done(0)?;
    let text = python::text(budget, value)?;
    if is_simple(&text) || is_arn(&text) {
        return Ok(value.clone());
    }
    Err(invalid(format!(
        "illegal characters in {:?}: it must match the regex {SIMPLE} or be an ARN",
        shown(&text)
    )))
}

const SIMPLE: &str = "^[a-zA-Z0-9_-]*$";

fn is_simple(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// `arn:partition:service:region:account:resource`, of which region and account may be empty, and in documented examples the service.
fn is_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = |allowed: fn(u8) -> bool| parts.next().filter(|part| part.bytes().all(allowed));
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let resource =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    next(word) == Some("arn")
        && next(word).is_some_and(|partition| !partition.is_empty())
        && next(word).is_some()
        && next(word).is_some()
        && next(|byte| byte.is_ascii_digit()).is_some_and(|account| matches!(account.len(), 0 | 12))
        && next(resource).is_some_and(|resource| !resource.is_empty())
}

/// `^arn:[a-zA-Z-]+:iam::\d{12}:policy/`
fn is_policy(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else {
        return false;
    };
    arn == "arn"
        && !partition.is_empty()
        && partition
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        && (service, region) == ("iam", "")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.starts_with("policy/")
}

/// A scalar of YAML that reads back as this very text.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@=+,% ".contains(c);
    let starts_as_text =
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let other_type = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let is_plain = starts_as_text
        && !other_type
        && text.chars().all(plain)
        && !text.contains(": ")
        && !text.ends_with([' ', ':']);
    if is_plain {
        text.to_owned()
    } else if text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    {
        // The double-quoted scalars of YAML know all escapes of JSON; DEL and C1 have none there.
        let quoted = serde_json::to_string(text).expect("text is valid JSON");
        quoted.chars().fold(String::new(), |mut out, c| {
            match u32::from(c) {
                code @ (0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff) => {
                    out.push_str(&format!("\\u{code:04x}"))
                }
                _ => out.push(c),
            }
            out
        })
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}
