//! Whether a new minor version may follow the one before it.
//!
//! A spec that was good for the earlier minor version must stay good, so the new schema may ask for nothing more: no new input that has to be
//! given, no input gone or of another type, no value refused that was accepted. Only the schemas are compared; names of types, texts and
//! defaults may change freely. As in Proton this is best effort: compositions such as `anyOf` must simply stay the same.

use std::collections::HashSet;
use std::fmt;

use serde_json::Number;

use super::schema::{Additional, Schema, Type, TypeKind};
use super::{PartKind, Problem};

/// Types nest no deeper than this before the comparison stops; types that contain themselves could go on for long.
const MAX_DEPTH: usize = 48;
/// Pairs of named types that are compared; in a schema of the permitted size more of them are a trap.
const MAX_PAIRS: usize = 5_000;
/// More findings than a message can show.
const MAX_FINDINGS: usize = 50;

/// Compares the schema of a new minor version with that of the latest earlier one, and names every incompatible change.
pub fn check(earlier: &Schema, new: &Schema) -> Result<(), Problem> {
    let mut comparison = Comparison {
        earlier,
        new,
        seen: HashSet::new(),
        findings: Vec::new(),
    };
    for (part, name) in [
        (PartKind::Environment, "environment"),
        (PartKind::ServiceInstance, "service"),
        (PartKind::Pipeline, "pipeline"),
    ] {
        if let (Some(before), Some(after)) = (earlier.input(part), new.input(part)) {
            comparison.types(
                before,
                after,
                &Place {
                    parent: None,
                    name,
                    depth: 0,
                },
            );
        }
    }
    let findings = comparison.findings;
    if findings.is_empty() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "the schema is not backward compatible with the minor version before; mend this or register a new major version: {}",
        findings.join("; ")
    )))
}

#[derive(Clone, Copy)]
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    name: &'a str,
    depth: usize,
}

impl<'a> Place<'a> {
    fn child(&'a self, name: &'a str) -> Place<'a> {
        Place {
            parent: Some(self),
            name,
            depth: self.depth + 1,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        self.name
            .chars()
            .take(60)
            .try_for_each(|char| write!(f, "{}", char.escape_debug()))
    }
}

struct Comparison<'a> {
    earlier: &'a Schema,
    new: &'a Schema,
    seen: HashSet<(&'a str, &'a str)>,
    findings: Vec<String>,
}

