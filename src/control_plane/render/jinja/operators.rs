//! The operators that make values larger than their operands, and those that Python is stricter about.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::budget::Budget;
use super::error::{invalid, undefined};
use super::rewrite::PREFIX;
use super::{filters, methods, python};

/// The most elements of `range()`.
const RANGE: i64 = 100_000;

pub(super) fn install(environment: &mut Environment<'_>, budget: &Budget) {
    let name = |name: &str| format!("{PREFIX}{name}");
    let purse = budget.clone();
    environment.add_filter(name("own"), move |value: &Value| purse.own(value.clone()));
    let purse = budget.clone();
    environment.add_filter(name("keep"), move |value: &Value| purse.keep(value.clone()));
    let purse = budget.clone();
    environment.add_function(name("add"), move |operands: Rest<Value>| {
        let mut operands = operands.0.into_iter();
        let first = operands.next().unwrap_or_default();
        operands.try_fold(first, |a, b| add(&purse, &a, &b))
    });
    let purse = budget.clone();
    environment.add_function(name("concatenate"), move |operands: Rest<Value>| {
        let mut text = purse.text();
        for operand in operands.iter() {
            python::write_text(&mut text, operand)?;
        }
        Ok::<_, Error>(text.into_value())
    });
    let purse = budget.clone();
    environment.add_function(name("multiply"), move |a: &Value, b: &Value| {
        multiply(&purse, a, b)
    });
    let purse = budget.clone();
    environment.add_function(name("modulo"), move |a: &Value, b: &Value| {
        modulo(&purse, a, b)
    });
    environment.add_function(name("ordered"), ordered);
    let purse = budget.clone();
    environment.add_function(
        "range",
        move |start: i64, stop: Option<i64>, step: Option<i64>| range(&purse, start, stop, step),
    );
    let purse = budget.clone();
    environment.set_unknown_method_callback(move |state, value, method, arguments| {
        methods::call(&purse, state, value, method, arguments)
    });
    environment.remove_global("debug");
}

/// A number, where booleans count as in Python.
enum Number {
    Integer(i128),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Integer(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).ok().map(Number::Integer)
        }
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

/// Integers as floats lose digits, as they do in Python.
#[allow(clippy::cast_precision_loss)]
fn calculate(
    operator: &str,
    a: &Value,
    b: &Value,
    integers: fn(i128, i128) -> Option<i128>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    if a.is_undefined() || b.is_undefined() {
        return Err(undefined());
    }
    let (Some(left), Some(right)) = (number(a), number(b)) else {
        return Err(invalid(format!(
            "{} {operator} {} is not possible",
            a.kind(),
            b.kind()
        )));
    };
    match (left, right) {
        (Number::Integer(a), Number::Integer(b)) => integers(a, b)
            .map(Value::from)
            .ok_or_else(|| invalid(format!("{a} {operator} {b} is out of range"))),
        (Number::Integer(a), Number::Float(b)) => Ok(Value::from(floats(a as f64, b))),
        (Number::Float(a), Number::Integer(b)) => Ok(Value::from(floats(a, b as f64))),
        (Number::Float(a), Number::Float(b)) => Ok(Value::from(floats(a, b))),
    }
}

pub(super) fn add(budget: &Budget, a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        let mut text = budget.text();
        text.push(a)?;
        text.push(b)?;
        return Ok(text.into_value());
    }
    if is_list(a) && is_list(b) && a.is_tuple() == b.is_tuple() {
        return list(budget, [a, b].into_iter(), a.is_tuple());
    }
    calculate("+", a, b, i128::checked_add, |a, b| a + b)
}

/// Python compares numbers with numbers and text with text only.
fn ordered(a: &Value, operator: &str, b: &Value) -> Result<bool, Error> {
    if a.is_undefined() || b.is_undefined() {
        return Err(undefined());
    }
    let alike = (number(a).is_some() && number(b).is_some())
        || (a.as_str().is_some() && b.as_str().is_some())
        || (is_list(a) && is_list(b) && a.is_tuple() == b.is_tuple());
    if !alike {
        return Err(invalid(format!(
            "{} {operator} {} is not possible",
            a.kind(),
            b.kind()
        )));
    }
    Ok(match operator {
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    })
}

