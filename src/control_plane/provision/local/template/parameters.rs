//! Values of parameters. Proton gives none, so each has its default.

use super::super::identity::Stack;
use super::refusal::Refusal;
use super::value::Value;

const SSM_VALUE: &str = "AWS::SSM::Parameter::Value<";

pub(super) fn value(name: &str, parameter: &Value, stack: &Stack<'_>) -> Result<Value, Refusal> {
    let kind = parameter.get("Type").and_then(Value::as_text);
    let kind = kind.ok_or_else(|| {
        Refusal::format(format_args!(
            "Every Parameters object must contain a Type member. [/Parameters/{name}]"
        ))
    })?;
    let default = match parameter.get("Default") {
        Some(Value::Text(default)) => default,
        Some(_) => {
            return Err(Refusal::format("Every Default member must be a string."));
        }
        None => {
            return Err(Refusal::new(format!(
                "Parameters: [{name}] must have values"
            )));
        }
    };
    check(name, parameter, kind, default)?;
    let list = |text: &str| {
        let items = text.split(',').filter(|_| !text.is_empty());
        Value::List(items.map(|item| Value::text(item.trim())).collect())
    };
    match kind {
        "String" | "Number" | "AWS::SSM::Parameter::Name" => Ok(Value::text(default)),
        "CommaDelimitedList" => Ok(list(default)),
        _ => {
            if let Some(inner) = kind
                .strip_prefix(SSM_VALUE)
                .and_then(|rest| rest.strip_suffix('>'))
            {
                return Ok(stored(default, inner, stack));
            }
            if kind.starts_with("List<") && kind.ends_with('>') {
                return Ok(list(default));
            }
            if kind.starts_with("AWS::") {
                return Ok(Value::text(default));
            }
            Err(Refusal::format(format_args!(
                "Unrecognized parameter type: {kind}"
            )))
        }
    }
}

fn check(name: &str, parameter: &Value, kind: &str, default: &str) -> Result<(), Refusal> {
    if kind == "Number" && default.parse::<f64>().is_err() {
        return Err(Refusal::new(format!("Parameter '{name}' must be a number")));
    }
    let allowed = parameter.get("AllowedValues").and_then(Value::as_texts);
    if allowed.is_some_and(|allowed| !allowed.contains(&default)) {
        return Err(Refusal::new(format!(
            "Parameter '{name}' must be one of AllowedValues"
        )));
    }
    Ok(())
}

/// What a parameter store could have under this name.
fn stored(name: &str, kind: &str, stack: &Stack<'_>) -> Value {
    let made = stack.made(&["ssm", name]);
    let list = kind
        .strip_prefix("List<")
        .and_then(|rest| rest.strip_suffix('>'));
    let text = match list.unwrap_or(kind) {
        "AWS::EC2::Image::Id" => format!("ami-{}", made.hex(17)),
        _ => format!("value-of-{}", name.trim_matches('/').replace('/', "-")),
    };
    if list.is_some() || kind == "CommaDelimitedList" {
        Value::List(vec![Value::Text(text)])
    } else {
        Value::Text(text)
    }
}
