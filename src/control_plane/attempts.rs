//! How the store's refusals are answered. Handlers write optimistically: they load, decide and commit, and do so again when
//! somebody else was faster.

use super::store::{self, CommitError};
use crate::api::Error;

/// Counts how often a decision was taken anew because the records changed under it.
#[derive(Debug, Default)]
pub(super) struct Attempts(u32);

impl Attempts {
    /// Each round of a race has a winner, so this many writers of one record all get through.
    const MAX: u32 = 64;

    /// Whether to load and decide again; else what to answer.
    pub(super) fn again(&mut self, refusal: CommitError) -> Result<(), Error> {
        match refusal {
            CommitError::Exists(key) | CommitError::Changed(key) => {
                self.0 += 1;
                match self.0 < Self::MAX {
                    true => Ok(()),
                    false => Err(Error::conflict(format!(
                        "{} {:?} is being changed by others",
                        key.kind.as_str(),
                        key.id
                    ))),
                }
            }
            CommitError::HasChildren { parent, .. } => Err(Error::conflict(format!(
                "{parent:?} still has resources below it"
            ))),
            CommitError::Referenced { value, .. } => {
                Err(Error::conflict(format!("{value} is in use")))
            }
            CommitError::Full { limit } => Err(Error::quota_exceeded(format!(
                "the quota of {limit} is reached"
            ))),
            CommitError::LostClaim(_) => unreachable!("only workers hold claims"),
            CommitError::Unavailable(cause) => Err(cause.into()),
        }
    }
}

impl From<store::Error> for Error {
    fn from(cause: store::Error) -> Self {
        tracing::error!(error = &cause as &dyn std::error::Error, "the store failed");
        Self::internal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;
    use crate::control_plane::store::{Key, Kind};

    #[test]
    fn a_race_is_run_again_but_not_for_ever() {
        let changed = || CommitError::Changed(Key::new("a/r", Kind::Service, "web"));
        let mut attempts = Attempts::default();
        let refusal = (0..1000)
            .find_map(|_| attempts.again(changed()).err())
            .unwrap();
        assert_eq!(refusal.code, Code::Conflict);
        assert_eq!(
            refusal.message,
            "service \"web\" is being changed by others"
        );
    }

    #[test]
    fn what_will_not_change_by_waiting_is_answered_at_once() {
        let code = |refusal| Attempts::default().again(refusal).unwrap_err().code;
        assert_eq!(
            code(CommitError::Full { limit: 7 }),
            Code::ServiceQuotaExceeded
        );
        let children = CommitError::HasChildren {
            kind: Kind::Service,
            parent: "web".to_owned(),
        };
        assert_eq!(code(children), Code::Conflict);
    }
}
