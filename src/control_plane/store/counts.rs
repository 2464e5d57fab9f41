//! What a change adds to the counters.

use std::collections::BTreeMap;

use super::{Key, Kind};

/// Summed up before it is written: a counter is written once a change, and one whose sum is zero not at all.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<(String, Kind, String), i64>);

impl Counts {
    pub(super) fn add(&mut self, key: &Key, parent: Option<&str>, n: i64) {
        let of = |parent: &str| (key.scope.clone(), key.kind, parent.to_owned());
        *self.0.entry(of("")).or_default() += n;
        if let Some(parent) = parent {
            *self.0.entry(of(parent)).or_default() += n;
        }
    }

    /// Scope, kind and parent (empty for the scope's own counter) with what they gain or lose.
    pub(super) fn into_changed(self) -> impl Iterator<Item = ((String, Kind, String), i64)> {
        self.0.into_iter().filter(|(_, n)| *n != 0)
    }
}
