//! What follows a value: attributes, subscripts, calls, filters and tests.

use std::fmt::Write as _;

use super::super::error::Broken;
use super::super::lexer::Kind;
use super::super::proton::is_block;
use super::expression::number;
use super::{PREFIX, Parser, constant};

impl Parser<'_, '_> {
    /// Attributes, subscripts and calls.
    pub(super) fn postfix(&mut self, mut value: String) -> Result<String, Broken> {
        // The attribute before the next one: only inputs and outputs have names with dashes.
        let mut inside = "";
        loop {
            self.link()?;
            if self.skip_operator(".") {
                let Some(token) = self.next() else {
                    return Err(self.unexpected("an attribute"));
                };
                match token.kind {
                    Kind::Name => {
                        let name = self.dashed(token.text, inside);
                        inside = token.text;
                        self.attribute(&mut value, &name)?;
                    }
                    Kind::Number => {
                        inside = "";
                        let index = number(token.text).unwrap_or_default();
                        let _ = write!(value, "[{}]", constant(self.constants, index));
                    }
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected("an attribute"));
                    }
                }
            } else if self.skip_operator("[") {
                inside = "";
                let subscript = self.subscript()?;
                let _ = write!(value, "[{subscript}]");
            } else if self.is_operator("(") {
                inside = "";
                // Macros and loops pay for the text that they write.
                let pays = value.contains('.') || matches!(&value[..], "dict" | "namespace");
                value.push_str(&self.arguments()?);
                if pays {
                    value = format!("({value}|{PREFIX}own)");
                }
            } else {
                return Ok(value);
            }
        }
    }

    pub(super) fn attribute(&self, value: &mut String, name: &str) -> Result<(), Broken> {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain && !name.starts_with(|c: char| c.is_ascii_digit()) {
            value.push('.');
            value.push_str(name);
            return Ok(());
        }
        let quotable = !name.contains(['"', '\\']);
        debug_assert!(quotable, "names have neither quotes nor backslashes");
        let _ = write!(value, "[\"{name}\"]");
        Ok(())
    }

    /// The attribute's whole name when dashes belong to it. Outputs are text, of which nothing is ever subtracted; inputs may be numbers, so
    /// there the name must exist.
    pub(super) fn dashed(&mut self, first: &str, inside: &str) -> String {
        let mut name = first.to_owned();
        let mut end = self.at;
        let mut candidate = first.to_owned();
        while let Some(token) = self.tokens.get(end) {
            let belongs = token.glued
                && (token.text == "-" || matches!(token.kind, Kind::Name | Kind::Number));
            if !belongs || !matches!(inside, "inputs" | "outputs") {
                break;
            }
            candidate.push_str(token.text);
            end += 1;
            if token.text != "-" && (inside == "outputs" || self.dashed.contains(&candidate)) {
                name.clone_from(&candidate);
                self.at = end;
            }
        }
        name
    }

    pub(super) fn subscript(&mut self) -> Result<String, Broken> {
        let mut subscript = String::new();
        while !self.is_operator("]") {
            if self.skip_operator(":") {
                subscript.push(':');
            } else {
                let _ = write!(subscript, "{}", self.expression()?);
                if !self.is_operator(":") && !self.is_operator("]") {
                    return Err(self.unexpected("\"]\""));
                }
            }
        }
        self.expect("]")?;
        if subscript.is_empty() {
            return Err(self.broken("a subscript is missing between [ and ]"));
        }
        Ok(subscript)
    }

    pub(super) fn arguments(&mut self) -> Result<String, Broken> {
        self.expect("(")?;
        let arguments = self.items(")", |parser| {
            let named = parser
                .tokens
                .get(parser.at + 1)
                .is_some_and(|token| token.text == "=");
            if named {
                let name = parser.name("an argument")?;
                parser.expect("=")?;
                return Ok(format!("{name}={}", parser.expression()?));
            }
            if parser.is_operator("*") || parser.is_operator("**") {
                return Err(parser.broken("arguments cannot be unpacked"));
            }
            parser.expression()
        })?;
        Ok(format!("({arguments})"))
    }

    /// Filters and tests, and calls of what they return.
    pub(super) fn filtered(&mut self, mut value: String) -> Result<String, Broken> {
        loop {
            self.link()?;
            if self.is_operator("|") {
                let filters = self.filters()?;
                value = format!("({value}{filters})");
            } else if self.is_name("is") {
                self.at += 1;
                value = self.test(&value)?;
            } else if self.is_operator("(") {
                value = self.postfix(value)?;
            } else {
                return Ok(value);
            }
        }
    }

    pub(super) fn filters(&mut self) -> Result<String, Broken> {
        let mut filters = String::new();
        while self.skip_operator("|") {
            self.link()?;
            let filter = self.filter_name()?;
            let _ = write!(filters, "|{filter}|{PREFIX}own");
        }
        Ok(filters)
    }

    pub(super) fn filter_name(&mut self) -> Result<String, Broken> {
        let name = self.name("a filter")?;
        let mut arguments = if self.is_operator("(") {
            self.arguments()?
        } else {
            String::new()
        };
        if is_block(name) {
            // The filter aligns the lines of its result to the place of the expression.
            let inner = arguments.trim_start_matches('(').trim_end_matches(')');
            let comma = if inner.is_empty() { "" } else { ", " };
            let before = arguments.strip_suffix(')').unwrap_or("(");
            arguments = format!("{before}{comma}column={})", self.column);
        }
        Ok(format!("{name}{arguments}"))
    }

    pub(super) fn test(&mut self, value: &str) -> Result<String, Broken> {
        let negated = self.skip_name("not");
        let name = self.name("a test")?;
        let mut test = format!("{value} is {name}");
        if self.is_operator("(") {
            test.push_str(&self.arguments()?);
        } else if self.starts_argument() {
            if self.is_name("is") {
                return Err(self.broken("tests cannot be chained with is"));
            }
            let argument = self.primary()?;
            let argument = self.postfix(argument)?;
            let _ = write!(test, "({argument})");
        }
        Ok(if negated {
            format!("(not ({test}))")
        } else {
            format!("({test})")
        })
    }

    /// Whether an argument of a test follows without brackets.
    pub(super) fn starts_argument(&self) -> bool {
        self.peek().is_some_and(|token| match &token.kind {
            Kind::Name => !matches!(token.text, "else" | "or" | "and" | "if" | "in" | "not"),
            Kind::Number | Kind::String(_) => true,
            Kind::Operator => matches!(token.text, "[" | "{"),
        })
    }
}
