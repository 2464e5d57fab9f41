//! All policies together, and how they decide.

use cedar_policy::{Authorizer, Decision, Policy, PolicySet};

use super::{case::Case, mentions::Mentions};

/// Policies that have been checked.
#[derive(Debug, Default)]
pub struct Set {
    policies: PolicySet,
    pub(super) mentions: Mentions,
}

/// What the policies say, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Those that decided: that permit, or that forbid. None of them if nothing permits.
    pub policies: Vec<String>,
    /// What could not be evaluated. Then nothing is allowed: it might have been forbidden.
    pub errors: Vec<String>,
}

impl Set {
    pub(super) fn add(&mut self, policy: Policy, mentions: Mentions) -> Result<(), String> {
        self.mentions = self.mentions.or(mentions);
        self.policies.add(policy).map_err(|cause| cause.to_string())
    }

    pub fn count(&self) -> usize {
        self.policies.num_of_policies()
    }

    pub fn judge(&self, case: &Case<'_>) -> Verdict {
        let (request, entities) = case.to_cedar();
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let found = response.diagnostics();
        let errors: Vec<_> = found.errors().map(ToString::to_string).collect();
        let mut policies: Vec<_> = found.reason().map(ToString::to_string).collect();
        policies.sort();
        Verdict {
            allowed: response.decision() == Decision::Allow && errors.is_empty(),
            policies,
            errors,
        }
    }
}
