//! The types of a schema, as a tree that keeps the order of properties.
//!
//! References between types stay references, because types may contain themselves; [`Schema::resolve`](super::Schema::resolve) follows them.

use std::fmt;

use serde_json::Number;

use super::super::problem::{Problem, quoted};
use super::super::yaml::{Node, Value};
use super::invalid;

/// A Schema Object of OpenAPI 3.0. A keyword that was not given is `None`, empty or `false`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Type {
    /// The named type that stands here instead; all else is empty then.
    pub reference: Option<String>,
    pub kind: Option<TypeKind>,
    pub nullable: bool,
    pub title: Option<String>,
    pub description: Option<String>,
    pub default: Option<serde_json::Value>,
    pub enumeration: Vec<serde_json::Value>,
    pub format: Option<String>,

    pub minimum: Option<Number>,
    pub exclusive_minimum: bool,
    pub maximum: Option<Number>,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<Number>,

    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    /// Searched for, not matched against the whole value.
    pub pattern: Option<String>,

    pub items: Option<Box<Type>>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique_items: bool,

    pub properties: Vec<(String, Type)>,
    pub required: Vec<String>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub additional_properties: Additional,

    pub all_of: Vec<Type>,
    pub any_of: Vec<Type>,
    pub one_of: Vec<Type>,
}

impl Type {
    pub fn property(&self, name: &str) -> Option<&Type> {
        self.properties
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, property)| property)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
}

impl TypeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let kinds = [
            Self::String,
            Self::Number,
            Self::Integer,
            Self::Boolean,
            Self::Array,
            Self::Object,
        ];
        kinds.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What an object may hold beside its properties.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Additional {
    #[default]
    Anything,
    Nothing,
    Of(Box<Type>),
}

/// Where in the types something stands; spelled out only for a message.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn child(&'a self, name: &'a str) -> Place<'a> {
        Place {
            parent: Some(self),
            name,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        self.name
            .chars()
            .take(60)
            .try_for_each(|char| write!(f, "{}", char.escape_debug()))
    }
}

/// Reads types, knowing which names a reference may use.
pub(super) struct Reader<'a> {
    named: Vec<&'a str>,
}

impl Reader<'_> {
    pub(super) fn types(node: &Node) -> Result<Vec<(String, Type)>, Problem> {
        let Some(entries) = node.as_map() else {
            return Err(invalid(
                node,
                format_args!("types must be a mapping, not {}", node.described()),
            ));
        };
        let reader = Reader {
            named: entries.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let place = Place {
            parent: None,
            name: "types",
        };
        let types = reader.members(entries, &place)?;
        refuse_loops(&types, entries)?;
        Ok(types)
    }

    fn members(
        &self,
        entries: &[(String, Node)],
        place: &Place<'_>,
    ) -> Result<Vec<(String, Type)>, Problem> {
        entries
            .iter()
            .map(|(name, node)| Ok((name.clone(), self.one(node, &place.child(name))?)))
            .collect()
    }

    fn one(&self, node: &Node, place: &Place<'_>) -> Result<Type, Problem> {
        // `port:` with nothing behind it is a property of any type.
        if matches!(node.value, Value::Null) {
            return Ok(Type::default());
        }
        if node.as_map().is_none() {
            return Err(invalid(
                node,
                format_args!(
                    "{place} must be a mapping with a type, not {}",
                    node.described()
                ),
            ));
        }
        let at = Keywords { node, place };
        if let Some(reference) = at.get("$ref") {
            return Ok(Type {
                reference: Some(self.reference(reference, place)?),
                ..Type::default()
            });
        }
        let mut of = Type {
            kind: at.kind()?,
            nullable: at.flag("nullable")?,
            title: at.text("title")?,
            description: at.text("description")?,
            default: at.get("default").map(Node::to_json),
            enumeration: at.enumeration()?,
            format: at.text("format")?,
            minimum: at.number("minimum")?,
            exclusive_minimum: at.flag("exclusiveMinimum")?,
            maximum: at.number("maximum")?,
            exclusive_maximum: at.flag("exclusiveMaximum")?,
            multiple_of: at.number("multipleOf")?,
            min_length: at.count("minLength")?,
            max_length: at.count("maxLength")?,
            pattern: at.text("pattern")?,
            items: at
                .get("items")
                .map(|items| self.one(items, &place.child("items")))
                .transpose()?
                .map(Box::new),
            min_items: at.count("minItems")?,
            max_items: at.count("maxItems")?,
            unique_items: at.flag("uniqueItems")?,
            properties: self.properties(&at)?,
            required: at.required()?,
            min_properties: at.count("minProperties")?,
            max_properties: at.count("maxProperties")?,
            additional_properties: self.additional(&at)?,
            all_of: self.list(&at, "allOf")?,
            any_of: self.list(&at, "anyOf")?,
            one_of: self.list(&at, "oneOf")?,
            reference: None,
        };
        if of.kind.is_none() && !of.properties.is_empty() {
            of.kind = Some(TypeKind::Object);
        }
        Ok(of)
    }

    /// The name behind `#/schema/types/Name`; the last step names the type, whatever leads to it.
    fn reference(&self, node: &Node, place: &Place<'_>) -> Result<String, Problem> {
        let target = node.as_str().unwrap_or_default();
        let (way, name) = target
            .strip_prefix('#')
            .and_then(|way| way.rsplit_once('/'))
            .unwrap_or(("?", ""));
        let known_way = matches!(
            way,
            "" | "/types" | "/schema/types" | "/components/schemas" | "/definitions"
        );
        if !known_way || !self.named.contains(&name) {
            let found = node.described();
            return Err(invalid(
                node,
                format_args!(
                    "{place}.$ref must be \"#/schema/types/\" and the name of a type, not {found}"
                ),
            ));
        }
        Ok(name.to_owned())
    }

    fn properties(&self, at: &Keywords<'_>) -> Result<Vec<(String, Type)>, Problem> {
        let Some(node) = at.get("properties") else {
            return Ok(Vec::new());
        };
        let entries = node
            .as_map()
            .ok_or_else(|| at.wrong(node, "properties", "a mapping"))?;
        self.members(entries, &at.place.child("properties"))
    }

    fn additional(&self, at: &Keywords<'_>) -> Result<Additional, Problem> {
        let Some(node) = at.get("additionalProperties") else {
            return Ok(Additional::Anything);
        };
        match node.as_bool() {
            Some(true) => Ok(Additional::Anything),
            Some(false) => Ok(Additional::Nothing),
            None => Ok(Additional::Of(Box::new(
                self.one(node, &at.place.child("additionalProperties"))?,
            ))),
        }
    }

    fn list(&self, at: &Keywords<'_>, keyword: &str) -> Result<Vec<Type>, Problem> {
        let Some(node) = at.get(keyword) else {
            return Ok(Vec::new());
        };
        let items = node
            .as_list()
            .ok_or_else(|| at.wrong(node, keyword, "a list"))?;
        items
            .iter()
            .map(|item| self.one(item, &at.place.child(keyword)))
            .collect()
    }
}

