//! How many calls a worker takes on at the same time: as many as it answers in time.
//!
//! No number is right for every machine and upstream, so it is found. It is halved when even the
//! luckiest call of a tenth of a second had to wait for the CPU, and when calls came to the end of
//! their time. It grows again as long as none of that happens: fast, since the CPU tells at once when
//! it was too much, but slowly from where calls were late, since they tell so only much later. An
//! upstream that is only slow is no reason: its calls wait, and neither for the CPU nor too long.
//!
//! Streams mostly sleep. They are counted apart, and never the reason why a call is turned away.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::LATER;

/// What one connection may have at once: nobody is turned away by what a single client does.
const FEWEST: usize = 100;
/// When most of what is done is done in vain, for a single client too.
const FEWEST_EVER: usize = 16;
/// Bounds the memory that calls take, whatever the signals say.
const MOST: usize = 2_000;
const MOST_STREAMS: usize = 10_000;

/// How often the number is looked at.
const WINDOW: Duration = Duration::from_millis(100);
/// A wait for the CPU that a queue explains, and a busy moment does not.
const WAIT: Duration = Duration::from_millis(5);
/// A wait that comes more than once in a call's life and leaves little of its time.
const LONG_WAIT: Duration = Duration::from_millis(250);
/// Who ran out of less time than this was in a hurry.
const PATIENCE: Duration = Duration::from_millis(500);
/// One in so many calls comes to the end of its time on good days, too.
const LATE: usize = 20;
/// For so many windows, those that are late were there before the limit was halved.
const ECHO: u32 = 10;

/// The calls that a worker has under way. Clones are the same.
#[derive(Clone, Default)]
pub struct Shedding(Arc<Mutex<State>>);

struct State {
    calls: usize,
    streams: usize,
    /// How many calls may be under way.
    limit: usize,
    /// From where on it grows slowly.
    slowly: usize,
    /// Windows in which nobody is heard who is late.
    echo: u32,
    window: Option<Window>,
    /// How many were turned away.
    shed: u64,
}

/// What was seen since a moment.
struct Window {
    since: Instant,
    /// What the luckiest call waited for the CPU.
    least_wait: Option<Duration>,
    ended: usize,
    late: usize,
}

/// What a call does to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Call,
    Stream,
}

/// A call that the worker does not take on, and when it may come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded {
    pub after: Duration,
}

/// A call under way, until this is dropped.
pub struct Place {
    shedding: Shedding,
    work: Work,
    arrived: Instant,
}

impl Default for State {
    fn default() -> Self {
        Self {
            calls: 0,
            streams: 0,
            limit: MOST,
            slowly: MOST,
            echo: 0,
            window: None,
            shed: 0,
        }
    }
}

