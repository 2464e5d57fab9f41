//! Statements: what stands between `{%` and `%}`.

use std::fmt::Write as _;

use super::super::error::Broken;
use super::{PREFIX, Parser, cut};

impl Parser<'_, '_> {
    pub(super) fn statement(&mut self) -> Result<String, Broken> {
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

    pub(super) fn for_loop(&mut self) -> Result<String, Broken> {
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

    pub(super) fn set(&mut self) -> Result<String, Broken> {
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
    pub(super) fn targets(&mut self) -> Result<String, Broken> {
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

    pub(super) fn with(&mut self) -> Result<String, Broken> {
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

    pub(super) fn parameters(&mut self) -> Result<String, Broken> {
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
}
