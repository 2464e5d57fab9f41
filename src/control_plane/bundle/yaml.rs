//! YAML as a tree that remembers lines.
//!
//! Manifests and schemas are small files that people write by hand, so what is wrong in them has to be said with a line number; that is what the
//! tree is for. Reading is bounded: nesting, nodes and alias expansion have a budget, and a key written twice is an error instead of a
//! silently lost half. Mappings keep their order.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::problem::{Problem, quoted};

/// A value and where it stands.
#[derive(Debug)]
pub(in crate::control_plane) struct Node {
    pub(in crate::control_plane) line: u64,
    pub(in crate::control_plane) value: Value,
}

#[derive(Debug)]
pub(in crate::control_plane) enum Value {
    Null,
    /// `written` is the author's spelling: a version such as 1.20 is text to us, and a number only to YAML.
    Bool {
        value: bool,
        written: String,
    },
    Number {
        value: Number,
        written: String,
    },
    String(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Parses a file that holds one YAML document.
pub(in crate::control_plane) fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Parsing recurses, and in a debug build a level takes 40 KiB of stack.
            max_depth: 24,
            flow_nesting_limit: 24,
            max_nodes: 50_000,
            max_events: 150_000,
            max_recorded_anchor_events: 50_000,
            max_recorded_anchor_bytes: 4 * 1024 * 1024,
            // With what aliases repeat.
            max_total_scalar_bytes: 4 * 1024 * 1024,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        // 0755 is a mode, 012345678901 an account, 12_34 a name: as numbers they would lose what makes them so.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // A tag such as !Ref would be dropped without a word.
        reject_unsupported_tags: true,
        // Without this a file fails that holds many lines of comments in a row.
        emit_comments: false,
        with_snippet: false,
    };
    let tree: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| unreadable(file, text, &error))?;
    Ok(Node::new(tree, text))
}

fn unreadable(file: &str, text: &str, error: &serde_saphyr::Error) -> Problem {
    let hint = if text.contains("{{") || text.contains("{%") {
        " (this file must be YAML before rendering: put Jinja expressions in quotes)"
    } else {
        ""
    };
    Problem::new(format!("{file} is not valid YAML: {error}{hint}"))
}

/// The tree as the parser hands it over.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(String, Spanned<Raw>)>),
}