impl Shedding {
    /// Takes a call on that arrives now, or not.
    pub fn begin(&self, work: Work, now: Instant) -> Result<Place, Overloaded> {
        let mut state = self.state();
        state.look(now);
        let (under_way, most) = match work {
            Work::Call => {
                let limit = state.limit;
                (&mut state.calls, limit)
            }
            Work::Stream => (&mut state.streams, MOST_STREAMS),
        };
        if *under_way >= most {
            state.shed += 1;
            // Spread over a second, lest all come back at once.
            let after = LATER + Duration::from_millis(state.shed % 1000);
            return Err(Overloaded { after });
        }
        *under_way += 1;
        Ok(Place {
            shedding: self.clone(),
            work,
            arrived: now,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Finds the limit anew when a window is over.
    fn look(&mut self, now: Instant) {
        let window = self.window.get_or_insert_with(|| Window::new(now));
        let passed = now - window.since;
        if passed < WINDOW {
            return;
        }
        let wait = window.least_wait.unwrap_or_default();
        let late = window.late > window.ended / LATE && self.echo == 0;
        let half = self.limit.min(self.calls) / 2;
        // Time without a call is time without overload.
        let windows = (passed.as_millis() / WINDOW.as_millis()).min(100) as u32;
        self.echo = self.echo.saturating_sub(windows);
        // Then less is taken on than a single client may ask for.
        let in_vain = wait > LONG_WAIT || (late && window.late > window.ended / 2);
        if in_vain {
            self.limit = half.max(FEWEST_EVER);
        } else if late || wait > WAIT {
            self.limit = half.max(self.limit.min(FEWEST));
        } else {
            (0..windows).for_each(|_| self.grow());
        }
        if late {
            self.slowly = self.limit;
            self.echo = ECHO;
        } else if self.calls < self.limit / 2 {
            self.slowly = MOST;
        }
        self.window = Some(Window::new(now));
    }

    fn grow(&mut self) {
        let part = if self.limit < self.slowly { 8 } else { 400 };
        self.limit = (self.limit + (self.limit / part).max(1)).min(MOST);
    }
}

impl Window {
    fn new(since: Instant) -> Self {
        Self {
            since,
            least_wait: None,
            ended: 0,
            late: 0,
        }
    }
}

impl Place {
    /// The CPU has turned to the call.
    pub fn started(&self, now: Instant) {
        let wait = now - self.arrived;
        if let Some(window) = &mut self.shedding.state().window {
            let least = window.least_wait.get_or_insert(wait);
            *least = wait.min(*least);
        }
    }

    /// The call's time was over before it was answered.
    pub fn ran_out_of_time(&self, now: Instant) {
        if now - self.arrived >= PATIENCE
            && let Some(window) = &mut self.shedding.state().window
        {
            window.late += 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shedding.state();
        match self.work {
            Work::Call => state.calls -= 1,
            Work::Stream => state.streams -= 1,
        }
        if let Some(window) = &mut state.window {
            window.ended += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker and its time.
    struct Worker {
        shedding: Shedding,
        now: Instant,
        under_way: Vec<Place>,
    }

    impl Worker {
        fn new() -> Self {
            Self {
                shedding: Shedding::default(),
                now: Instant::now(),
                under_way: Vec::new(),
            }
        }

        /// Takes on as many of these calls as it may.
        fn offered(&mut self, calls: usize, wait: Duration) -> usize {
            let begin = |_| self.shedding.begin(Work::Call, self.now).ok();
            let taken: Vec<_> = (0..calls).filter_map(begin).collect();
            for place in &taken {
                place.started(self.now + wait);
            }
            let count = taken.len();
            self.under_way.extend(taken);
            count
        }

        fn after(&mut self, time: Duration) {
            self.now += time;
        }

        /// Windows in which so many calls are kept under way, each with this wait for the CPU.
        fn busy(&mut self, windows: usize, calls: usize, wait: Duration) {
            for _ in 0..windows {
                self.under_way.clear();
                self.offered(calls, wait);
                self.after(WINDOW);
            }
        }
    }

    #[test]
    fn a_worker_that_cannot_follow_takes_on_less_and_a_single_client_still_fits() {
        let mut worker = Worker::new();
        assert_eq!(worker.offered(10_000, WAIT * 2), MOST);
        worker.busy(20, 10_000, WAIT * 2);
        worker.under_way.clear();
        assert_eq!(worker.offered(10_000, WAIT * 2), FEWEST);
    }

    #[test]
    fn a_worker_on_which_everybody_waits_long_takes_on_next_to_nothing() {
        let mut worker = Worker::new();
        worker.busy(20, 10_000, LONG_WAIT * 2);
        worker.under_way.clear();
        assert_eq!(worker.offered(10_000, WAIT), FEWEST_EVER);
    }

    #[test]
    fn a_worker_that_can_follow_again_takes_on_more_and_soon_all() {
        let mut worker = Worker::new();
        worker.busy(20, 10_000, WAIT * 2);
        worker.busy(30, 10_000, Duration::ZERO);
        worker.under_way.clear();
        assert_eq!(worker.offered(10_000, Duration::ZERO), MOST);
    }

    #[test]
    fn a_pause_is_no_overload() {
        let mut worker = Worker::new();
        worker.busy(20, 10_000, WAIT * 2);
        worker.busy(1, 1, Duration::ZERO);
        worker.after(Duration::from_secs(10));
        worker.under_way.clear();
        assert_eq!(worker.offered(10_000, Duration::ZERO), MOST);
    }

    #[test]
    fn a_burst_is_no_overload_as_long_as_somebody_is_lucky() {
        let mut worker = Worker::new();
        for _ in 0..20 {
            worker.under_way.clear();
            assert_eq!(worker.offered(1, Duration::ZERO), 1);
            assert_eq!(worker.offered(500, WAIT * 10), 500);
            worker.after(WINDOW);
        }
    }

    #[test]
    fn a_slow_upstream_is_no_overload() {
        let mut worker = Worker::new();
        for _ in 0..100 {
            // Half a second each.
            assert_eq!(worker.offered(300, Duration::ZERO), 300);
            worker.after(WINDOW);
            if worker.under_way.len() > 1500 {
                worker.under_way.drain(..300);
            }
        }
    }

    /// What is answered in time in the last ten of thirty seconds of so many calls a second, each with
    /// this time, by an upstream that does all it is asked for, though nobody waits for it any more.
    fn answered_in_time(a_second: usize, offered: usize, time: Duration) -> usize {
        const TICK: Duration = Duration::from_millis(10);
        let mut worker = Worker::new();
        let mut asked = std::collections::VecDeque::new();
        let mut answered = 0;
        for tick in 0..3000 {
            for _ in 0..offered / 100 {
                if let Ok(place) = worker.shedding.begin(Work::Call, worker.now) {
                    place.started(worker.now);
                    asked.push_back((worker.now + time, Some(place)));
                }
            }
            worker.after(TICK);
            for (end, place) in &mut asked {
                if *end <= worker.now
                    && let Some(place) = place.take()
                {
                    place.ran_out_of_time(worker.now);
                }
            }
            let done = asked.len().min(a_second / 100);
            let done = asked.drain(..done).filter(|(_, place)| place.is_some());
            let in_time = done.count();
            if tick >= 2000 {
                answered += in_time;
            }
        }
        answered / 10
    }

    #[test]
    fn an_upstream_that_is_asked_for_too_much_goes_on_answering_in_time() {
        for a_second in [300, 1000, 1500] {
            let answered = answered_in_time(a_second, a_second * 4, Duration::from_secs(1));
            assert!(answered >= a_second * 9 / 10, "{answered} of {a_second}");
        }
    }

    #[test]
    fn calls_that_are_in_a_hurry_are_no_overload() {
        let mut worker = Worker::new();
        for _ in 0..20 {
            worker.offered(1000, Duration::ZERO);
            worker.after(PATIENCE / 2);
            for place in worker.under_way.drain(..) {
                place.ran_out_of_time(worker.now);
            }
        }
        assert_eq!(worker.offered(1000, Duration::ZERO), 1000);
    }

    #[test]
    fn streams_take_no_calls_place() {
        let worker = Worker::new();
        let stream = || worker.shedding.begin(Work::Stream, worker.now);
        let streams: Vec<_> = (0..MOST_STREAMS).map(|_| stream().ok().unwrap()).collect();
        assert!(stream().is_err());
        assert!(worker.shedding.begin(Work::Call, worker.now).is_ok());
        drop(streams);
        assert!(stream().is_ok());
    }

    #[test]
    fn those_who_are_turned_away_come_back_one_after_the_other() {
        let mut worker = Worker::new();
        worker.offered(MOST, Duration::ZERO);
        let told = |_| worker.shedding.begin(Work::Call, worker.now).err().unwrap();
        let times: std::collections::HashSet<_> = (0..1000).map(|n| told(n).after).collect();
        assert_eq!(times.len(), 1000);
        assert!(times.iter().all(|after| (LATER..LATER * 2).contains(after)));
    }
}
