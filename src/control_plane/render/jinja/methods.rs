//! Methods of Python's `str`, `list` and `dict`: minijinja's, with those it lacks, and those that multiply their text on a budget.

use minijinja::{Error, ErrorKind, State, Value};

use super::budget::Budget;
use super::error::invalid;
use super::filters::{self, WIDTH};

pub(super) fn call(
    budget: &Budget,
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str()
        && let Some(result) = call_text(budget, text, method, arguments)?
    {
        return Ok(result);
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments).map_err(
        |error| match error.kind() {
            ErrorKind::UnknownMethod => invalid(format!("{} has no method {method}", value.kind())),
            _ => error,
        },
    )
}

fn call_text(
    budget: &Budget,
    text: &str,
    method: &str,
    arguments: &[Value],
) -> Result<Option<Value>, Error> {
    let result = match (method, arguments) {
        ("replace", [from, to, rest @ ..]) => {
            let count = rest.first().and_then(Value::as_i64);
            filters::replaced(budget, text, text_of(from)?, text_of(to)?, count)?
        }
        ("join", [items]) => filters::joined(budget, items, text)?,
        ("format", _) => {
            filters::check_widths(text)?;
            return Ok(None);
        }
        ("center" | "ljust" | "rjust", [width, rest @ ..]) => {
            padded(text, method, width, rest.first())?
        }
        ("zfill", [width]) => {
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => text.split_at(text.len() - digits.len()),
                None => ("", text),
            };
            let zeros = missing(text, width)?;
            Value::from(format!("{sign}{}{digits}", "0".repeat(zeros)))
        }
        ("swapcase", []) => text.chars().flat_map(swapped).collect::<String>().into(),
        ("casefold", []) => text.to_lowercase().into(),
        ("removeprefix", [prefix]) => text.strip_prefix(text_of(prefix)?).unwrap_or(text).into(),
        ("removesuffix", [suffix]) => text.strip_suffix(text_of(suffix)?).unwrap_or(text).into(),
        ("partition", [separator]) => {
            parts(text.split_once(text_of(separator)?), separator, (text, ""))
        }
        ("rpartition", [separator]) => {
            parts(text.rsplit_once(text_of(separator)?), separator, ("", text))
        }
        ("index", [part]) => match text.find(text_of(part)?) {
            Some(at) => Value::from(text[..at].chars().count()),
            None => return Err(invalid("index: the text does not hold this part")),
        },
        ("rsplit", [separator]) => text.split(text_of(separator)?).map(Value::from).collect(),
        ("rsplit", [separator, count]) => {
            let count = count.as_usize().unwrap_or(usize::MAX - 1);
            let mut parts: Vec<_> = text
                .rsplitn(count.saturating_add(1), text_of(separator)?)
                .map(Value::from)
                .collect();
            parts.reverse();
            Value::from(parts)
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

fn text_of(value: &Value) -> Result<&str, Error> {
    match value.as_str() {
        Some(text) => Ok(text),
        None => Err(invalid(format!(
            "an argument must be text, not {}",
            value.kind()
        ))),
    }
}

/// The characters that a text lacks to a width.
fn missing(text: &str, width: &Value) -> Result<usize, Error> {
    match width.as_usize().filter(|width| *width <= WIDTH) {
        Some(width) => Ok(width.saturating_sub(text.chars().count())),
        None => Err(invalid(format!("a width is a number of up to {WIDTH}"))),
    }
}

pub(super) fn padded(
    text: &str,
    method: &str,
    width: &Value,
    fill: Option<&Value>,
) -> Result<Value, Error> {
    let fill = fill.map_or(Ok(" "), text_of)?;
    if fill.chars().count() != 1 {
        return Err(invalid("text is filled with one character"));
    }
    let missing = missing(text, width)?;
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // Python puts the odd space to the left when the width is odd too.
        _ => missing / 2 + (missing & width.as_usize().unwrap_or(0) & 1),
    };
    Ok(Value::from(format!(
        "{}{text}{}",
        fill.repeat(left),
        fill.repeat(missing - left)
    )))
}

fn swapped(c: char) -> Vec<char> {
    if c.is_uppercase() {
        c.to_lowercase().collect()
    } else {
        c.to_uppercase().collect()
    }
}

fn parts(found: Option<(&str, &str)>, separator: &Value, absent: (&str, &str)) -> Value {
    let (before, separator, after) = match found {
        Some((before, after)) => (before, separator.clone(), after),
        None => (absent.0, Value::from(""), absent.1),
    };
    Value::from(minijinja::value::Tuple::from([
        Value::from(before),
        separator,
        Value::from(after),
    ]))
}
