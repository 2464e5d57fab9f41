//! Reads YAML, of which JSON is a part, into values.
//!
//! CloudFormation's dialect is YAML 1.1 without timestamps, aliases and merges. Short forms of functions become their long forms, so that
//! the rest knows one form only. Reading builds on the parser's events with a stack of its own: nesting has a limit, and there
//! is nothing to expand.

use std::borrow::Cow;
use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::refusal::Refusal;
use super::value::Value;

/// The largest template that CloudFormation takes.
const MAX_BYTES: usize = 1_000_000;
/// What reads and evaluates a template recurses this deep.
const MAX_DEPTH: usize = 100;

pub(super) fn read(template: &[u8]) -> Result<Value, Refusal> {
    if template.len() > MAX_BYTES {
        return Err(Refusal::new(format!(
            "Template may not exceed {MAX_BYTES} bytes in size."
        )));
    }
    let text =
        str::from_utf8(template).map_err(|_| Refusal::format("the template is not UTF-8 text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);

    let mut reader = Reader::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            malformed(error.info(), marker.line(), marker.col() + 1)
        })?;
        reader.take(event, span)?;
    }
    reader.finish()
}

fn malformed(why: &str, line: usize, column: usize) -> Refusal {
    Refusal::format(format_args!(
        "YAML not well-formed. (line {line}, column {column}): {why}"
    ))
}

fn malformed_at(why: &str, span: Span) -> Refusal {
    malformed(why, span.start.line(), span.start.col() + 1)
}

/// A collection that is not complete yet.
struct Open {
    function: Option<&'static str>,
    body: Body,
}

enum Body {
    List(Vec<Value>),
    Map {
        entries: Vec<(String, Value)>,
        seen: HashSet<String>,
        key: Option<String>,
    },
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    root: Option<Value>,
    documents: usize,
    null_at: Option<String>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(malformed_at("a template is one document", span));
                }
                Ok(())
            }
            Event::Alias(_) => Err(Refusal::error(
                "YAML aliases are not allowed in CloudFormation templates",
            )),
            Event::Scalar(text, style, _, tag) => self.scalar(text, style, tag.as_deref(), span),
            Event::SequenceStart(_, tag) => {
                self.begin(Body::List(Vec::new()), tag.as_deref(), span)
            }
            Event::MappingStart(_, tag) => {
                let body = Body::Map {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                };
                self.begin(body, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser ends what it began");
                let value = match open.body {
                    Body::List(items) => Value::List(items),
                    Body::Map { entries, .. } => Value::Map(entries),
                };
                self.put(called(open.function, value), span)
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, body: Body, tag: Option<&Tag>, span: Span) -> Result<(), Refusal> {
        if self.awaits_key() {
            return Err(malformed_at("a key must be text", span));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Refusal::format(format_args!(
                "the template is nested more than {MAX_DEPTH} levels deep"
            )));
        }
        let function = function(tag, span)?;
        self.open.push(Open { function, body });
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Refusal> {
        let plain = style == ScalarStyle::Plain;
        if let Some(Open {
            body: Body::Map { seen, key, .. },
            ..
        }) = self.open.last_mut()
            && key.is_none()
        {
            if plain && text == "<<" {
                return Err(Refusal::error(
                    "YAML merge keys are not allowed in CloudFormation templates",
                ));
            }
            if !seen.insert(text.to_string()) {
                return Err(malformed_at(
                    &format!("the key {text:?} is given twice"),
                    span,
                ));
            }
            *key = Some(text.into_owned());
            return Ok(());
        }
        let function = function(tag, span)?;
        let untyped = plain && tag.is_none();
        if untyped && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
            let path = self.path();
            self.null_at.get_or_insert(path);
        }
        let text = match boolean(&text) {
            Some(boolean) if untyped => boolean.to_owned(),
            _ => text.into_owned(),
        };
        self.put(called(function, Value::Text(text)), span)
    }

    fn put(&mut self, value: Value, span: Span) -> Result<(), Refusal> {
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.root = Some(value),
            Some(Body::List(items)) => items.push(value),
            Some(Body::Map { entries, key, .. }) => {
                let key = key.take();
                let key = key.ok_or_else(|| malformed_at("a key must be text", span))?;
                entries.push((key, value));
            }
        }
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                body: Body::Map { key: None, .. },
                ..
            })
        )
    }

    /// Where the reader stands, as CloudFormation says it. It says `Type` where a reader would look for `Properties`.
    fn path(&self) -> String {
        let mut steps: Vec<Cow<'_, str>> = Vec::new();
        for open in &self.open {
            match &open.body {
                Body::List(items) => steps.push(items.len().to_string().into()),
                Body::Map { key, .. } => steps.push(key.as_deref().unwrap_or_default().into()),
            }
        }
        if steps.len() > 3 && steps[0] == "Resources" && steps[2] == "Properties" {
            steps[2] = "Type".into();
        }
        format!("/{}", steps.join("/"))
    }

    fn finish(self) -> Result<Value, Refusal> {
        let root = self.root.filter(|root| root.as_map().is_some());
        let root = root.ok_or_else(|| Refusal::format("unsupported structure."))?;
        match self.null_at {
            Some(path) => Err(Refusal::new(format!(
                "[{path}] 'null' values are not allowed in templates"
            ))),
            None => Ok(root),
        }
    }
}

