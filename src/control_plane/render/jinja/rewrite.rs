//! Templates in Jinja2's grammar, rewritten for the engine underneath.
//!
//! minijinja speaks nearly the same language. This parses tags by Jinja2's grammar and writes them out again with what differs made explicit:
//! precedence as brackets, whatever makes a value as a call that pays for it ([`super::budget`]), text and literals as constants. So text never
//! meets minijinja's own lexer. Each piece becomes one line, by which errors find back to the author's line.
//!
//! `environment.outputs.my-output` is no subtraction here: names of inputs and outputs may contain dashes.

use std::collections::BTreeSet;
use std::fmt::Write;

use minijinja::Value;

use super::error::Broken;
use super::lexer::{Kind, Piece, Tag, Token};

/// What the rewritten template calls its helpers. Authors' names never start with the prefix.
pub(super) const PREFIX: &str = "__proton_";

/// How deep brackets may be nested in an expression; the engine's own parser takes a few levels for each.
const DEPTH: usize = 40;

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

    // Statements.

    fn statement(&mut self) -> Result<String, Broken> {
        let keyword = self.name("a statement")?;
        let inner = match keyword {
            "for" => self.for_loop()?,
            "if" | "elif" => format!("{keyword} {}", self.condition()?),
            "set" => self.set()?,
            "with" => self.with()?,
            "macro" => {
                let name = self.name("the macro's name")?;
                format!("macro {name}{}", self.parameters()?)
            }
            "call" => {
                let parameters = if self.is_operator("(") {
                    self.parameters()?
                } else {
                    String::new()
                };
                format!("call{parameters} {}", self.unary(true)?)
            }
            "filter" => {
                let filter = self.filter_name()?;
                format!("filter {filter}{}", self.filters()?)
            }
            "print" => {
                // Its items are printed one after the other, not as a tuple.
                let mut outputs = Vec::new();
                while outputs.is_empty() || self.skip_operator(",") {
                    outputs.push(format!("{{{{ {} }}}}", self.expression()?));
                }
                let last = outputs.last_mut().expect("there is at least one");
                last.insert(last.len() - 2, '\n');
                return Ok(outputs.concat());
            }
            "else" | "endif" | "endfor" | "endset" | "endwith" | "endmacro" | "endcall"
            | "endfilter" => keyword.to_owned(),
            "include" | "import" | "from" | "extends" | "block" | "endblock" => {
                return Err(self.broken(format!(
                    "{keyword} is not available: a template stands alone"
                )));
            }
            _ => return Err(self.broken(format!("{:?} is no statement of Jinja", cut(keyword)))),
        };
        Ok(format!("{{% {inner}\n%}}"))
    }

    fn for_loop(&mut self) -> Result<String, Broken> {
        let targets = self.targets()?;
        if !self.skip_name("in") {
            return Err(self.unexpected("\"in\""));
        }
        let mut statement = format!("for {targets} in {}", self.tuple(false)?);
        if self.skip_name("if") {
            let _ = write!(statement, " if {}", self.condition()?);
        }
        if self.skip_name("recursive") {
            statement.push_str(" recursive");
        }
        Ok(statement)
    }

    fn set(&mut self) -> Result<String, Broken> {
        let targets = self.targets()?;
        if !self.skip_operator("=") {
            return Ok(format!("set {targets}{}", self.filters()?));
        }
        let value = self.tuple(true)?;
        if targets.contains('.') {
            return Ok(format!("set {targets} = ({value}|{PREFIX}keep)"));
        }
        Ok(format!("set {targets} = {value}"))
    }

    /// Names to assign to.
    fn targets(&mut self) -> Result<String, Broken> {
        let bracketed = self.skip_operator("(");
        let mut targets = String::new();
        loop {
            targets.push_str(self.name("a name to assign to")?);
            if self.skip_operator(".") {
                let _ = write!(targets, ".{}", self.name("an attribute")?);
            }
            if !self.skip_operator(",") {
                break;
            }
            targets.push_str(", ");
            if self.is_operator("=") || self.is_operator(")") || self.is_name("in") {
                break;
            }
        }
        if bracketed {
            self.expect(")")?;
        }
        if targets.contains(',') {
            return Ok(format!("({targets})"));
        }
        Ok(targets)
    }

    fn with(&mut self) -> Result<String, Broken> {
        let mut assignments = Vec::new();
        while self.peek().is_some() {
            let name = self.name("a name to assign to")?;
            self.expect("=")?;
            assignments.push(format!("{name} = {}", self.expression()?));
            if !self.skip_operator(",") {
                break;
            }
        }
        Ok(format!("with {}", assignments.join(", ")))
    }

    fn parameters(&mut self) -> Result<String, Broken> {
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.is_operator(")") {
            let name = self.name("a parameter")?;
            parameters.push(if self.skip_operator("=") {
                format!("{name}={}", self.expression()?)
            } else {
                name.to_owned()
            });
            if !self.skip_operator(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(format!("({})", parameters.join(", ")))
    }

    // Expressions, from the loosest binding to the tightest.

    /// `a, b` is a tuple also without brackets.
    fn tuple(&mut self, conditional: bool) -> Result<String, Broken> {
        let item = |parser: &mut Self| match conditional {
            true => parser.expression(),
            false => parser.condition(),
        };
        let first = item(self)?;
        if !self.is_operator(",") {
            return Ok(first);
        }
        let mut items = format!("{first},");
        while self.skip_operator(",") {
            if self.peek().is_none() || self.is_operator(")") || self.is_operator("=") {
                break;
            }
            let _ = write!(items, "{},", item(self)?);
        }
        Ok(format!("(({items})|{PREFIX}own)"))
    }

    fn expression(&mut self) -> Result<String, Broken> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.broken(format!("brackets are nested more than {DEPTH} deep")));
        }
        let mut value = self.condition()?;
        while self.skip_name("if") {
            self.link()?;
            let test = self.condition()?;
            value = if self.skip_name("else") {
                format!("({value} if {test} else {})", self.expression()?)
            } else {
                format!("({value} if {test})")
            };
        }
        self.depth -= 1;
        Ok(value)
    }

    fn condition(&mut self) -> Result<String, Broken> {
        let mut value = self.conjunction()?;
        while self.skip_name("or") {
            self.link()?;
            let _ = write!(value, " or {}", self.conjunction()?);
        }
        Ok(format!("({value})"))
    }

    fn conjunction(&mut self) -> Result<String, Broken> {
        let mut value = self.negation()?;
        while self.skip_name("and") {
            self.link()?;
            let _ = write!(value, " and {}", self.negation()?);
        }
        Ok(value)
    }

    fn negation(&mut self) -> Result<String, Broken> {
        let mut negations = 0;
        while self.skip_name("not") {
            negations += 1;
        }
        let value = self.comparison()?;
        Ok(match negations {
            0 => value,
            odd if odd % 2 == 1 => format!("(not {value})"),
            _ => format!("(not (not {value}))"),
        })
    }

    fn comparison(&mut self) -> Result<String, Broken> {
        let mut operands = vec![self.sum()?];
        let mut operators = Vec::new();
        while let Some(operator) = self.comparison_operator() {
            self.link()?;
            operators.push(operator);
            operands.push(self.sum()?);
        }
        if let ([operator @ ("<" | "<=" | ">" | ">=")], [a, b]) = (&operators[..], &operands[..]) {
            return Ok(format!("{PREFIX}ordered({a}, \"{operator}\", {b})"));
        }
        let mut value = operands.remove(0);
        for (operator, operand) in operators.iter().zip(operands) {
            let _ = write!(value, " {operator} {operand}");
        }
        Ok(value)
    }

    fn comparison_operator(&mut self) -> Option<&'static str> {
        for operator in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.skip_operator(operator) {
                return Some(operator);
            }
        }
        if self.skip_name("in") {
            return Some("in");
        }
        let not_in = self.is_name("not")
            && self
                .tokens
                .get(self.at + 1)
                .is_some_and(|token| token.text == "in");
        not_in.then(|| {
            self.at += 2;
            "not in"
        })
    }

    fn sum(&mut self) -> Result<String, Broken> {
        let mut value = self.concatenation()?;
        loop {
            self.link()?;
            if self.skip_operator("+") {
                let mut operands = value;
                loop {
                    let _ = write!(operands, ", {}", self.concatenation()?);
                    if !self.skip_operator("+") {
                        break;
                    }
                }
                value = format!("{PREFIX}add({operands})");
            } else if self.skip_operator("-") {
                let mut operands = value;
                loop {
                    self.link()?;
                    let _ = write!(operands, " - {}", self.concatenation()?);
                    if !self.skip_operator("-") {
                        break;
                    }
                }
                value = format!("({operands})");
            } else {
                return Ok(value);
            }
        }
    }

    fn concatenation(&mut self) -> Result<String, Broken> {
        let first = self.product()?;
        if !self.is_operator("~") {
            return Ok(first);
        }
        let mut operands = first;
        while self.skip_operator("~") {
            let _ = write!(operands, ", {}", self.product()?);
        }
        Ok(format!("{PREFIX}concatenate({operands})"))
    }

    fn product(&mut self) -> Result<String, Broken> {
        let mut value = self.power()?;
        loop {
            self.link()?;
            if self.skip_operator("*") {
                value = format!("{PREFIX}multiply({value}, {})", self.power()?);
            } else if self.skip_operator("%") {
                value = format!("{PREFIX}modulo({value}, {})", self.power()?);
            } else if self.skip_operator("//") {
                value = format!("({value} // {})", self.power()?);
            } else if self.skip_operator("/") {
                value = format!("({value} / {})", self.power()?);
            } else {
                return Ok(value);
            }
        }
    }

    /// Binds to the left in Jinja2, unlike in Python.
    fn power(&mut self) -> Result<String, Broken> {
        let mut value = self.unary(true)?;
        while self.skip_operator("**") {
            self.link()?;
            value = format!("({value} ** {})", self.unary(true)?);
        }
        Ok(value)
    }

    fn unary(&mut self, with_filters: bool) -> Result<String, Broken> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.broken(format!(
                "signs and brackets are nested more than {DEPTH} deep"
            )));
        }
        let value = if self.skip_operator("-") {
            format!("(-{})", self.unary(false)?)
        } else if self.skip_operator("+") {
            format!("{PREFIX}add(0, {})", self.unary(false)?)
        } else {
            self.primary()?
        };
        self.depth -= 1;
        let value = self.postfix(value)?;
        if with_filters {
            return self.filtered(value);
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<String, Broken> {
        let Some(token) = self.peek() else {
            return Err(self.unexpected("an expression"));
        };
        match &token.kind {
            Kind::Name => {
                self.at += 1;
                match token.text {
                    "and" | "or" | "not" | "if" | "else" | "in" | "is" | "elif" => {
                        self.at -= 1;
                        Err(self.unexpected("an expression"))
                    }
                    name => Ok(self.checked(name)?.to_owned()),
                }
            }
            Kind::Number => {
                let Some(number) = number(token.text) else {
                    return Err(
                        self.broken(format!("{} is no number, or too large", cut(token.text)))
                    );
                };
                self.at += 1;
                Ok(constant(self.constants, number))
            }
            Kind::String(text) => {
                self.at += 1;
                let mut text = text.clone();
                while let Some(Kind::String(more)) = self.peek().map(|token| &token.kind) {
                    text.push_str(more);
                    self.at += 1;
                }
                Ok(constant(self.constants, text))
            }
            Kind::Operator => match token.text {
                "(" => {
                    self.at += 1;
                    if self.skip_operator(")") {
                        return Ok("()".to_owned());
                    }
                    let value = self.tuple(true)?;
                    self.expect(")")?;
                    Ok(value)
                }
                "[" => {
                    self.at += 1;
                    let items = self.items("]", |parser| parser.expression())?;
                    Ok(format!("([{items}]|{PREFIX}own)"))
                }
                "{" => {
                    self.at += 1;
                    let items = self.items("}", |parser| {
                        let key = parser.expression()?;
                        parser.expect(":")?;
                        Ok(format!("{key}: {}", parser.expression()?))
                    })?;
                    Ok(format!("({{{items}}}|{PREFIX}own)"))
                }
                _ => Err(self.unexpected("an expression")),
            },
        }
    }

    fn items(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<String, Broken>,
    ) -> Result<String, Broken> {
        let mut items = Vec::new();
        while !self.is_operator(close) {
            items.push(item(self)?);
            if !self.skip_operator(",") {
                break;
            }
        }
        self.expect(close)?;
        Ok(items.join(", "))
    }

    /// Attributes, subscripts and calls.
    fn postfix(&mut self, mut value: String) -> Result<String, Broken> {
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

    fn attribute(&self, value: &mut String, name: &str) -> Result<(), Broken> {
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
    fn dashed(&mut self, first: &str, inside: &str) -> String {
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

    fn subscript(&mut self) -> Result<String, Broken> {
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

    fn arguments(&mut self) -> Result<String, Broken> {
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
    fn filtered(&mut self, mut value: String) -> Result<String, Broken> {
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

    fn filters(&mut self) -> Result<String, Broken> {
        let mut filters = String::new();
        while self.skip_operator("|") {
            self.link()?;
            let filter = self.filter_name()?;
            let _ = write!(filters, "|{filter}|{PREFIX}own");
        }
        Ok(filters)
    }

    fn filter_name(&mut self) -> Result<String, Broken> {
        let name = self.name("a filter")?;
        let mut arguments = if self.is_operator("(") {
            self.arguments()?
        } else {
            String::new()
        };
        if super::proton::is_block(name) {
            // The filter aligns the lines of its result to the place of the expression.
            let inner = arguments.trim_start_matches('(').trim_end_matches(')');
            let comma = if inner.is_empty() { "" } else { ", " };
            let before = arguments.strip_suffix(')').unwrap_or("(");
            arguments = format!("{before}{comma}column={})", self.column);
        }
        Ok(format!("{name}{arguments}"))
    }

    fn test(&mut self, value: &str) -> Result<String, Broken> {
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
    fn starts_argument(&self) -> bool {
        self.peek().is_some_and(|token| match &token.kind {
            Kind::Name => !matches!(token.text, "else" | "or" | "and" | "if" | "in" | "not"),
            Kind::Number | Kind::String(_) => true,
            Kind::Operator => matches!(token.text, "[" | "{"),
        })
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.replace('_', "").to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)];
    if let Some((digits, radix)) = radix
        .iter()
        .find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)))
    {
        return i128::from_str_radix(digits, radix).ok().map(Value::from);
    }
    if digits.contains(['.', 'e']) {
        return digits.parse::<f64>().ok().map(Value::from);
    }
    digits.parse::<i128>().ok().map(Value::from)
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