impl<'a> Comparison<'a> {
    fn found(&mut self, place: &Place<'_>, what: impl fmt::Display) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(format!("{place} {what}"));
        }
    }

    fn types(&mut self, before: &'a Type, after: &'a Type, place: &Place<'_>) {
        let compared_already = match (&before.reference, &after.reference) {
            (Some(before), Some(after)) => !self.seen.insert((before, after)),
            _ => false,
        };
        if compared_already || place.depth > MAX_DEPTH || self.seen.len() > MAX_PAIRS {
            return;
        }
        let (before, after) = (self.earlier.resolve(before), self.new.resolve(after));
        if before.kind != after.kind {
            let shown = |of: &Type| of.kind.map_or("any", TypeKind::as_str);
            return self.found(
                place,
                format_args!("changes type from {} to {}", shown(before), shown(after)),
            );
        }
        self.values(before, after, place);
        match after.kind {
            Some(TypeKind::String) => self.strings(before, after, place),
            Some(TypeKind::Number | TypeKind::Integer) => self.numbers(before, after, place),
            Some(TypeKind::Array) => self.arrays(before, after, place),
            Some(TypeKind::Object) => self.objects(before, after, place),
            Some(TypeKind::Boolean) | None => {}
        }
    }

    fn values(&mut self, before: &Type, after: &Type, place: &Place<'_>) {
        if before.nullable && !after.nullable {
            self.found(place, "is no longer nullable");
        }
        if before.enumeration.is_empty() && !after.enumeration.is_empty() {
            self.found(place, "gains an enum");
        } else if !after.enumeration.is_empty()
            && before
                .enumeration
                .iter()
                .any(|value| !after.enumeration.contains(value))
        {
            self.found(place, "loses values of its enum");
        }
        if (&before.all_of, &before.any_of, &before.one_of)
            != (&after.all_of, &after.any_of, &after.one_of)
        {
            self.found(place, "changes allOf, anyOf or oneOf");
        }
    }

    fn strings(&mut self, before: &Type, after: &Type, place: &Place<'_>) {
        self.range(
            "Length",
            (before.min_length, before.max_length),
            (after.min_length, after.max_length),
            place,
        );
        if after.pattern.is_some() && after.pattern != before.pattern {
            self.found(place, "gains or changes its pattern");
        }
        // Other formats are notes to the reader; a date is checked.
        if after.format.as_deref() == Some("date") && after.format != before.format {
            self.found(place, "gains the format date");
        }
    }

    fn numbers(&mut self, before: &Type, after: &Type, place: &Place<'_>) {
        let lower = |of: &Type| {
            of.minimum
                .as_ref()
                .and_then(Number::as_f64)
                .map(|value| (value, of.exclusive_minimum))
        };
        let upper = |of: &Type| {
            of.maximum
                .as_ref()
                .and_then(Number::as_f64)
                .map(|value| (-value, of.exclusive_maximum))
        };
        if tightens(lower(before), lower(after)) {
            self.found(place, "has a higher minimum");
        }
        if tightens(upper(before), upper(after)) {
            self.found(place, "has a lower maximum");
        }
        if after.multiple_of.is_some() && after.multiple_of != before.multiple_of {
            self.found(place, "gains or changes multipleOf");
        }
    }

    fn arrays(&mut self, before: &'a Type, after: &'a Type, place: &Place<'_>) {
        self.range(
            "Items",
            (before.min_items, before.max_items),
            (after.min_items, after.max_items),
            place,
        );
        if after.unique_items && !before.unique_items {
            self.found(place, "gains uniqueItems");
        }
        match (&before.items, &after.items) {
            (Some(before), Some(after)) => self.types(before, after, &place.child("items")),
            (None, Some(_)) => self.found(place, "restricts its items"),
            (_, None) => {}
        }
    }

    fn objects(&mut self, before: &'a Type, after: &'a Type, place: &Place<'_>) {
        let counts = |of: &Type| (of.min_properties, of.max_properties);
        self.range("Properties", counts(before), counts(after), place);
        if before.additional_properties != after.additional_properties
            && after.additional_properties != Additional::Anything
        {
            self.found(place, "restricts its additionalProperties");
        }
        for (name, earlier) in &before.properties {
            match after.property(name) {
                Some(new) => self.types(earlier, new, &place.child(name)),
                None => self.found(&place.child(name), "is removed"),
            }
        }
        for name in after
            .required
            .iter()
            .filter(|name| !before.required.contains(name))
        {
            let property = after.property(name);
            if property.is_none_or(|property| self.new.resolve(property).default.is_none()) {
                let how = if before.property(name).is_some() {
                    "becomes required"
                } else {
                    "is new and required"
                };
                self.found(&place.child(name), format_args!("{how} without a default"));
            }
        }
    }

    fn range(
        &mut self,
        of: &str,
        before: (Option<u64>, Option<u64>),
        after: (Option<u64>, Option<u64>),
        place: &Place<'_>,
    ) {
        if after.0.unwrap_or(0) > before.0.unwrap_or(0) {
            self.found(place, format_args!("has a higher min{of}"));
        }
        if after.1.unwrap_or(u64::MAX) < before.1.unwrap_or(u64::MAX) {
            self.found(place, format_args!("has a lower max{of}"));
        }
    }
}

/// Whether a lower bound `(value, exclusive)` now refuses what it accepted.
fn tightens(before: Option<(f64, bool)>, after: Option<(f64, bool)>) -> bool {
    match (before, after) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(after)) => {
            after.0 > before.0 || (after.0 == before.0 && after.1 && !before.1)
        }
    }
}

#[cfg(test)]
mod tests;
