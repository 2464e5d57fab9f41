//! Jinja2's filters, where minijinja's take other arguments, give other results, or would make a small template write a lot.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, Value};

use super::budget::Budget;
use super::error::{invalid, undefined};
use super::lexer::is_space;
use super::operators::{self, Arguments};
use super::python;

/// minijinja's own, and `random`: a rendering can be repeated.
const NOT_JINJA2: [&str; 6] = ["split", "lines", "bool", "chain", "zip", "pprint"];

/// The largest width, precision or number of groups.
pub(super) const WIDTH: usize = 10_000;

pub(super) fn install(environment: &mut Environment<'_>, budget: &Budget) {
    for name in NOT_JINJA2 {
        environment.remove_filter(name);
    }
    let mut add = |name: &'static str, filter: Filter| {
        let budget = budget.clone();
        environment.add_filter(
            name,
            move |value: &Value, positional: Rest<Value>, named: Kwargs| {
                filter(&budget, value, &Arguments::new(positional, named))
            },
        );
    };
    add("tojson", tojson);
    add("truncate", truncate);
    add("default", default);
    add("d", default);
    add("replace", replace);
    add("join", join);
    add("indent", indent);
    add("center", center);
    add("string", string);
    add("sum", sum);
    add("format", format);
    add("wordcount", wordcount);
    add("trim", trim);
    add("int", int);
    add("float", float);
    add("urlencode", urlencode);
    // Mappings have items, and no attributes.
    add("attr", |_, _, _| Ok(Value::UNDEFINED));
    environment.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Map | ValueKind::String
        )
    });

    environment.add_filter(
        "batch",
        |state: &mut minijinja::State<'_, '_>, value: Value, count: usize, fill: Option<Value>| {
            minijinja::filters::batch(state, value, check_count(count)?, fill)
        },
    );
    environment.add_filter(
        "slice",
        |state: &mut minijinja::State<'_, '_>, value: Value, count: usize, fill: Option<Value>| {
            minijinja::filters::slice(state, value, check_count(count)?, fill)
        },
    );
    super::proton::install(environment, budget);
}

type Filter = fn(&Budget, &Value, &Arguments) -> Result<Value, Error>;

fn check_count(count: usize) -> Result<usize, Error> {
    if count == 0 || count > WIDTH {
        return Err(invalid(format!(
            "a number of groups is between 1 and {WIDTH}"
        )));
    }
    Ok(count)
}

fn defined(value: &Value) -> Result<&Value, Error> {
    if value.is_undefined() {
        Err(undefined())
    } else {
        Ok(value)
    }
}

fn only_text<'v>(filter: &str, value: &'v Value) -> Result<&'v str, Error> {
    let value = defined(value)?;
    value
        .as_str()
        .ok_or_else(|| invalid(format!("{filter} takes text, not {}", value.kind())))
}

fn tojson(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let indent = match arguments.get(0, "indent")? {
        Some(indent) if indent.as_str().is_some() => indent.as_str().map(str::to_owned),
        Some(indent) if !indent.is_none() => {
            let width = indent
                .as_i64()
                .unwrap_or(i64::from(indent.is_true()))
                .max(0);
            let width = usize::try_from(width).ok().filter(|width| *width <= WIDTH);
            Some(" ".repeat(width.ok_or_else(|| invalid(format!("indent is at most {WIDTH}")))?))
        }
        _ => None,
    };
    arguments.done(1)?;
    // Marked as safe, so that `escape` leaves it alone.
    python::json(budget, defined(value)?, indent.as_deref()).map(Value::from_safe_string)
}

/// Leaves text alone that is longer by no more than the leeway.
fn truncate(_: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let text = only_text("truncate", value)?;
    let length = arguments.count(0, "length")?.unwrap_or(255);
    let killwords = arguments.truth(1, "killwords")?.unwrap_or(false);
    let end = arguments
        .text(2, "end")?
        .unwrap_or_else(|| "...".to_owned());
    let leeway = arguments.count(3, "leeway")?.unwrap_or(5);
    arguments.done(4)?;

    let Some(kept) = length.checked_sub(end.chars().count()) else {
        return Err(invalid(format!(
            "truncate: length {length} is less than that of {end:?}"
        )));
    };
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let kept = text
        .char_indices()
        .nth(kept)
        .map_or(text, |(at, _)| &text[..at]);
    let kept = match kept.rfind(' ') {
        Some(space) if !killwords => &kept[..space],
        _ => kept,
    };
    Ok(Value::from(format!("{kept}{end}")))
}

