//! The Conditions section.

use super::expression::{Expression, Reference, misused};
use super::refusal::Refusal;
use super::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    Equals(Expression, Expression),
    And(Vec<Rule>),
    Or(Vec<Rule>),
    Not(Box<Rule>),
    Named(String),
}

impl Rule {
    pub(super) fn read(value: &Value) -> Result<Self, Refusal> {
        let Some([(function, argument)]) = value.as_map() else {
            return Err(Refusal::format(
                "Every Conditions member must be a function of conditions: Fn::And, Fn::Or, Fn::Not, Fn::Equals or Condition",
            ));
        };
        let arguments = argument.as_list().unwrap_or_default();
        let rules = || arguments.iter().map(Self::read).collect::<Result<_, _>>();
        match (function.as_str(), arguments) {
            ("Condition", _) => match argument {
                Value::Text(name) => Ok(Self::Named(name.clone())),
                _ => Err(Refusal::error(
                    "every Condition object must have a single String value.",
                )),
            },
            ("Fn::Equals", [left, right]) => Ok(Self::Equals(
                Expression::read(left)?,
                Expression::read(right)?,
            )),
            ("Fn::And", _) if (2..=10).contains(&arguments.len()) => Ok(Self::And(rules()?)),
            ("Fn::Or", _) if (2..=10).contains(&arguments.len()) => Ok(Self::Or(rules()?)),
            ("Fn::Not", [rule]) => Ok(Self::Not(Box::new(Self::read(rule)?))),
            _ => Err(misused(function)),
        }
    }

    pub(super) fn visit<'a>(&'a self, see: &mut dyn FnMut(Reference<'a>)) {
        match self {
            Self::Equals(left, right) => {
                left.visit(&|_| None, see);
                right.visit(&|_| None, see);
            }
            Self::And(rules) | Self::Or(rules) => rules.iter().for_each(|rule| rule.visit(see)),
            Self::Not(rule) => rule.visit(see),
            Self::Named(name) => see(Reference::Condition(name)),
        }
    }
}
