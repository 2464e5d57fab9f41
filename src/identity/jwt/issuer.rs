//! An issuer and its keys, which change over time.
//!
//! They are looked up again every few minutes, and once more when a token names a key that is not
//! among them: issuers begin to sign with a new key soon after they show it. A flood of made-up
//! names leads to no flood of look-ups: two are at least half a minute apart. A look-up that fails
//! changes nothing.

use std::{
    fs,
    pin::Pin,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{Keys, Tokens, discovery, header, verify};
use crate::identity::{Clock, Refusal, Who, refusal::Why};

/// How long a call waits for a look-up.
const PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::identity) struct Issuer {
    tokens: Tokens,
    clock: Clock,
    source: Source,
    found: watch::Sender<Found>,
    wanted: Notify,
    /// What went wrong at the last look-up, which is told once.
    problem: Mutex<Option<String>>,
}

/// Where keys are looked up.
pub(super) struct Source {
    pub(super) look: Look,
    pub(super) pace: Pace,
}

pub(super) type Look = Box<dyn Fn() -> Looked + Send + Sync>;
pub(super) type Looked = Pin<Box<dyn Future<Output = Result<Keys, String>> + Send>>;

/// Between two look-ups: that nobody asks for, and at least.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    every: Duration,
    least: Duration,
}

pub(super) const ASKING: Pace = Pace {
    every: Duration::from_secs(5 * 60),
    least: Duration::from_secs(30),
};
/// A file is cheap to look at.
const READING: Pace = Pace {
    every: Duration::from_secs(2),
    least: Duration::from_secs(2),
};

/// What the last look-up left.
#[derive(Debug)]
struct Found {
    keys: Option<Keys>,
    at: SystemTime,
}

impl Issuer {
    /// With the keys of the file, if it is one; else without any until the first look-up.
    pub(in crate::identity) fn open(tokens: Tokens, clock: Clock) -> Result<Self, String> {
        let Some(file) = tokens.keys.clone() else {
            let issuer = tokens.issuer.clone();
            let look: Look = Box::new(move || {
                let issuer = issuer.clone();
                Box::pin(async move { discovery::keys(&issuer).await })
            });
            let source = Source { look, pace: ASKING };
            return Ok(Self::new(tokens, clock, source, None));
        };
        let read = move || {
            let text = fs::read(&file).map_err(|cause| cause.to_string());
            text.and_then(|text| Keys::read(&text))
                .map_err(|problem| format!("{}: {problem}", file.display()))
        };
        let keys = read()?;
        let source = Source {
            look: Box::new(move || Box::pin(std::future::ready(read()))),
            pace: READING,
        };
        Ok(Self::new(tokens, clock, source, Some(keys)))
    }

    pub(super) fn new(tokens: Tokens, clock: Clock, source: Source, keys: Option<Keys>) -> Self {
        let at = clock();
        Self {
            tokens,
            clock,
            source,
            found: watch::Sender::new(Found { keys, at }),
            wanted: Notify::new(),
            problem: Mutex::default(),
        }
    }

    pub(in crate::identity) async fn verify(
        &self,
        token: &str,
    ) -> Result<(Who, Map<String, Value>), Refusal> {
        let header = header(token)?;
        if !self.has(header.kid.as_deref()) {
            self.look_up_again().await;
        }
        let found = self.found.borrow();
        let keys = found.keys.as_ref().ok_or_else(|| {
            let message = "the issuer's keys are not known yet: try again";
            Refusal::new(Why::NoKeys, message)
        })?;
        verify(token, &header, keys, &self.tokens, (self.clock)())
    }

    fn has(&self, id: Option<&str>) -> bool {
        let found = self.found.borrow();
        (found.keys.as_ref()).is_some_and(|keys| keys.find(id).is_some())
    }

    /// Waits for a look-up that can find what the last one did not, unless that is too soon.
    async fn look_up_again(&self) {
        let mut found = self.found.subscribe();
        if self.age() < self.source.pace.least {
            return;
        }
        self.wanted.notify_one();
        // Without an answer in time the keys are what they were.
        let _ = timeout(PATIENCE, found.changed()).await;
    }

    fn age(&self) -> Duration {
        let since = (self.clock)().duration_since(self.found.borrow().at);
        // A clock that was set back makes nothing older.
        since.unwrap_or_default()
    }

    /// Looks the keys up, now and from then on.
    pub(in crate::identity) async fn keep(&self) {
        let Pace { every, least } = self.source.pace;
        loop {
            let looked = (self.source.look)().await;
            let rest = if looked.is_ok() { every } else { least };
            self.take_up(looked);
            sleep(least).await;
            tokio::select! {
                () = sleep(rest - least) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    fn take_up(&self, looked: Result<Keys, String>) {
        let (keys, problem) = match looked {
            Ok(keys) => (Some(keys), None),
            Err(problem) => (None, Some(problem)),
        };
        let mut last = self
            .problem
            .lock()
            .expect("nothing panics while it holds a text");
        if *last != problem {
            let issuer = &self.tokens.issuer;
            match &problem {
                Some(problem) => {
                    tracing::warn!(issuer, problem, "the issuer's keys stay as they were");
                }
                None => tracing::info!(issuer, "the issuer's keys are found again"),
            }
            *last = problem;
        }
        self.found.send_modify(|found| {
            found.at = (self.clock)();
            found.keys = keys.or_else(|| found.keys.take());
        });
    }
}