fn default(_: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let fallback = arguments
        .get(0, "default_value")?
        .unwrap_or_else(|| Value::from(""));
    let falsy_too = arguments.truth(1, "boolean")?.unwrap_or(false);
    arguments.done(2)?;
    let absent = value.is_undefined() || (falsy_too && !value.is_true());
    Ok(if absent { fallback } else { value.clone() })
}

fn replace(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let text = python::text(budget, value)?;
    let part = |index, name: &str| match arguments.get(index, name)? {
        Some(part) => python::text(budget, &part),
        None => Err(invalid(format!("replace: {name} is missing"))),
    };
    let (old, new) = (part(0, "old")?, part(1, "new")?);
    let count = arguments.get(2, "count")?.filter(|count| !count.is_none());
    arguments.done(3)?;
    replaced(
        budget,
        &text,
        &old,
        &new,
        count.and_then(|count| count.as_i64()),
    )
}

/// A negative count means all.
pub(super) fn replaced(
    budget: &Budget,
    text: &str,
    old: &str,
    new: &str,
    count: Option<i64>,
) -> Result<Value, Error> {
    let count = count.map_or(usize::MAX, |count| {
        usize::try_from(count).unwrap_or(usize::MAX)
    });
    let mut out = budget.text();
    let mut kept_to = 0;
    for (at, found) in text.match_indices(old).take(count) {
        out.push(&text[kept_to..at])?;
        out.push(new)?;
        kept_to = at + found.len();
    }
    out.push(&text[kept_to..])?;
    Ok(out.into_value())
}

fn join(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let separator = arguments
        .get(0, "d")?
        .map(|d| python::text(budget, &d))
        .transpose()?;
    let attribute = arguments
        .get(1, "attribute")?
        .filter(|attribute| !attribute.is_none());
    arguments.done(2)?;
    let separator = separator.unwrap_or_default();
    let value = defined(value)?;
    match attribute {
        None => joined_any(budget, value, &separator),
        Some(attribute) => {
            let mut items = Vec::new();
            for item in value.try_iter()?.checked() {
                items.push(at_path(&item?, &attribute)?);
            }
            joined_any(budget, &Value::from(items), &separator)
        }
    }
}

/// The value at a dotted path.
fn at_path(value: &Value, path: &Value) -> Result<Value, Error> {
    let Some(path) = path.as_str() else {
        return value.get_item(path);
    };
    path.split('.')
        .try_fold(value.clone(), |value, name| match name.parse::<usize>() {
            Ok(index) => value.get_item_by_index(index),
            Err(_) => value.get_attr(name),
        })
}

/// The filter makes text of the items.
fn joined_any(budget: &Budget, items: &Value, separator: &str) -> Result<Value, Error> {
    let mut out = budget.text();
    for (index, item) in items.try_iter()?.checked().enumerate() {
        if index > 0 {
            out.push(separator)?;
        }
        python::write_text(&mut out, &item?)?;
    }
    Ok(out.into_value())
}

/// The method wants items that are text.
pub(super) fn joined(budget: &Budget, items: &Value, separator: &str) -> Result<Value, Error> {
    for item in items.try_iter()?.checked() {
        only_text("join", &item?)?;
    }
    joined_any(budget, items, separator)
}

fn indent(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let text = python::text(budget, value)?;
    let width = arguments.get(0, "width")?;
    let first = arguments.truth(1, "first")?.unwrap_or(false);
    let blank = arguments.truth(2, "blank")?.unwrap_or(false);
    arguments.done(3)?;
    let indention = match &width {
        None => " ".repeat(4),
        Some(width) => match (width.as_str(), width.as_usize()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(width)) if width <= WIDTH => " ".repeat(width),
            _ => return Err(invalid(format!("indent: width is at most {WIDTH}"))),
        },
    };
    let mut out = budget.text();
    // A newline at the end is a line too, so it survives.
    let lines: Vec<_> = text.split('\n').collect();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push("\n")?;
        }
        let indented = if index == 0 {
            first
        } else {
            blank || !line.is_empty()
        };
        if indented {
            out.push(&indention)?;
        }
        out.push(line)?;
    }
    Ok(out.into_value())
}

fn center(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let text = python::text(budget, value)?;
    let width = arguments.count(0, "width")?.unwrap_or(80);
    arguments.done(1)?;
    super::methods::padded(&text, "center", &Value::from(width), None)
}

fn string(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    arguments.done(0)?;
    python::text(budget, value).map(Value::from)
}

