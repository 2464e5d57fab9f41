//! Buckets of tokens, each kept as the time at which it is full again.

use std::time::Duration;

use tokio::time::Instant;

/// How many, in the long run and in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub a_second: u32,
    pub at_once: u32,
}

impl Rate {
    /// A bucket that is full.
    pub fn from(self, now: Instant) -> Pace {
        let each = Duration::from_secs(1) / self.a_second;
        Pace {
            each,
            ahead: each * self.at_once,
            due: now,
        }
    }
}

/// A bucket of tokens.
#[derive(Debug)]
pub struct Pace {
    each: Duration,
    ahead: Duration,
    due: Instant,
}

impl Pace {
    /// Takes a token; returns how long it is until that token is there.
    pub fn next(&mut self, now: Instant) -> Duration {
        let wait = self.wait(now);
        self.due = self.due.max(now) + self.each;
        wait
    }

    /// Takes a token if one is there, else returns when one will be.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        match self.wait(now) {
            Duration::ZERO => {
                self.next(now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// The time between two tokens.
    pub(super) fn each(&self) -> Duration {
        self.each
    }

    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.due <= now
    }

    fn wait(&self, now: Instant) -> Duration {
        (self.due.max(now) + self.each - now).saturating_sub(self.ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: Rate = Rate {
        a_second: 4,
        at_once: 2,
    };

    #[test]
    fn beyond_what_may_come_at_once_each_waits_for_the_one_before() {
        let now = Instant::now();
        let mut pace = FOUR.from(now);
        let waits: Vec<_> = (0..4).map(|_| pace.next(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250, 500]);
    }

    #[test]
    fn time_gives_back_what_was_taken_and_no_more() {
        let now = Instant::now();
        let mut pace = FOUR.from(now);
        pace.next(now);
        pace.next(now);
        let later = now + Duration::from_millis(250);
        assert_eq!(pace.next(later).as_millis(), 0);
        assert_eq!(pace.next(later).as_millis(), 250);
        let much_later = now + Duration::from_secs(60);
        let waits: Vec<_> = (0..3).map(|_| pace.next(much_later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250]);
    }

    #[test]
    fn whoever_only_asks_takes_nothing() {
        let now = Instant::now();
        let mut pace = FOUR.from(now);
        let taken = |pace: &mut Pace, now| pace.take(now).map_err(|wait| wait.as_millis());
        let taking: Vec<_> = (0..4).map(|_| taken(&mut pace, now)).collect();
        assert_eq!(taking, [Ok(()), Ok(()), Err(250), Err(250)]);
        let later = now + Duration::from_millis(250);
        assert_eq!(taken(&mut pace, later), Ok(()));
        assert_eq!(taken(&mut pace, later), Err(250));
    }
}
