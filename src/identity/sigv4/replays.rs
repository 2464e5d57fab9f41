//! Signatures that were here before.
//!
//! A signature is good for as long as its clock window is, so whoever sees a request could send it
//! again. AWS leaves that to TLS. Here, changes are taken once: their signatures are remembered.
//!
//! SDKs repeat requests of their own accord. Each attempt is signed anew, but some (those for
//! Rust and Python) sign nothing that differs between attempts, and then two within a second have the
//! same signature. So where a repeat does no harm it is let in for a few seconds more. Operations
//! whose repeat may do the work again are let in once.
//!
//! Every process remembers for itself: of many behind a balancer each lets a signature in once.

use std::{collections::HashMap, sync::Mutex};

use super::WINDOW_SECONDS;
use crate::{
    api::operation::Class,
    identity::{Refusal, refusal::Why},
};

/// How long an attempt may follow the first that has the same signature.
const RETRY_SECONDS: u64 = 3;
/// From the earliest that a signature is good to the latest.
const LIFE_SECONDS: u64 = 2 * WINDOW_SECONDS;
/// Some 30 MB of signatures, twice: 1,700 changes a second for ten minutes.
const MOST: usize = 1 << 20;

#[derive(Debug, Default)]
pub(in crate::identity) struct Replays(Mutex<Seen>);

/// The signatures of this lifetime and of the one before, with the time each came first. Half of
/// one is as hard to find twice.
#[derive(Debug, Default)]
struct Seen {
    since: u64,
    young: HashMap<[u8; 16], u64>,
    old: HashMap<[u8; 16], u64>,
}

impl Replays {
    /// Takes note of a signature that holds. Refuses it if it is used again.
    pub(super) fn admit(
        &self,
        signature: &[u8; 32],
        class: Class,
        now: u64,
    ) -> Result<(), Refusal> {
        let grace = match class {
            Class::Read => return Ok(()),
            Class::Token | Class::Idempotent => RETRY_SECONDS,
            Class::Unsafe => 0,
        };
        let (half, _) = signature.split_first_chunk().expect("32 are more than 16");
        let mut seen = self.0.lock().expect("nothing panics while it looks");
        seen.forget(now);
        match seen.young.get(half).or_else(|| seen.old.get(half)) {
            Some(first) if now >= first + grace => Err(Refusal::bad_signature(
                "the request was made before: sign it anew to make it again",
            )),
            Some(_) => Ok(()),
            None if seen.young.len() >= MOST => Err(Refusal::new(
                Why::Crowded,
                "too many changes: repeats can no longer be told apart",
            )),
            None => {
                seen.young.insert(*half, now);
                Ok(())
            }
        }
    }
}

impl Seen {
    fn forget(&mut self, now: u64) {
        if now >= self.since + LIFE_SECONDS {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: u8) -> [u8; 32] {
        [text; 32]
    }

    #[test]
    fn a_change_is_taken_once() {
        let replays = Replays::default();
        let admitted = |class, now| replays.admit(&signature(1), class, now).is_ok();
        assert!(admitted(Class::Unsafe, 1000));
        assert!(!admitted(Class::Unsafe, 1000));
        assert!(!admitted(Class::Unsafe, 1000 + LIFE_SECONDS - 1));
        assert!(replays.admit(&signature(2), Class::Unsafe, 1000).is_ok());
    }

    #[test]
    fn an_sdk_may_repeat_what_does_no_harm_at_once() {
        for class in [Class::Token, Class::Idempotent] {
            let replays = Replays::default();
            let admitted = |now| replays.admit(&signature(1), class, now).is_ok();
            assert!(admitted(1000));
            assert!(admitted(1000));
            assert!(admitted(1000 + RETRY_SECONDS - 1));
            assert!(!admitted(1000 + RETRY_SECONDS));
        }
    }

    #[test]
    fn reads_are_not_remembered() {
        let replays = Replays::default();
        for _ in 0..2 {
            assert!(replays.admit(&signature(1), Class::Read, 1000).is_ok());
        }
        assert!(replays.0.lock().unwrap().young.is_empty());
    }

    #[test]
    fn a_signature_is_remembered_for_as_long_as_it_is_good() {
        let replays = Replays::default();
        let mut now = 1000;
        for start in 0..40 {
            let (first, last) = (now, now + LIFE_SECONDS - 1);
            assert!(
                replays
                    .admit(&signature(start), Class::Unsafe, first)
                    .is_ok()
            );
            assert!(
                replays
                    .admit(&signature(start), Class::Unsafe, last)
                    .is_err()
            );
            now += 97;
        }
        let seen = replays.0.lock().unwrap();
        assert!(seen.young.len() + seen.old.len() < 20);
    }
}