fn sum(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let attribute = arguments
        .get(0, "attribute")?
        .filter(|attribute| !attribute.is_none());
    let start = arguments.get(1, "start")?.unwrap_or_else(|| Value::from(0));
    arguments.done(2)?;
    let mut total = start;
    for item in defined(value)?.try_iter()?.checked() {
        let item = item?;
        let item = match &attribute {
            Some(attribute) => at_path(&item, attribute)?,
            None => item,
        };
        if item.as_str().is_some() {
            return Err(invalid("sum takes numbers, not text"));
        }
        total = operators::add(budget, &total, &item)?;
    }
    Ok(total)
}

fn format(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let format = only_text("format", value)?;
    let mut values = Vec::new();
    while let Some(value) = arguments.get(values.len(), "")? {
        values.push(value);
    }
    printf(budget, format, &values)
}

/// `format % arguments`
pub(super) fn printf(budget: &Budget, format: &str, arguments: &[Value]) -> Result<Value, Error> {
    use minijinja::formatting::{FormatStyle, format as formatted};
    check_widths(format)?;
    for argument in arguments {
        defined(argument)?;
        budget.spend(argument.as_str().map_or(0, str::len))?;
    }
    formatted(FormatStyle::Printf, format, arguments).map(Value::from)
}

/// Refuses widths and precisions that would write more than the template's author does.
pub(super) fn check_widths(format: &str) -> Result<(), Error> {
    let mut digits = 0;
    for c in format.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 4 || c == '*' {
            return Err(invalid(format!(
                "a width in a format is a number of up to {WIDTH}"
            )));
        }
    }
    Ok(())
}

fn wordcount(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    arguments.done(0)?;
    let text = python::text(budget, value)?;
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    Ok(Value::from(words.filter(|word| !word.is_empty()).count()))
}

fn trim(budget: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let text = python::text(budget, value)?;
    let chars = arguments.text(0, "chars")?;
    arguments.done(1)?;
    Ok(Value::from(match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)),
        None => text.trim_matches(is_space),
    }))
}

/// What is no number is the default.
fn int(_: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let fallback = arguments
        .get(0, "default")?
        .unwrap_or_else(|| Value::from(0));
    let base = arguments.count(1, "base")?.unwrap_or(10);
    arguments.done(2)?;
    let value = defined(value)?;
    let base = u32::try_from(base)
        .ok()
        .filter(|base| (2..=36).contains(base));
    let Some(base) = base else {
        return Err(invalid("int: a base is between 2 and 36"));
    };
    let number = match value.as_str() {
        Some(text) => {
            integer(text.trim_matches(is_space), base).or_else(|| truncated(decimal(text)?))
        }
        None if value.is_integer() => return Ok(value.clone()),
        None if value.kind() == ValueKind::Bool => Some(i128::from(value.is_true())),
        None => f64::try_from(value.clone()).ok().and_then(truncated),
    };
    Ok(number.map_or(fallback, Value::from))
}

fn integer(text: &str, base: u32) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let prefix = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => ["_", "_"],
    };
    let digits = prefix
        .iter()
        .find_map(|prefix| digits.strip_prefix(prefix))
        .unwrap_or(digits);
    let number = i128::from_str_radix(digits, base)
        .ok()
        .filter(|_| !digits.starts_with(['-', '+']))?;
    Some(if negative { -number } else { number })
}

fn decimal(text: &str) -> Option<f64> {
    text.trim_matches(is_space).parse().ok()
}

#[allow(clippy::cast_possible_truncation)] // 2^120 is far inside the range
fn truncated(number: f64) -> Option<i128> {
    (number.abs() < 2f64.powi(120)).then_some(number as i128)
}

fn float(_: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    let fallback = arguments
        .get(0, "default")?
        .unwrap_or_else(|| Value::from(0.0));
    arguments.done(1)?;
    let value = defined(value)?;
    let number = match value.as_str() {
        Some(text) => decimal(text),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok(),
    };
    Ok(number.map_or(fallback, Value::from))
}

/// A mapping becomes a query, which has its own way with spaces and slashes.
fn urlencode(_: &Budget, value: &Value, arguments: &Arguments) -> Result<Value, Error> {
    arguments.done(0)?;
    let value = defined(value)?;
    let encoded = minijinja::filters::urlencode(value)?;
    Ok(Value::from(match value.kind() {
        ValueKind::Map => encoded.replace('/', "%2F").replace("%20", "+"),
        _ => encoded,
    }))
}
