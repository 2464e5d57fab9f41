//! Whether values are what their type says.

use std::{fmt, mem};

use regex::Regex;
use serde_json::{Number, Value};

use super::wording::{Expected, Listed, cut};
use super::{Place, Walk, format, pattern};
use crate::control_plane::bundle::schema::{Additional, Type, TypeKind};
use crate::control_plane::spec::Inputs;

/// What compiling a pattern costs, in steps, when it is a common one and when it counts to thousands.
const SMALL_PATTERN_STEPS: u64 = 4_000;
const LARGE_PATTERN_STEPS: u64 = 80_000;
/// What matching a pattern costs for each byte: the largest ones visit thousands of states there.
const MATCH_STEPS: u64 = 8;
/// Bytes of a text that are looked at in one step where there is no pattern.
const TEXT_STEP: usize = 64;

impl<'a> Walk<'a> {
    pub(super) fn check(&mut self, of: &'a Type, value: &Value, place: &Place<'_>) {
        if !self.enter() {
            return;
        }
        let of = self.schema.resolve(of);
        if !(of.nullable && value.is_null()) {
            self.rules(of, value, place);
        }
        self.leave();
    }

    fn rules(&mut self, of: &'a Type, value: &Value, place: &Place<'_>) {
        if let Some(kind) = of.kind
            && !has_kind(kind, value)
        {
            return self.found(place, format_args!("must be {}", Expected(kind, value)));
        }
        if !of.enumeration.is_empty() && !self.is_among(&of.enumeration, value) {
            self.found(
                place,
                format_args!("must be one of {}", Listed(&of.enumeration)),
            );
        }
        match value {
            Value::String(text) => self.string(of, text, place),
            Value::Number(number) => self.number(of, number, place),
            Value::Array(items) => self.array(of, items, place),
            Value::Object(members) => self.object(of, members, place),
            Value::Bool(_) | Value::Null => {}
        }
        self.composed(of, value, place);
    }

    fn found(&mut self, place: &Place<'_>, rule: impl fmt::Display) {
        self.findings += 1;
        if self.trying == 0 {
            self.problems
                .add(format_args!("{}: {place} {rule}", self.at));
        }
    }

    fn string(&mut self, of: &'a Type, text: &str, place: &Place<'_>) {
        self.pay((text.len() / TEXT_STEP) as u64);
        if of.min_length.is_some() || of.max_length.is_some() {
            let chars = text.chars().count() as u64;
            self.range((of.min_length, of.max_length), chars, "characters", place);
        }
        if let Some(pattern) = &of.pattern {
            match self.matches(pattern, text) {
                Some(true) => {}
                Some(false) => self.found(
                    place,
                    format_args!("must match the pattern {}", cut(pattern)),
                ),
                None => self.found(
                    place,
                    format_args!(
                        "cannot be checked: its pattern in the schema is not a regular expression that can be matched in linear time, {}",
                        cut(pattern)
                    ),
                ),
            }
        }
        if let Some(form) = of
            .format
            .as_deref()
            .and_then(|format| format::broken(format, text))
        {
            self.found(place, format_args!("must be {form}"));
        }
    }

    fn matches(&mut self, pattern: &'a str, text: &str) -> Option<bool> {
        if !self.patterns.contains_key(pattern) {
            let compiled = self.compile(pattern);
            self.patterns.insert(pattern, compiled);
        }
        self.pay(MATCH_STEPS * text.len() as u64);
        let regex = self.patterns[pattern].as_ref()?;
        Some(self.steps == 0 || regex.is_match(text))
    }

    fn compile(&mut self, pattern: &str) -> Option<Regex> {
        let sizes = [
            (SMALL_PATTERN_STEPS, pattern::SMALL),
            (LARGE_PATTERN_STEPS, pattern::LARGE),
        ];
        sizes
            .into_iter()
            .find_map(|(steps, bytes)| self.pay(steps).then(|| pattern::compile(pattern, bytes))?)
    }

    fn number(&mut self, of: &Type, number: &Number, place: &Place<'_>) {
        if let Some(limit) = &of.minimum {
            if of.exclusive_minimum && !less(limit, number) {
                self.found(place, format_args!("must be more than {limit}"));
            } else if less(number, limit) {
                self.found(place, format_args!("must be at least {limit}"));
            }
        }
        if let Some(limit) = &of.maximum {
            if of.exclusive_maximum && !less(number, limit) {
                self.found(place, format_args!("must be less than {limit}"));
            } else if less(limit, number) {
                self.found(place, format_args!("must be at most {limit}"));
            }
        }
        if let Some(step) = &of.multiple_of
            && !is_multiple(number, step)
        {
            self.found(place, format_args!("must be a multiple of {step}"));
        }
    }

