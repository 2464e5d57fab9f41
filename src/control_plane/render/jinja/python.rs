//! Values as Python writes them: `str`, `repr` and `json.dumps`.

use std::cmp::Ordering;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::budget::{Budget, Text, check_depth};
use super::error::{invalid, undefined};

/// `str(value)`
pub(super) fn text(budget: &Budget, value: &Value) -> Result<String, Error> {
    let mut out = budget.text();
    write_text(&mut out, value)?;
    Ok(out.into_string())
}

pub(super) fn write_text(out: &mut Text<'_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.push(text),
        None => write_repr(out, value, 0),
    }
}

fn write_repr(out: &mut Text<'_>, value: &Value, depth: usize) -> Result<(), Error> {
    check_depth(depth)?;
    match value.kind() {
        ValueKind::Undefined => Err(undefined()),
        ValueKind::None => out.push("None"),
        ValueKind::Bool => out.push(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number if !value.is_integer() => out.push(&float(value)),
        ValueKind::String => write_quoted(out, value.as_str().expect("this is text")),
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() {
                ("(", ")")
            } else {
                ("[", "]")
            };
            out.push(open)?;
            let mut count = 0;
            for item in value.try_iter()?.checked() {
                if count > 0 {
                    out.push(", ")?;
                }
                write_repr(out, &item?, depth + 1)?;
                count += 1;
            }
            if value.is_tuple() && count == 1 {
                out.push(",")?;
            }
            out.push(close)
        }
        ValueKind::Map => {
            out.push("{")?;
            for (index, (key, value)) in pairs(value).enumerate() {
                if index > 0 {
                    out.push(", ")?;
                }
                write_repr(out, &key, depth + 1)?;
                out.push(": ")?;
                write_repr(out, &value, depth + 1)?;
            }
            out.push("}")
        }
        _ => out.push_fmt(format_args!("{value}")),
    }
}

pub(super) fn pairs(map: &Value) -> impl Iterator<Item = (Value, Value)> {
    map.as_object()
        .and_then(|object| object.try_iter_pairs())
        .into_iter()
        .flatten()
}

fn write_quoted(out: &mut Text<'_>, text: &str) -> Result<(), Error> {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push_fmt(format_args!("{quote}"))?;
    for c in text.chars() {
        match c {
            '\n' => out.push("\\n")?,
            '\r' => out.push("\\r")?,
            '\t' => out.push("\\t")?,
            '\\' => out.push("\\\\")?,
            _ if c == quote => out.push_fmt(format_args!("\\{c}"))?,
            ' ' => out.push(" ")?,
            _ if c.is_control() || c.is_whitespace() => match u32::from(c) {
                code @ ..=0xff => out.push_fmt(format_args!("\\x{code:02x}"))?,
                code => out.push_fmt(format_args!("\\u{code:04x}"))?,
            },
            _ => out.push(c.encode_utf8(&mut [0; 4]))?,
        }
    }
    out.push_fmt(format_args!("{quote}"))
}

/// The shortest digits that read back the same, as Rust finds them too; only exponents are spelt differently.
pub(super) fn float(value: &Value) -> String {
    let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
    if number.is_nan() {
        return "nan".to_owned();
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => text,
    }
}

/// `json.dumps(value, sort_keys=True, indent=indent)`, with the escapes that Jinja2 adds for HTML.
pub(super) fn json(budget: &Budget, value: &Value, indent: Option<&str>) -> Result<String, Error> {
    let mut out = budget.text();
    Json { indent }.write(&mut out, value, 0)?;
    Ok(out.into_string())
}

struct Json<'a> {
    indent: Option<&'a str>,
}

impl Json<'_> {
    fn write(&self, out: &mut Text<'_>, value: &Value, depth: usize) -> Result<(), Error> {
        check_depth(depth)?;
        match value.kind() {
            ValueKind::None => out.push("null"),
            ValueKind::Bool => out.push(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if !value.is_integer() => out.push(&json_float(value)),
            ValueKind::Number => out.push_fmt(format_args!("{value}")),
            ValueKind::String => write_json_text(out, value.as_str().expect("this is text")),
            ValueKind::Seq => {
                let items = value.try_iter()?.checked();
                self.items(out, "[]", depth, items, |out, item| {
                    self.write(out, &item?, depth + 1)
                })
            }
            ValueKind::Map => {
                let mut entries: Vec<_> = pairs(value).collect();
                sort(&mut entries)?;
                self.items(
                    out,
                    "{}",
                    depth,
                    entries.into_iter(),
                    |out, (key, value)| {
                        write_json_text(out, &json_key(&key)?)?;
                        out.push(": ")?;
                        self.write(out, &value, depth + 1)
                    },
                )
            }
            ValueKind::Undefined => Err(undefined()),
            kind => Err(invalid(format!("{kind} cannot be written as JSON"))),
        }
    }

    fn items<T>(
        &self,
        out: &mut Text<'_>,
        brackets: &str,
        depth: usize,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Text<'_>, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (open, close) = brackets.split_at(1);
        let line = |out: &mut Text<'_>, depth| match self.indent {
            Some(indent) => {
                out.push("\n")?;
                out.push_times(indent, depth)
            }
            None => Ok(()),
        };
        out.push(open)?;
        let mut first = true;
        for item in items {
            if !first {
                out.push(if self.indent.is_some() { "," } else { ", " })?;
            }
            first = false;
            line(out, depth + 1)?;
            write(out, item)?;
        }
        if !first {
            line(out, depth)?;
        }
        out.push(close)
    }
}

fn json_float(value: &Value) -> String {
    match float(value).as_str() {
        "nan" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        text => text.to_owned(),
    }
}

fn json_key(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().expect("this is text").to_owned()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Number if key.is_integer() => Ok(key.to_string()),
        ValueKind::Number => Ok(json_float(key)),
        kind => Err(invalid(format!("a key of JSON is text, not {kind}"))),
    }
}

/// Python compares keys before it makes text of them, and not those of different kinds.
fn sort(entries: &mut [(Value, Value)]) -> Result<(), Error> {
    let number = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    let texts = entries.iter().all(|(key, _)| key.as_str().is_some());
    let numbers = entries.iter().all(|(key, _)| number(key));
    if !texts && !numbers && entries.len() > 1 {
        return Err(invalid("keys of different kinds cannot be sorted"));
    }
    entries.sort_by(|(a, _), (b, _)| match (a.as_str(), b.as_str()) {
        // By code points, which is also the order of UTF-8.
        (Some(a), Some(b)) => a.cmp(b),
        _ => a.partial_cmp(b).unwrap_or(Ordering::Equal),
    });
    Ok(())
}

fn write_json_text(out: &mut Text<'_>, text: &str) -> Result<(), Error> {
    out.push("\"")?;
    for c in text.chars() {
        match c {
            '"' => out.push("\\\"")?,
            '\\' => out.push("\\\\")?,
            '\n' => out.push("\\n")?,
            '\r' => out.push("\\r")?,
            '\t' => out.push("\\t")?,
            '\x08' => out.push("\\b")?,
            '\x0c' => out.push("\\f")?,
            '<' | '>' | '&' | '\'' | '\x00'..='\x1f' | '\x7f'.. => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_fmt(format_args!("\\u{unit:04x}"))?;
                }
            }
            _ => out.push(c.encode_utf8(&mut [0; 4]))?,
        }
    }
    out.push("\"")
}
