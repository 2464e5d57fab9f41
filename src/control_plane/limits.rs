//! The quotas of one account in one Region.

use super::{bundle, render};

/// One line a quota: what it counts, its field, the name that operators know it by, and Proton's own figure.
macro_rules! quotas {
    ($($(#[doc = $counts:literal])* $field:ident $name:literal = $default:literal,)+) => {
        /// How much there may be. The defaults are Proton's own.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $counts])* pub $field: i64,)+
            /// These are the same for everybody.
            pub bundle: bundle::Limits,
            pub rendering: render::Limits,
        }

        impl Default for Limits {
            fn default() -> Self {
                Self {
                    $($field: $default,)+
                    bundle: bundle::Limits::default(),
                    rendering: render::Limits::default(),
                }
            }
        }

        impl Limits {
            /// The quotas that an operator may change, with their defaults.
            pub const QUOTAS: &[(&str, i64)] = &[$(($name, $default),)+];

            /// The quota of this name.
            pub fn quota_mut(&mut self, name: &str) -> Option<&mut i64> {
                match name {
                    $($name => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

quotas! {
    /// Environment and service templates together.
    templates "templates" = 1000,
    versions_per_template "versions-per-template" = 1000,
    environments "environments" = 1000,
    services "services" = 1000,
    instances_per_service "instances-per-service" = 20,
    components "components" = 1000,
    /// Environment account connections, whatever their status.
    connections_per_environment_account "connections-per-environment-account" = 1000,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_is_found_by_its_name() {
        let mut limits = Limits::default();
        for (name, default) in Limits::QUOTAS {
            assert_eq!(limits.quota_mut(name).as_deref(), Some(default), "{name}");
        }
        assert_eq!(limits.quota_mut("bundle"), None);
    }
}