    fn array(&mut self, of: &'a Type, items: &[Value], place: &Place<'_>) {
        self.range(
            (of.min_items, of.max_items),
            items.len() as u64,
            "items",
            place,
        );
        if of.unique_items {
            let repeated = items
                .iter()
                .enumerate()
                .find(|(index, item)| self.is_among(&items[..*index], item));
            if let Some((index, _)) = repeated {
                self.found(&place.item(index), "repeats an item before it");
            }
        }
        if let Some(of) = &of.items {
            for (index, item) in items.iter().enumerate() {
                self.check(of, item, &place.item(index));
            }
        }
    }

    fn object(&mut self, of: &'a Type, members: &Inputs, place: &Place<'_>) {
        let counts = (of.min_properties, of.max_properties);
        self.range(counts, members.len() as u64, "members", place);
        self.required(of, members, place);
        for (name, value) in members {
            // Looking a name up costs as much as there are names.
            self.pay(1 + (of.properties.len() / 8) as u64);
            let place = place.key(name);
            match (of.property(name), &of.additional_properties) {
                (Some(property), _) => self.check(property, value, &place),
                (None, Additional::Of(of)) => self.check(of, value, &place),
                (None, Additional::Nothing) => {
                    self.found(&place, "is not known to the schema, which allows no others");
                }
                (None, Additional::Anything) => {}
            }
        }
    }

    fn required(&mut self, of: &'a Type, members: &Inputs, place: &Place<'_>) {
        for name in &of.required {
            self.pay(1 + (of.properties.len() / 8) as u64);
            if members.contains_key(name) {
                continue;
            }
            let has_default = of
                .property(name)
                .is_some_and(|property| self.schema.resolve(property).default.is_some());
            if !has_default {
                self.found(&place.key(name), "must be given");
            }
        }
    }

    fn composed(&mut self, of: &'a Type, value: &Value, place: &Place<'_>) {
        for part in &of.all_of {
            self.check(part, value, place);
        }
        if !of.any_of.is_empty() && !of.any_of.iter().any(|part| self.fits(part, value)) {
            self.found(
                place,
                "has none of the forms that the schema allows (anyOf)",
            );
        }
        if !of.one_of.is_empty() {
            let fitting = of.one_of.iter().filter(|part| self.fits(part, value));
            if fitting.take(2).count() != 1 {
                self.found(
                    place,
                    "must have exactly one of the forms that the schema allows (oneOf)",
                );
            }
        }
    }

    /// Whether a value is of a type, without a word if it is not.
    pub(super) fn fits(&mut self, of: &'a Type, value: &Value) -> bool {
        let before = self.findings;
        self.trying += 1;
        self.check(of, value, &Place::Section);
        self.trying -= 1;
        // What was found in vain must not count against a type that tries others too.
        mem::replace(&mut self.findings, before) == before
    }

    fn is_among(&mut self, values: &[Value], value: &Value) -> bool {
        values
            .iter()
            .any(|known| !self.pay(1) || equal(known, value))
    }

    fn range(
        &mut self,
        (min, max): (Option<u64>, Option<u64>),
        count: u64,
        of: &str,
        place: &Place<'_>,
    ) {
        if let Some(min) = min.filter(|min| count < *min) {
            self.found(place, format_args!("must have at least {min} {of}"));
        }
        if let Some(max) = max.filter(|max| count > *max) {
            self.found(place, format_args!("must have at most {max} {of}"));
        }
    }
}

fn has_kind(kind: TypeKind, value: &Value) -> bool {
    match kind {
        TypeKind::String => value.is_string(),
        TypeKind::Number => value.is_number(),
        // As in draft 4 of JSON Schema, 1.0 is not an integer.
        TypeKind::Integer => value.is_i64() || value.is_u64(),
        TypeKind::Boolean => value.is_boolean(),
        TypeKind::Array => value.is_array(),
        TypeKind::Object => value.is_object(),
    }
}

/// Numbers are equal by value, so that 1 is 1.0.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => !less(one, other) && !less(other, one),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => one == other,
    }
}

fn less(one: &Number, other: &Number) -> bool {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one < other,
        _ => one.as_f64() < other.as_f64(),
    }
}

fn is_multiple(number: &Number, step: &Number) -> bool {
    if let (Some(number), Some(step)) = (number.as_i128(), step.as_i128()) {
        return step == 0 || number % step == 0;
    }
    let (Some(number), Some(step)) = (number.as_f64(), step.as_f64()) else {
        return true;
    };
    // 0.07 is 7 times 0.01, though not for a computer.
    let times = number / step;
    step == 0.0 || (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}
