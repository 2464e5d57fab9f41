//! Why a deployment cannot be rendered.

use std::fmt;

use crate::control_plane::bundle::Problem;

/// The deployment's status message: file, line and rule, for the author of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderError(Problem);

impl RenderError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Problem::new(message))
    }
}

impl From<Problem> for RenderError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<RenderError> for Problem {
    fn from(error: RenderError) -> Self {
        error.0
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for RenderError {}
