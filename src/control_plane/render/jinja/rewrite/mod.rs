//! Templates in Jinja2's grammar, rewritten for the engine underneath.
//!
//! minijinja speaks nearly the same language. This parses tags by Jinja2's grammar and writes them out again with what differs made explicit:
//! precedence as brackets, whatever makes a value as a call that pays for it ([`super::budget`]), text and literals as constants. So text never
//! meets minijinja's own lexer. Each piece becomes one line, by which errors find back to the author's line.
//!
//! `environment.outputs.my-output` is no subtraction here: names of inputs and outputs may contain dashes.

mod expression;
mod postfix;
mod statement;

use std::collections::BTreeSet;
use std::fmt::Write;

use minijinja::Value;

use super::error::Broken;
use super::lexer::{Kind, Piece, Tag, Token};

/// What the rewritten template calls its helpers. Authors' names never start with the prefix.
pub(super) const PREFIX: &str = "__proton_";

/// How many operators, attributes and filters one tag may chain; the engine's compiler goes a level deeper for each.
const LINKS: usize = 2000;

/// A template that the engine understands.
#[derive(Debug, Default)]
pub(super) struct Rewritten<'s> {
    pub(super) source: String,
    /// Text and literals, which the source refers to by number.
    pub(super) constants: Vec<Value>,
    /// For each line of the source the author's line and tag.
    pub(super) places: Vec<Place<'s>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'s> {
    pub(super) line: usize,
    pub(super) tag: &'s str,
}

/// The names with dashes among inputs.
pub(super) type Dashed = BTreeSet<String>;

pub(super) fn rewrite<'s>(pieces: &[Piece<'s>], dashed: &Dashed) -> Result<Rewritten<'s>, Broken> {
    let mut rewritten = Rewritten::default();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let constant = constant(&mut rewritten.constants, *text);
                let _ = write!(rewritten.source, "{{{{{constant}\n}}}}");
                rewritten.places.push(Place { line: 0, tag: "" });
            }
            Piece::Output(tag) => {
                let mut parser = Parser::new(tag, dashed, &mut rewritten.constants);
                let expression = parser.tuple(true)?;
                parser.end()?;
                let _ = write!(rewritten.source, "{{{{ {expression}\n}}}}");
                rewritten.places.push(place(tag));
            }
            Piece::Statement(tag) => {
                let mut parser = Parser::new(tag, dashed, &mut rewritten.constants);
                let statement = parser.statement()?;
                parser.end()?;
                rewritten.source.push_str(&statement);
                rewritten.places.push(place(tag));
            }
        }
    }
    Ok(rewritten)
}

/// One expression, without a template around it.
pub(super) fn expression(tag: &Tag<'_>, dashed: &Dashed) -> Result<(String, Vec<Value>), Broken> {
    let mut constants = Vec::new();
    let mut parser = Parser::new(tag, dashed, &mut constants);
    let expression = parser.tuple(true)?;
    parser.end()?;
    Ok((expression, constants))
}

fn place<'s>(tag: &Tag<'s>) -> Place<'s> {
    Place {
        line: tag.line,
        tag: tag.source,
    }
}

fn constant(constants: &mut Vec<Value>, value: impl Into<Value>) -> String {
    constants.push(value.into());
    format!("{PREFIX}constants[{}]", constants.len() - 1)
}

struct Parser<'a, 's> {
    tokens: &'a [Token<'s>],
    at: usize,
    line: usize,
    column: usize,
    depth: usize,
    links: usize,
    dashed: &'a Dashed,
    constants: &'a mut Vec<Value>,
}

impl<'a, 's> Parser<'a, 's> {
    fn new(tag: &'a Tag<'s>, dashed: &'a Dashed, constants: &'a mut Vec<Value>) -> Self {
        Self {
            tokens: &tag.tokens,
            at: 0,
            line: tag.line,
            column: tag.column,
            depth: 0,
            links: 0,
            dashed,
            constants,
        }
    }

    fn broken(&self, rule: impl Into<String>) -> Broken {
        let line = self
            .tokens
            .get(self.at)
            .map_or(self.line, |token| token.line);
        Broken::new(line, rule)
    }

    fn peek(&self) -> Option<&'a Token<'s>> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token<'s>> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some(token)
    }

    fn is_operator(&self, text: &str) -> bool {
        self.peek()
            .is_some_and(|token| token.kind == Kind::Operator && token.text == text)
    }

    fn is_name(&self, text: &str) -> bool {
        self.peek()
            .is_some_and(|token| token.kind == Kind::Name && token.text == text)
    }

    fn skip_operator(&mut self, text: &str) -> bool {
        let found = self.is_operator(text);
        self.at += usize::from(found);
        found
    }

    fn skip_name(&mut self, text: &str) -> bool {
        let found = self.is_name(text);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, operator: &str) -> Result<(), Broken> {
        if self.skip_operator(operator) {
            return Ok(());
        }
        Err(self.unexpected(&format!("\"{operator}\"")))
    }

    fn link(&mut self) -> Result<(), Broken> {
        self.links += 1;
        if self.links > LINKS {
            return Err(self.broken(format!(
                "a tag holds more than {LINKS} operators, attributes and filters"
            )));
        }
        Ok(())
    }

    fn unexpected(&self, expected: &str) -> Broken {
        match self.peek() {
            Some(token) => self.broken(format!("expected {expected}, found {:?}", cut(token.text))),
            None => self.broken(format!("expected {expected}, found the end of the tag")),
        }
    }

    fn end(&self) -> Result<(), Broken> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the tag")),
        }
    }

    fn name(&mut self, what: &str) -> Result<&'s str, Broken> {
        match self.peek() {
            Some(token) if token.kind == Kind::Name => {
                self.at += 1;
                self.checked(token.text)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn checked(&self, name: &'s str) -> Result<&'s str, Broken> {
        if !name.is_ascii() {
            return Err(self.broken(format!(
                "the name {:?} has letters other than a to z",
                cut(name)
            )));
        }
        if name.starts_with(PREFIX) {
            return Err(self.broken(format!("names must not begin with {PREFIX}")));
        }
        Ok(name)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
