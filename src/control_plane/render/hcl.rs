//! Values as HCL writes them, for commands that want a `.tfvars` file.

use serde_json::{Map, Value};

/// One assignment a variable.
pub(super) fn assignments(values: &Map<String, Value>) -> String {
    let mut out = String::new();
    for (name, value) in values {
        out.push_str(name);
        out.push_str(" = ");
        write(&mut out, value, 0);
        out.push('\n');
    }
    out
}

fn write(out: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(out, item, level);
            }
            out.push(']');
        }
        Value::Object(entries) if entries.is_empty() => out.push_str("{}"),
        Value::Object(entries) => {
            out.push_str("{\n");
            for (name, value) in entries {
                out.extend(std::iter::repeat_n("  ", level + 1));
                // A quoted key may hold anything.
                write_text(out, name);
                out.push_str(" = ");
                write(out, value, level + 1);
                out.push('\n');
            }
            out.extend(std::iter::repeat_n("  ", level));
            out.push('}');
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // These begin templates of HCL's own.
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            _ if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}