/// A type that is nothing but references back to itself has no meaning.
fn refuse_loops(types: &[(String, Type)], entries: &[(String, Node)]) -> Result<(), Problem> {
    let target = |of: &Type| {
        of.reference
            .as_ref()
            .and_then(|name| types.iter().find(|(known, _)| known == name))
    };
    for ((name, start), (_, node)) in types.iter().zip(entries) {
        let mut steps = 0;
        let mut current = start;
        while let Some((_, next)) = target(current) {
            steps += 1;
            if steps > MAX_REFERENCE_STEPS {
                return Err(invalid(
                    node,
                    format_args!("types: the $ref of {} leads nowhere", quoted(name)),
                ));
            }
            current = next;
        }
    }
    Ok(())
}

/// How many references in a row may lead to a type.
const MAX_REFERENCE_STEPS: usize = 16;

/// The keywords of one Schema Object, each read as what it has to be.
struct Keywords<'a> {
    node: &'a Node,
    place: &'a Place<'a>,
}

impl<'a> Keywords<'a> {
    fn get(&self, keyword: &str) -> Option<&'a Node> {
        self.node.get(keyword)
    }

    fn wrong(&self, node: &Node, keyword: &str, expected: &str) -> Problem {
        invalid(
            node,
            format_args!(
                "{}.{keyword} must be {expected}, not {}",
                self.place,
                node.described()
            ),
        )
    }

    fn read<T>(
        &self,
        keyword: &str,
        expected: &str,
        read: impl FnOnce(&'a Node) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(node) = self.get(keyword) else {
            return Ok(None);
        };
        read(node)
            .map(Some)
            .ok_or_else(|| self.wrong(node, keyword, expected))
    }

    fn kind(&self) -> Result<Option<TypeKind>, Problem> {
        let expected = "string, number, integer, boolean, array or object";
        self.read("type", expected, |node| TypeKind::from_name(node.as_str()?))
    }

    fn text(&self, keyword: &str) -> Result<Option<String>, Problem> {
        self.read(keyword, "text", |node| node.as_text().map(str::to_owned))
    }

    fn flag(&self, keyword: &str) -> Result<bool, Problem> {
        Ok(self
            .read(keyword, "true or false", Node::as_bool)?
            .unwrap_or_default())
    }

    fn number(&self, keyword: &str) -> Result<Option<Number>, Problem> {
        self.read(keyword, "a number", |node| node.as_number().cloned())
    }

    fn count(&self, keyword: &str) -> Result<Option<u64>, Problem> {
        self.read(keyword, "a whole number, zero or more", |node| {
            node.as_number()?.as_u64()
        })
    }

    fn enumeration(&self) -> Result<Vec<serde_json::Value>, Problem> {
        let expected = "a list with at least one value";
        let values = self.read("enum", expected, |node| {
            node.as_list().filter(|items| !items.is_empty())
        })?;
        Ok(values
            .unwrap_or_default()
            .iter()
            .map(Node::to_json)
            .collect())
    }

    fn required(&self) -> Result<Vec<String>, Problem> {
        // `required: true` on a property is what older JSON schemas had; OpenAPI gives it no meaning.
        if self
            .get("required")
            .is_some_and(|node| node.as_bool().is_some())
        {
            return Ok(Vec::new());
        }
        let names = |node: &Node| {
            node.as_list()?
                .iter()
                .map(|item| item.as_text().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        Ok(self
            .read("required", "a list of names", names)?
            .unwrap_or_default())
    }
}