/// The long form of a short form such as `!Sub`.
fn function(tag: Option<&Tag>, span: Span) -> Result<Option<&'static str>, Refusal> {
    let Some(tag) = tag else { return Ok(None) };
    if tag.is_yaml_core_schema() {
        return match tag.suffix.as_str() {
            "str" | "int" | "float" | "bool" | "seq" | "map" => Ok(None),
            other => Err(malformed_at(
                &format!("the type !!{other} is not allowed"),
                span,
            )),
        };
    }
    let long = match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "Ref") => "Ref",
        ("!", "Condition") => "Condition",
        ("!", "And") => "Fn::And",
        ("!", "Base64") => "Fn::Base64",
        ("!", "Cidr") => "Fn::Cidr",
        ("!", "Equals") => "Fn::Equals",
        ("!", "FindInMap") => "Fn::FindInMap",
        ("!", "GetAZs") => "Fn::GetAZs",
        ("!", "GetAtt") => "Fn::GetAtt",
        ("!", "If") => "Fn::If",
        ("!", "ImportValue") => "Fn::ImportValue",
        ("!", "Join") => "Fn::Join",
        ("!", "Not") => "Fn::Not",
        ("!", "Or") => "Fn::Or",
        ("!", "Select") => "Fn::Select",
        ("!", "Split") => "Fn::Split",
        ("!", "Sub") => "Fn::Sub",
        ("!", "Transform") => "Fn::Transform",
        (handle, suffix) => {
            return Err(malformed_at(
                &format!("the tag {handle}{suffix} is unknown"),
                span,
            ));
        }
    };
    Ok(Some(long))
}

fn called(function: Option<&'static str>, value: Value) -> Value {
    match (function, value) {
        (None, value) => value,
        (Some("Fn::GetAtt"), Value::Text(dotted)) => {
            let (resource, attribute) = dotted.split_once('.').unwrap_or((&dotted, ""));
            let arguments = Value::List(vec![Value::text(resource), Value::text(attribute)]);
            Value::Map(vec![("Fn::GetAtt".to_owned(), arguments)])
        }
        (Some(name), value) => Value::Map(vec![(name.to_owned(), value)]),
    }
}

