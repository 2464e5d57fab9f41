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

/// The outputs that a template declares, in its order, with the values of those that it gives literally.
pub(super) fn declared(template: &[u8]) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let template = sections::Template::read(reader::read(template)?)?;
    let outputs = template.outputs.into_iter();
    let literal = |output: sections::Output| match (output.condition, output.value) {
        (None, expression::Expression::Text(text)) => Some(text),
        _ => None,
    };
    Ok(outputs
        .map(|(name, output)| (name, literal(output)))
        .collect())
}

#[cfg(test)]
mod tests;
