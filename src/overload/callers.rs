//! What is due to each caller: so many calls a second, and so many at the same time.
//!
//! The workers share one table in parts, so that two callers seldom wait for each other and one
//! caller waits for itself for as long as a lookup takes. A caller that is owed nothing is
//! forgotten: it would be found as it is made.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Pace, Rate};
use crate::identity::Who;

const PARTS: usize = 16;
/// Callers that are remembered in each part.
const MOST: usize = 4096;

/// When one of a caller's calls may have ended.
const SOON: Duration = Duration::from_millis(100);
/// Between two callers that are told so, lest they come at the same time.
const SPREAD: Duration = Duration::from_millis(10);
/// Whoever is refused is told no later than this after the first that may come again: most of those
/// before it in the line never come.
const LONGEST_LINE: Duration = Duration::from_secs(1);

/// What every caller may do. Nothing is limited by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub rate: Option<Rate>,
    /// How many calls and streams at the same time.
    pub concurrency: Option<usize>,
}

impl Limits {
    pub(super) fn any(&self) -> bool {
        self.rate.is_some() || self.concurrency.is_some()
    }
}

/// A call that is not due to its caller now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub why: Why,
    /// When it is worth coming again.
    pub after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Rate,
    Concurrency,
}

impl Why {
    /// For people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Rate => "the caller makes more calls a second than it may",
            Self::Concurrency => "the caller has more calls under way than it may",
        }
    }
}

/// A call under way. It counts until this is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "its owners are counted")] Arc<()>);

/// All callers that were here lately.
pub(super) struct Callers {
    limits: Limits,
    hasher: RandomState,
    parts: [Mutex<HashMap<Who, Caller>>; PARTS],
}

struct Caller {
    pace: Option<Pace>,
    /// Has an owner more than there are calls under way.
    under_way: Arc<()>,
    /// When the last one that was refused was told to come.
    told: Instant,
}

impl Callers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            hasher: RandomState::new(),
            parts: Default::default(),
        }
    }

    pub(super) fn admit(&self, who: &Who, now: Instant) -> Result<Turn, Refused> {
        let part = self.hasher.hash_one(who) as usize % PARTS;
        let mut part = self.parts[part]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(caller) = part.get_mut(who) {
            return caller.admit(&self.limits, now);
        }
        if part.len() >= MOST {
            make_room(&mut part, now);
        }
        let new = Caller {
            pace: self.limits.rate.map(|rate| rate.from(now)),
            under_way: Arc::default(),
            told: now,
        };
        part.entry(who.clone())
            .or_insert(new)
            .admit(&self.limits, now)
    }
}

/// Forgets callers that are owed nothing; if there are none, those that have nothing under way. What
/// is left then is bounded by what may be under way.
fn make_room(part: &mut HashMap<Who, Caller>, now: Instant) {
    part.retain(|_, caller| !caller.is_forgettable(now));
    if part.len() >= MOST {
        part.retain(|_, caller| caller.under_way() > 0);
    }
}

impl Caller {
    fn admit(&mut self, limits: &Limits, now: Instant) -> Result<Turn, Refused> {
        if limits
            .concurrency
            .is_some_and(|most| self.under_way() >= most)
        {
            return Err(self.refuse(Why::Concurrency, now + SOON, SPREAD, now));
        }
        if let Some(pace) = &mut self.pace
            && let Err(wait) = pace.take(now)
        {
            let each = pace.each();
            return Err(self.refuse(Why::Rate, now + wait, each, now));
        }
        Ok(Turn(Arc::clone(&self.under_way)))
    }

    /// Each that is refused is told a time of its own, so that those who keep to it get in.
    fn refuse(&mut self, why: Why, earliest: Instant, each: Duration, now: Instant) -> Refused {
        let next = (self.told + each).clamp(earliest, earliest + LONGEST_LINE);
        self.told = next;
        Refused {
            why,
            after: next - now,
        }
    }

    fn under_way(&self) -> usize {
        Arc::strong_count(&self.under_way) - 1
    }