/// YAML 1.1 has more words for a boolean than its successor.
fn boolean(text: &str) -> Option<&'static str> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some("true"),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some("false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn value(text: &str) -> Value {
        read(format!("v: {text}\n").as_bytes())
            .unwrap()
            .get("v")
            .unwrap()
            .clone()
    }

    fn refused(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn scalars_are_text_as_written() {
        for (written, text) in [
            ("2012-10-17", "2012-10-17"),
            ("1.20", "1.20"),
            ("0755", "0755"),
            ("012345678901", "012345678901"),
            ("'true'", "true"),
            ("True", "true"),
            ("Yes", "true"),
            ("!!str off", "off"),
            ("\"a\\nb\"", "a\nb"),
            ("''", ""),
            ("[1, 2]", "[1, 2]"),
        ] {
            if let Value::Text(read) = value(written) {
                assert_eq!(read, text, "{written}");
            } else {
                assert_eq!(written, text);
            }
        }
    }

    #[test]
    fn short_forms_become_long_forms() {
        let long = |text: &str| value(text);
        assert_eq!(value("!Ref 'X'"), long("{Ref: X}"));
        assert_eq!(value("!Ref >\n  X"), long("{Ref: \"X\\n\"}"));
        assert_eq!(value("!GetAtt A.B.C"), long("{'Fn::GetAtt': [A, B.C]}"));
        assert_eq!(value("!GetAtt [A, B]"), long("{'Fn::GetAtt': [A, B]}"));
        assert_eq!(
            value("!Select [0, !GetAZs '']"),
            long("{'Fn::Select': [0, {'Fn::GetAZs': ''}]}")
        );
        assert_eq!(
            value("!Base64 |\n  a\n  b"),
            long("{'Fn::Base64': \"a\\nb\\n\"}")
        );
        assert!(refused("v: !Upper x").contains("the tag !Upper is unknown"));
        assert!(refused("v: !!binary aGk=").contains("!!binary"));
    }

    #[test]
    fn json_is_read_with_tabs_and_escapes() {
        let json =
            "{\n\t\"v\": {\n\t\t\"a\":\"x\\/y\\u00e9\",\n\t\t\"b\": [1, true, \"2\"]\n\t}\n}\n";
        assert_eq!(
            read(json.as_bytes()).unwrap().get("v").unwrap(),
            &value("{a: x/yé, b: [1, true, 2]}")
        );
    }

    #[test]
    fn windows_line_ends_and_marks_are_read() {
        let text = "\u{feff}---\r\nv: |\r\n  a\r\n  b\r\nw: >-\r\n  c\r\n  d\r\n";
        let root = read(text.as_bytes()).unwrap();
        assert_eq!(root.get("v").unwrap().as_text(), Some("a\nb\n"));
        assert_eq!(root.get("w").unwrap().as_text(), Some("c d"));
    }

    #[test]
    fn a_null_is_refused_with_its_path() {
        assert_eq!(
            refused("Resources:\n  A:\n    Properties:\n      Tags: [{Key: a, Value: }]\n"),
            "[/Resources/A/Type/Tags/0/Value] 'null' values are not allowed in templates"
        );
        assert_eq!(
            refused("Outputs:\nResources: ~\n"),
            "[/Outputs] 'null' values are not allowed in templates"
        );
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_place() {
        assert!(
            refused("a: b: !Select [0, x]\n")
                .starts_with("Template format error: YAML not well-formed. (line 1, column")
        );
        assert!(refused("a: 1\nb: 2\na: 3\n").contains("(line 3, column 1): the key \"a\""));
        assert_eq!(refused(""), "Template format error: unsupported structure.");
        assert_eq!(
            refused("- a\n"),
            "Template format error: unsupported structure."
        );
        assert!(refused("a: 1\n---\nb: 2\n").contains("one document"));
        assert!(refused("[a]: 1\n").contains("a key must be text"));
        assert!(refused("a: &x 1\nb: *x\n").contains("aliases are not allowed"));
        assert!(refused("b: {<<: {c: 1}}\n").contains("merge keys are not allowed"));
        assert!(read(b"a: \xff\n").is_err());
        let large = format!("a: {}", "x".repeat(MAX_BYTES));
        assert_eq!(
            refused(&large),
            "Template may not exceed 1000000 bytes in size."
        );
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let laughs = (1..40).fold("a0: &a0 x\n".to_owned(), |text, level| {
            let before = level - 1;
            text + &format!("a{level}: &a{level} [*a{before}, *a{before}]\n")
        });
        let indented = (0..1000).map(|level| format!("{}a:\n", " ".repeat(level)));
        for bomb in [
            laughs,
            indented.collect(),
            "[".repeat(900_000),
            "{a: ".repeat(200_000),
            "- ".repeat(400_000),
            "? ".repeat(400_000),
            "&a ".repeat(300_000),
            "!a ".repeat(300_000),
            "\t".repeat(900_000),
            "a: \"".repeat(200_000),
        ] {
            let start = Instant::now();
            refused(&bomb);
            let lead: String = bomb.chars().take(12).collect();
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{lead} took {:?}",
                start.elapsed()
            );
        }
    }
}