fn multiply(budget: &Budget, a: &Value, b: &Value) -> Result<Value, Error> {
    let times = |value: &Value| match number(value) {
        // Python repeats nothing a negative number of times.
        Some(Number::Integer(times)) => Some(usize::try_from(times.max(0)).unwrap_or(usize::MAX)),
        _ => None,
    };
    let (repeated, times) = match (times(a), times(b)) {
        (None, Some(times)) => (a, times),
        (Some(times), None) => (b, times),
        _ => return calculate("*", a, b, i128::checked_mul, |a, b| a * b),
    };
    if let Some(text) = repeated.as_str() {
        let mut repeated = budget.text();
        repeated.push_times(text, times)?;
        return Ok(repeated.into_value());
    }
    if is_list(repeated) {
        // An empty list repeats for free, and would do so for ever.
        let times = if repeated.len() == Some(0) { 0 } else { times };
        return list(
            budget,
            std::iter::repeat_n(repeated, times),
            repeated.is_tuple(),
        );
    }
    calculate("*", a, b, i128::checked_mul, |a, b| a * b)
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq)
}

fn list<'v>(
    budget: &Budget,
    parts: impl Iterator<Item = &'v Value>,
    tuple: bool,
) -> Result<Value, Error> {
    let mut items = Vec::new();
    for part in parts {
        for item in part.try_iter()?.checked() {
            items.push(budget.own(item?)?);
        }
    }
    Ok(if tuple {
        Value::from(minijinja::value::Tuple::new(items))
    } else {
        Value::from(items)
    })
}

fn modulo(budget: &Budget, a: &Value, b: &Value) -> Result<Value, Error> {
    if let Some(format) = a.as_str() {
        let arguments = if b.is_tuple() {
            b.try_iter()?.checked().collect::<Result<_, _>>()?
        } else {
            vec![b.clone()]
        };
        return filters::printf(budget, format, &arguments);
    }
    if matches!(number(b), Some(Number::Integer(0) | Number::Float(0.0))) {
        return Err(invalid("division by zero"));
    }
    let floor = |a: f64, b: f64| {
        let rest = a % b;
        if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
            rest + b
        } else {
            rest
        }
    };
    calculate(
        "%",
        a,
        b,
        |a, b| {
            let rest = a.checked_rem(b)?;
            Some(if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            })
        },
        floor,
    )
}

fn range(
    budget: &Budget,
    start: i64,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Value, Error> {
    let (start, stop) = stop.map_or((0, start), |stop| (start, stop));
    let step = i128::from(step.unwrap_or(1));
    let (start, stop) = (i128::from(start), i128::from(stop));
    if step == 0 {
        return Err(invalid("range() cannot go in steps of 0"));
    }
    let count = ((stop - start + step - step.signum()) / step).max(0);
    if count > i128::from(RANGE) {
        return Err(invalid(format!(
            "range() has {count} elements, the limit is {RANGE}"
        )));
    }
    let items: Vec<_> = (0..count)
        .map(|index| Value::from(start + index * step))
        .collect();
    budget.own(Value::from(items))
}

/// Arguments by position or by name, as Python takes them.
pub(super) struct Arguments {
    positional: Vec<Value>,
    named: Kwargs,
}

impl Arguments {
    pub(super) fn new(positional: Rest<Value>, named: Kwargs) -> Self {
        Self {
            positional: positional.0,
            named,
        }
    }

    pub(super) fn get(&self, index: usize, name: &str) -> Result<Option<Value>, Error> {
        match self.positional.get(index) {
            Some(value) => Ok(Some(value.clone())),
            None if self.named.has(name) => self.named.get(name).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn text(&self, index: usize, name: &str) -> Result<Option<String>, Error> {
        self.get(index, name)?
            .map(|value| match value.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(invalid(format!(
                    "{name} must be text, not {}",
                    value.kind()
                ))),
            })
            .transpose()
    }

    pub(super) fn count(&self, index: usize, name: &str) -> Result<Option<usize>, Error> {
        self.get(index, name)?
            .filter(|value| !value.is_none())
            .map(|value| {
                value
                    .as_usize()
                    .ok_or_else(|| invalid(format!("{name} must be a number of at least 0")))
            })
            .transpose()
    }

    pub(super) fn truth(&self, index: usize, name: &str) -> Result<Option<bool>, Error> {
        Ok(self.get(index, name)?.map(|value| value.is_true()))
    }

    /// Refuses what no parameter takes.
    pub(super) fn done(&self, parameters: usize) -> Result<(), Error> {
        if self.positional.len() > parameters {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        self.named.assert_all_used()
    }
}