    fn is_forgettable(&self, now: Instant) -> bool {
        self.under_way() == 0 && self.pace.as_ref().is_none_or(|pace| pace.is_full(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_A_SECOND: Limits = Limits {
        rate: Some(Rate {
            a_second: 2,
            at_once: 3,
        }),
        concurrency: None,
    };
    const TWO_AT_ONCE: Limits = Limits {
        rate: None,
        concurrency: Some(2),
    };

    fn who(name: impl ToString) -> Who {
        Who::Proxied(name.to_string())
    }

    fn known(callers: &Callers) -> usize {
        let parts = callers.parts.iter();
        parts.map(|part| part.lock().unwrap().len()).sum()
    }

    #[test]
    fn a_caller_gets_its_burst_and_then_its_rate() {
        let (callers, start) = (Callers::new(TWO_A_SECOND), Instant::now());
        let mut admitted = 0;
        for tenth in 0..100 {
            let now = start + Duration::from_millis(100) * tenth;
            admitted += u32::from(callers.admit(&who("a"), now).is_ok());
        }
        // Three at once, and two in each of the 9.9 seconds since.
        assert_eq!(admitted, 3 + 19);
    }

    #[test]
    fn whoever_comes_when_it_was_told_gets_in() {
        let (callers, start) = (Callers::new(TWO_A_SECOND), Instant::now());
        let mut told = Vec::new();
        for _ in 0..5 {
            if let Err(refused) = callers.admit(&who("a"), start) {
                assert_eq!(refused.why, Why::Rate);
                told.push(refused.after);
            }
        }
        assert_eq!(told.len(), 2);
        for after in told {
            assert!(callers.admit(&who("a"), start + after).is_ok(), "{after:?}");
        }
    }

    #[test]
    fn nobody_is_told_to_wait_for_all_that_were_refused_before() {
        let (callers, now) = (Callers::new(TWO_A_SECOND), Instant::now());
        let told = (0..1000).filter_map(|_| callers.admit(&who("a"), now).err());
        let longest = told.map(|refused| refused.after).max().unwrap();
        assert_eq!(longest, Duration::from_millis(500) + LONGEST_LINE);
    }

    #[test]
    fn a_flood_of_one_caller_refuses_no_other() {
        for limits in [TWO_A_SECOND, TWO_AT_ONCE] {
            let (callers, now) = (Callers::new(limits), Instant::now());
            let flood: Vec<_> = (0..1000).map(|_| callers.admit(&who("a"), now)).collect();
            assert!(flood.iter().filter(|turn| turn.is_ok()).count() <= 3);
            assert!(callers.admit(&who("b"), now).is_ok());
        }
    }

    #[test]
    fn as_many_calls_are_under_way_as_may_be_and_the_end_of_one_lets_another_in() {
        let (callers, now) = (Callers::new(TWO_AT_ONCE), Instant::now());
        let first = callers.admit(&who("a"), now).unwrap();
        let _second = callers.admit(&who("a"), now).unwrap();
        let refused = callers.admit(&who("a"), now).unwrap_err();
        assert_eq!(
            (refused.why, refused.after),
            (Why::Concurrency, Duration::from_millis(100))
        );
        drop(first);
        assert!(callers.admit(&who("a"), now).is_ok());
    }

    #[test]
    fn callers_that_are_owed_nothing_are_forgotten() {
        let (callers, now) = (Callers::new(TWO_A_SECOND), Instant::now());
        for number in 0..PARTS * MOST * 2 {
            let later = now + Duration::from_millis(number as u64);
            callers.admit(&who(number), later).unwrap();
        }
        assert!(known(&callers) <= PARTS * MOST);
    }

    #[test]
    fn callers_that_come_all_at_once_are_bounded_and_those_under_way_are_kept() {
        let (callers, now) = (Callers::new(TWO_A_SECOND), Instant::now());
        let _turn = callers.admit(&who("kept"), now).unwrap();
        for number in 0..PARTS * MOST * 2 {
            callers.admit(&who(number), now).unwrap();
        }
        assert!(known(&callers) <= PARTS * MOST);
        for _ in 0..2 {
            callers.admit(&who("kept"), now).unwrap();
        }
        assert!(callers.admit(&who("kept"), now).is_err());
    }

    #[test]
    fn workers_that_share_the_table_let_no_more_in() {
        let (callers, now) = (Callers::new(TWO_AT_ONCE), Instant::now());
        let admit = || (0..1000).filter_map(|_| callers.admit(&who("a"), now).ok());
        let admitted: usize = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(|| admit().collect::<Vec<_>>()));
            let turns = threads.map(|thread| thread.join().unwrap());
            turns.iter().map(Vec::len).sum()
        });
        assert_eq!(admitted, 2);
    }
}
