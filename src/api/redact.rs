//! Sensitive members never reach a log, because `Debug` cannot see them.

use std::fmt;

/// Stands in for a sensitive value in `Debug` output.
pub(crate) struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sensitive>")
    }
}
