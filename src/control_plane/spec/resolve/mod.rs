//! Inputs against a schema: what was given is checked, then what was left out is filled in.
//!
//! The rules are those of OpenAPI 3.0. Only given inputs are checked, so a default may break its own type, as some in use do, and a property with
//! a default need not be given even when it is required. Inputs that the schema does not name are accepted and left out.
//!
//! Schemas come from strangers like the specs do, and a few lines of `anyOf`, or of types within themselves, ask for more work than there is
//! time. That is why this is a walk of our own with a budget, and not a general validator: such a one does all the work it is asked for. The walk
//! needs nothing prepared: patterns, which alone are costly to read, are read when a value has to match them.

mod check;
mod fill;
mod format;
mod pattern;
mod place;
mod wording;

#[cfg(test)]
mod tests;

pub(super) use place::Place;

use std::collections::HashMap;
use std::mem;

use regex::Regex;

use super::error::Problems;
use super::{Inputs, SpecError};
use crate::control_plane::bundle::{PartKind, Schema};

/// Steps that one walk may take; the largest honest spec takes a few ten thousand.
const STEPS: u64 = 2_000_000;
/// Types and values that may lie within each other; the recursion has to fit a stack.
const MAX_DEPTH: usize = 100;

/// Inputs as templates see them: checked, in the order of the schema, defaults merged in, without those that were not given and have no default.
///
/// `at` says in messages whose inputs they are: `environment`, `pipeline`, `instance "dev"`.
pub fn resolve(
    schema: &Schema,
    part: PartKind,
    inputs: &Inputs,
    at: &str,
) -> Result<Inputs, SpecError> {
    let Some(of) = schema.input(part) else {
        return Err(SpecError::broken(format!(
            "{at}: the template takes no inputs for this"
        )));
    };
    let place = match part {
        PartKind::Environment | PartKind::ServiceInstance => Place::Root("spec"),
        PartKind::Pipeline => Place::Section,
    };
    let mut walk = Walk {
        schema,
        at,
        problems: Problems::default(),
        findings: 0,
        trying: 0,
        depth: 0,
        steps: STEPS,
        patterns: HashMap::new(),
    };
    let inputs = inputs.clone().into();
    walk.check(of, &inputs, &place);
    walk.verdict()?;
    let filled = walk.fill_inputs(of, &inputs);
    walk.verdict()?;
    Ok(filled)
}

/// One walk over inputs and their type.
struct Walk<'a> {
    schema: &'a Schema,
    at: &'a str,
    problems: Problems,
    /// All that was found, also what was only tried.
    findings: usize,
    /// Above zero while it is tried whether a value fits; nothing is reported then.
    trying: usize,
    depth: usize,
    steps: u64,
    /// By the schema's spelling; `None` for those that cannot be read.
    patterns: HashMap<&'a str, Option<Regex>>,
}

impl Walk<'_> {
    /// Pays for work; without budget there is nothing left to do but to return.
    fn pay(&mut self, steps: u64) -> bool {
        self.steps = self.steps.saturating_sub(steps);
        self.steps > 0
    }

    /// Goes one level down, if there is budget for it.
    fn enter(&mut self) -> bool {
        if self.depth == MAX_DEPTH {
            self.steps = 0;
        }
        if !self.pay(1) {
            return false;
        }
        self.depth += 1;
        true
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn verdict(&mut self) -> Result<(), SpecError> {
        if self.steps == 0 {
            return Err(SpecError::broken(format!(
                "{}: checking this against the schema takes more work than is allowed",
                self.at
            )));
        }
        match mem::take(&mut self.problems).into_text() {
            None => Ok(()),
            Some(problems) => Err(SpecError::broken(problems)),
        }
    }
}