impl Node {
    fn new(raw: Spanned<Raw>, text: &str) -> Self {
        let line = raw.defined.line();
        let written = || {
            let span = raw.defined.span();
            let start = usize::try_from(span.byte_offset()?).ok()?;
            let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
            Some(text.get(start..end)?.to_owned())
        };
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => {
                let written = written().unwrap_or_else(|| value.to_string());
                // YAML 1.1 knows them as booleans, its readers do not.
                if matches!(written.as_str(), "y" | "Y" | "n" | "N") {
                    Value::String(written)
                } else {
                    Value::Bool { value, written }
                }
            }
            Raw::Number(value) => {
                let written = written().unwrap_or_else(|| value.to_string());
                Value::Number { value, written }
            }
            Raw::String(text) => Value::String(text),
            Raw::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| Node::new(item, text))
                    .collect(),
            ),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, Node::new(value, text)))
                    .collect(),
            ),
        };
        Self { line, value }
    }

    /// The value of a key, where a key without a value counts as absent.
    pub(in crate::control_plane) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    pub(in crate::control_plane) fn as_map(&self) -> Option<&[(String, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    pub(in crate::control_plane) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(in crate::control_plane) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::control_plane) fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool { value, .. } => Some(value),
            _ => None,
        }
    }

    pub(in crate::control_plane) fn as_number(&self) -> Option<&Number> {
        match &self.value {
            Value::Number { value, .. } => Some(value),
            _ => None,
        }
    }

    /// A scalar as it is written, for places where `1.20` and `true` are meant as text.
    pub(in crate::control_plane) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            Value::Bool { written, .. } | Value::Number { written, .. } => Some(written),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(in crate::control_plane) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool { value, .. } => (*value).into(),
            Value::Number { value, .. } => value.clone().into(),
            Value::String(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, node)| (key.clone(), node.to_json()))
                .collect(),
        }
    }

    /// What stands here, for messages that say what was expected instead.
    pub(in crate::control_plane) fn described(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool { written, .. } => format!("the boolean {}", cut(written)),
            Value::Number { written, .. } => format!("the number {}", cut(written)),
            Value::String(text) => quoted(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

fn cut(written: &str) -> String {
    written.chars().take(40).collect()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Number::from_f64(value)
            .map(Raw::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn read(text: &str) -> serde_json::Value {
        parse("f.yaml", text).unwrap().to_json()
    }

    fn refused(text: &str) -> String {
        parse("f.yaml", text).unwrap_err().message().to_owned()
    }

    #[test]
    fn nodes_know_their_lines() {
        let tree = parse("f.yaml", "# head\na:\n  b: 1\n  c:\n    - x\n").unwrap();
        assert_eq!(tree.line, 2);
        assert_eq!(tree.get("a").unwrap().get("b").unwrap().line, 3);
        assert_eq!(
            tree.get("a").unwrap().get("c").unwrap().as_list().unwrap()[0].line,
            5
        );
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let tree = parse(
            "f.yaml",
            "é: 1.20\nn: 0755\nb: Yes\nd: 2012-10-17\nq: '1.20'\nx: &x 1.10\ny: *x\n",
        )
        .unwrap();
        for (key, written) in [
            ("é", "1.20"),
            ("n", "0755"),
            ("b", "Yes"),
            ("d", "2012-10-17"),
            ("q", "1.20"),
            ("x", "1.10"),
            ("y", "1.10"),
        ] {
            assert_eq!(tree.get(key).unwrap().as_text(), Some(written), "{key}");
        }
        assert!(tree.get("d").unwrap().as_str().is_some(), "a date is text");
        assert!(
            tree.get("q").unwrap().as_str().is_some(),
            "what is quoted is text"
        );
        assert_eq!(tree.get("b").unwrap().as_bool(), Some(true));
    }

    #[test]
    fn what_would_change_as_a_number_or_a_boolean_is_text() {
        assert_eq!(
            read("[0755, -012, 012345678901, 1_000, y, N, &a n, *a, 2012-10-17, 12:30]"),
            serde_json::json!([
                "0755",
                "-012",
                "012345678901",
                "1_000",
                "y",
                "N",
                "n",
                "n",
                "2012-10-17",
                "12:30"
            ])
        );
        assert_eq!(
            read("[0, 0.5, -0.5, 0x1F, 1e3, yes, Off, !!bool y]"),
            serde_json::json!([0, 0.5, -0.5, 31, 1000.0, true, false, "y"])
        );
    }

    #[test]
    fn the_oddities_of_hand_written_files_are_read() {
        assert_eq!(read("---\r\na: 1\r\nb: |\r\n  x\r\n  y\r\n")["b"], "x\ny\n");
        assert_eq!(
            read("{a: [1, 'two', {\"three\": null}]}").to_string(),
            r#"{"a":[1,"two",{"three":null}]}"#
        );
        assert_eq!(
            read("a: >-\n  {\"x\": \"{{ y }}\"}\n  {% if z %}\n")["a"],
            "{\"x\": \"{{ y }}\"} {% if z %}"
        );
        assert_eq!(
            read("1: a\ntrue: b\n").to_string(),
            r#"{"1":"a","true":"b"}"#
        );
        assert_eq!(
            read(&format!("{}a: 1\n", "# comment\n".repeat(500)))["a"],
            1
        );
        assert_eq!(
            read(&format!("a:\n{}  b: 1\n", "  # comment\n".repeat(500)))["a"]["b"],
            1
        );
    }

    #[test]
    fn a_key_written_twice_is_refused_with_its_line() {
        let message = refused("a: 1\nb: 2\na: 3\n");
        assert!(
            message.starts_with("f.yaml is not valid YAML: ") && message.contains("line 3"),
            "{message}"
        );
    }

    #[test]
    fn tags_are_refused_instead_of_dropped() {
        assert!(refused("a: !Ref b\n").contains("!Ref"));
    }

    #[test]
    fn several_documents_are_refused() {
        refused("a: 1\n---\nb: 2\n");
    }

    #[test]
    fn bare_jinja_gets_a_hint() {
        assert!(
            refused("a: {{ environment.inputs.x }}\n").contains("put Jinja expressions in quotes")
        );
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        let merges = (1..30).fold("a0: &a0 {k: v}\n".to_owned(), |text, level| {
            let before = level - 1;
            text + &format!("a{level}: &a{level}\n  x: *a{before}\n  y: *a{before}\n")
        });
        let indented = (0..5000)
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect::<String>();
        let bombs = [
            laughs,
            merges,
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            indented,
            "? ".repeat(50_000),
            "&a ".repeat(50_000),
        ];
        for bomb in bombs {
            let start = Instant::now();
            refused(&bomb);
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "{} took {:?}",
                &bomb[..20],
                start.elapsed()
            );
        }
    }

    #[test]
    fn nesting_within_the_budget_fits_the_stack_of_a_worker_thread() {
        let lists = format!("{}{}", "[".repeat(24), "]".repeat(24));
        let maps = format!("{}b{}", "{a: ".repeat(24), "}".repeat(24));
        let parse_both = move || {
            parse("f.yaml", &lists)?;
            parse("f.yaml", &maps).map(drop)
        };
        let thread = std::thread::Builder::new().stack_size(1536 * 1024);
        thread.spawn(parse_both).unwrap().join().unwrap().unwrap();
    }
}
