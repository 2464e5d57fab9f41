//! CloudFormation templates, evaluated as CloudFormation would before it touches anything.
//!
//! ```text
//!  bytes ──reader──► Value ──sam──► Value ──sections──► Template ──evaluate──► outputs
//!                   (long forms)   (plain resources)   (expression,
//!                                                       conditions)
//! ```
//!
//! Templates come from strangers: size, nesting and what they evaluate to are bounded, and nothing here takes longer than the size of its
//! input and output lets it. What is wrong is said in CloudFormation's words.

mod conditions;
mod evaluate;
mod expression;
mod graph;
mod network;
mod parameters;
mod reader;
mod refusal;
mod sam;
mod sections;
mod sub;
mod value;

pub(super) use refusal::Refusal;
pub(super) use value::Value;

use super::identity::Stack;

/// The outputs of a stack of this template, in the template's order.
pub(super) fn evaluate(
    template: &[u8],
    stack: &Stack<'_>,
) -> Result<Vec<(String, String)>, Refusal> {
    let template = sections::Template::read(reader::read(template)?)?;
    evaluate::outputs(&template, stack)
}

#[cfg(test)]
mod tests;
