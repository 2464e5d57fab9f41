//! The quotas of one account in one Region.

use super::bundle;

/// How much there may be. The defaults are Proton's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Environment and service templates together.
    pub templates: i64,
    pub versions_per_template: i64,
    pub bundle: bundle::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            templates: 1000,
            versions_per_template: 1000,
            bundle: bundle::Limits::default(),
        }
    }
}
