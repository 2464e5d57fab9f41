//! Expressions, from the loosest binding to the tightest.

use std::fmt::Write as _;

use minijinja::Value;

use super::super::error::Broken;
use super::super::lexer::Kind;
use super::{PREFIX, Parser, constant, cut};

/// How deep brackets may be nested in an expression; the engine's own parser takes a few levels for each.
const DEPTH: usize = 40;

impl Parser<'_, '_> {
    /// `a, b` is a tuple also without brackets.
    pub(super) fn tuple(&mut self, conditional: bool) -> Result<String, Broken> {
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

    pub(super) fn expression(&mut self) -> Result<String, Broken> {
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

    pub(super) fn condition(&mut self) -> Result<String, Broken> {
        let mut value = self.conjunction()?;
        while self.skip_name("or") {
            self.link()?;
            let _ = write!(value, " or {}", self.conjunction()?);
        }
        Ok(format!("({value})"))
    }

    pub(super) fn conjunction(&mut self) -> Result<String, Broken> {
        let mut value = self.negation()?;
        while self.skip_name("and") {
            self.link()?;
            let _ = write!(value, " and {}", self.negation()?);
        }
        Ok(value)
    }

    pub(super) fn negation(&mut self) -> Result<String, Broken> {
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

    pub(super) fn comparison(&mut self) -> Result<String, Broken> {
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

    pub(super) fn comparison_operator(&mut self) -> Option<&'static str> {
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

    pub(super) fn sum(&mut self) -> Result<String, Broken> {
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

    pub(super) fn concatenation(&mut self) -> Result<String, Broken> {
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

    pub(super) fn product(&mut self) -> Result<String, Broken> {
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
    pub(super) fn power(&mut self) -> Result<String, Broken> {
        let mut value = self.unary(true)?;
        while self.skip_operator("**") {
            self.link()?;
            value = format!("({value} ** {})", self.unary(true)?);
        }
        Ok(value)
    }

    pub(super) fn unary(&mut self, with_filters: bool) -> Result<String, Broken> {
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

    pub(super) fn primary(&mut self) -> Result<String, Broken> {
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

    pub(super) fn items(
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
}

pub(super) fn number(text: &str) -> Option<Value> {
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
