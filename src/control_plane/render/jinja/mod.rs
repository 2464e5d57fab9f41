//! Jinja as Jinja2 3.1 understands it with its default options and `StrictUndefined`.
//!
//! ```text
//!  text ──lexer──► text and tags ──rewrite──► minijinja's dialect ──► engine ──► text
//!                  (Jinja2's whitespace       (one line a tag,        (filters, operators: Jinja2's,
//!                   rules)                     constants apart)        Proton's; all on a budget)
//! ```
//!
//! What comes out equals Jinja2's output byte for byte, except that CRLF stays CRLF, and that names of inputs and outputs may contain dashes.
//! Templates come from strangers: steps, memory, output and depth are bounded by [`Limits`].

use std::io;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::{Limits, Namespace, RenderError};

mod budget;
mod error;
mod filters;
mod lexer;
mod methods;
mod operators;
mod proton;
mod python;
mod rewrite;

#[cfg(test)]
mod tests;

use budget::Budget;
use error::Broken;
use lexer::{Piece, Tag};
use rewrite::{Dashed, PREFIX, Place};

/// Templates of one deployment, which see the same variables.
#[derive(Debug)]
pub(super) struct Templates<'a> {
    variables: Vec<(String, Value)>,
    dashed: Dashed,
    limits: &'a Limits,
}

impl<'a> Templates<'a> {
    pub(super) fn new(namespace: &Namespace, limits: &'a Limits) -> Self {
        Self {
            variables: namespace.variables(),
            dashed: namespace.dashed_inputs().map(str::to_owned).collect(),
            limits,
        }
    }

    /// Renders a template; `file` is its name in messages.
    pub(super) fn render(&self, file: &str, text: &str) -> Result<String, RenderError> {
        let pieces = lexer::pieces(text).map_err(|broken| refused(file, broken))?;
        deep(|| self.render_pieces(file, &pieces))
    }

    /// Renders a text, which keeps its type when it is nothing but one expression.
    pub(super) fn evaluate(
        &self,
        file: &str,
        text: &str,
    ) -> Result<serde_json::Value, RenderError> {
        let pieces = lexer::pieces(text).map_err(|broken| refused(file, broken))?;
        let [Piece::Output(tag)] = &pieces[..] else {
            return deep(|| self.render_pieces(file, &pieces)).map(serde_json::Value::String);
        };
        deep(|| self.evaluate_tag(file, tag))
    }

    fn evaluate_tag(&self, file: &str, tag: &Tag<'_>) -> Result<serde_json::Value, RenderError> {
        let (source, constants) =
            rewrite::expression(tag, &self.dashed).map_err(|broken| refused(file, broken))?;
        let budget = Budget::new(self.limits.memory_bytes);
        let environment = self.environment(&budget);
        let value = environment
            .compile_expression(&source)
            .and_then(|expression| expression.eval(self.context(constants)))
            .and_then(|value| to_json(&value, 0));
        let place = Place {
            line: tag.line,
            tag: tag.source,
        };
        value.map_err(|error| self.failed(file, &error, Some(place)))
    }

    fn render_pieces(&self, file: &str, pieces: &[Piece<'_>]) -> Result<String, RenderError> {
        let rewritten =
            rewrite::rewrite(pieces, &self.dashed).map_err(|broken| refused(file, broken))?;
        let budget = Budget::new(self.limits.memory_bytes);
        let environment = self.environment(&budget);
        let mut output = Output {
            text: Vec::new(),
            limit: self.limits.output_bytes,
        };
        let context = self.context(rewritten.constants);
        let rendered = environment
            .template_from_named_str(file, &rewritten.source)
            .and_then(|template| template.render_captured_to(context, &mut output).map(drop));
        match rendered {
            Ok(()) => Ok(String::from_utf8(output.text).expect("texts are written whole")),
            Err(error) => {
                let line = error.line().unwrap_or(0);
                let place = line
                    .checked_sub(1)
                    .and_then(|index| rewritten.places.get(index));
                Err(self.failed(file, &error, place.copied()))
            }
        }
    }

    fn context(&self, constants: Vec<Value>) -> Value {
        let own = [(format!("{PREFIX}constants"), Value::from(constants))];
        Value::from_pairs(self.variables.iter().cloned().chain(own))
    }

    fn environment<'e>(&self, budget: &Budget) -> Environment<'e> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(self.limits.fuel));
        environment.set_recursion_limit(self.limits.recursion);
        environment.add_global(
            "joiner",
            Value::from_function(minijinja_contrib::globals::joiner),
        );
        filters::install(&mut environment, budget);
        operators::install(&mut environment, budget);
        let budget = budget.clone();
        environment.set_formatter(move |out, _, value| {
            // The engine has refused it already where it counts; what is left is an `if` without `else`, of which Jinja2 writes nothing.
            if value.is_undefined() {
                return Ok(());
            }
            let mut text = budget.text();
            python::write_text(&mut text, value)?;
            out.write_str(&text.into_string()).map_err(Error::from)
        });
        environment
    }

    fn failed(&self, file: &str, error: &Error, place: Option<Place<'_>>) -> RenderError {
        let rule = match error.kind() {
            ErrorKind::OutOfFuel => {
                format!("the template takes more than {} steps", self.limits.fuel)
            }
            ErrorKind::WriteFailure => {
                format!(
                    "the result has more than {} bytes",
                    self.limits.output_bytes
                )
            }
            ErrorKind::UndefinedError => "a value is used that does not exist".to_owned(),
            kind => match error.detail() {
                Some(detail) => detail.to_owned(),
                None => kind.to_string(),
            },
        };
        match place.filter(|place| place.line > 0) {
            Some(Place { line, tag }) => {
                let tag = shown(tag);
                RenderError::new(format!("{file} line {line}: {rule}, in {tag}"))
            }
            None => RenderError::new(format!("{file}: {rule}")),
        }
    }
}

/// Runs on a stack that suffices for what the limits allow: parsers and compilers recurse, and a caller's stack may be short.
fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK: usize = 32 * 1024 * 1024;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work);
        let done = thread.expect("the system has a thread to spare").join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn refused(file: &str, broken: Broken) -> RenderError {
    let Broken { line, rule } = broken;
    RenderError::new(format!("{file} line {line}: {rule}"))
}

/// A tag in one line of bounded length.
fn shown(tag: &str) -> String {
    const SHOWN: usize = 160;
    let words: Vec<_> = tag.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    }
}

/// What leaves the template, up to a limit.
struct Output {
    text: Vec<u8>,
    limit: usize,
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Inputs as templates see them.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(entries) => Value::from_pairs(
            entries
                .iter()
                .map(|(name, value)| (name.clone(), from_json(value))),
        ),
    }
}

/// What an expression gave, for a place that is JSON.
fn to_json(value: &Value, depth: usize) -> Result<serde_json::Value, Error> {
    use serde_json::Value as Json;
    budget::check_depth(depth)?;
    match value.kind() {
        ValueKind::Undefined => Err(error::undefined()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.checked();
            items
                .map(|item| to_json(&item?, depth + 1))
                .collect::<Result<_, _>>()
                .map(Json::Array)
        }
        ValueKind::Map => python::pairs(value)
            .map(|(name, value)| Ok((name.to_string(), to_json(&value, depth + 1)?)))
            .collect::<Result<_, _>>()
            .map(Json::Object),
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String => {
            serde_json::to_value(value)
                .map_err(|_| error::invalid("the number is too large for JSON"))
        }
        kind => Err(error::invalid(format!("{kind} cannot be written as JSON"))),
    }
}
