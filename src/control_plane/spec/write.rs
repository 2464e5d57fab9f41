//! The normalised text of a spec: block style, in the order of the spec, and the same values when it is read again, here or by a reader of YAML 1.1
//! or 1.2. So what could be taken for another type stands in quotes.

use std::fmt::Write;

use serde_json::{Number, Value};

use super::{EnvironmentSpec, Inputs, ServiceSpec};

impl EnvironmentSpec {
    /// The spec as normalised YAML.
    pub fn to_yaml(&self) -> String {
        let mut out = "proton: EnvironmentSpec\n".to_owned();
        section(&mut out, 0, "spec", &self.inputs);
        out
    }
}

impl ServiceSpec {
    /// The spec as normalised YAML.
    pub fn to_yaml(&self) -> String {
        let mut out = "proton: ServiceSpec\n".to_owned();
        if let Some(pipeline) = &self.pipeline {
            section(&mut out, 0, "pipeline", pipeline);
        }
        if self.instances.is_empty() {
            out += "instances: []\n";
            return out;
        }
        out += "instances:\n";
        for instance in &self.instances {
            out += "  - name: ";
            text(&mut out, &instance.name);
            out += "\n    environment: ";
            text(&mut out, &instance.environment);
            out += "\n";
            if !instance.inputs.is_empty() {
                section(&mut out, 4, "spec", &instance.inputs);
            }
        }
        out
    }
}

fn section(out: &mut String, indent: usize, key: &str, inputs: &Inputs) {
    *out += &" ".repeat(indent);
    *out += key;
    *out += ":";
    mapping(out, indent + 2, inputs);
}

/// What stands behind a `:` or a `-`, with the end of its line.
fn value(out: &mut String, indent: usize, of: &Value) {
    match of {
        Value::Object(members) => return mapping(out, indent, members),
        Value::Array(items) if !items.is_empty() => {
            *out += "\n";
            for item in items {
                *out += &" ".repeat(indent);
                *out += "-";
                value(out, indent + 2, item);
            }
            return;
        }
        _ => *out += " ",
    }
    match of {
        Value::Null => *out += "null",
        Value::Bool(value) => *out += if *value { "true" } else { "false" },
        Value::Number(value) => number(out, value),
        Value::String(value) => text(out, value),
        Value::Array(_) | Value::Object(_) => *out += "[]",
    }
    *out += "\n";
}

fn mapping(out: &mut String, indent: usize, members: &Inputs) {
    if members.is_empty() {
        *out += " {}\n";
        return;
    }
    *out += "\n";
    for (key, member) in members {
        *out += &" ".repeat(indent);
        // YAML looks for the colon of a key no further than 1024 characters.
        if key.len() > 160 {
            *out += "? ";
            text(out, key);
            *out += "\n";
            *out += &" ".repeat(indent);
        } else {
            text(out, key);
        }
        *out += ":";
        value(out, indent + 2, member);
    }
}

/// YAML 1.1 takes `1e16` for text: it wants the point and the sign.
fn number(out: &mut String, of: &Number) {
    let plain = of.to_string();
    let Some((mantissa, exponent)) = plain.split_once('e') else {
        *out += &plain;
        return;
    };
    *out += mantissa;
    if !mantissa.contains('.') {
        *out += ".0";
    }
    *out += "e";
    if !exponent.starts_with(['-', '+']) {
        *out += "+";
    }
    *out += exponent;
}

/// Plain when every reader takes it for text, else in double quotes.
fn text(out: &mut String, of: &str) {
    if is_plain(of) {
        *out += of;
        return;
    }
    *out += "\"";
    for char in of.chars() {
        match char {
            '"' => *out += "\\\"",
            '\\' => *out += "\\\\",
            '\n' => *out += "\\n",
            '\t' => *out += "\\t",
            '\u{20}'..='\u{7e}' => out.push(char),
            // These are printable in YAML, apart from the marks that would end a line or vanish.
            '\u{a0}'..='\u{fffd}' if !matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push(char);
            }
            '\u{10000}'.. => out.push(char),
            _ => write!(out, "\\u{:04x}", u32::from(char))
                .expect("writing into a String does not fail"),
        }
    }
    *out += "\"";
}

/// A letter, or `/` as of a path, and then what means nothing to YAML; and no word that YAML knows.
fn is_plain(of: &str) -> bool {
    let words = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity",
    ];
    of.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/')
        && of
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'))
        && !words.iter().any(|word| of.eq_ignore_ascii_case(word))
}
