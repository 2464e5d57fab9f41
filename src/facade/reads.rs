//! Reads that many ask for at once, or one again and again.
//!
//! Identical reads that are under way at the same time share one call of the upstream, a flight. Identical means the same
//! caller in the same account, Region and role, the same operation and the same message. A flight is nobody's: each
//! who waits for it has its own deadline and goes when it wants, and the last one to go ends it. Answers may also be
//! kept, if the operator says for how long.
//!
//! So an answer may show the upstream as it was before the read began: for as long as a flight is joined, or an
//! answer is kept. It is never from before a change that was made through this process and has been answered: each
//! change begins an era, whoever makes it, and nothing is shared between eras.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use prost::Message;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use tracing::Instrument as _;

use super::call::{Asker, REQUEST_ID};
use crate::api::Operation;

/// Whoever comes later than this begins a flight of its own: the one that is under way may never arrive.
const JOINED_FOR: Duration = Duration::from_secs(1);
/// How much is kept, as it is on the wire.
const MOST_KEPT: u64 = 16 << 20;
/// What an answer counts besides, so that their number is bounded, too.
const OVERHEAD: usize = 1 << 10;

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The reads of a process. Cheap to clone.
#[derive(Clone)]
pub struct Reads(Arc<Inner>);

struct Inner {
    clock: Clock,
    flights: Mutex<HashMap<Key, Weak<Flight>>>,
    kept: Option<Kept>,
    era: AtomicU64,
}

/// All that makes two reads the same.
pub(super) type Key = Arc<[u8]>;

struct Kept {
    time: Duration,
    answers: Cache<Key, (Instant, Answer)>,
}

/// A call of the upstream.
struct Flight {
    key: Key,
    of: Reads,
    begun: Instant,
    landed: watch::Receiver<Option<Landed>>,
    _work: AbortOnDropHandle<()>,
}

type Landed = Result<Answer, Arc<Status>>;

#[derive(Clone)]
struct Answer {
    message: Arc<dyn Any + Send + Sync>,
    size: usize,
    request_id: Option<MetadataValue<Ascii>>,
}

/// A change that is being made. Where this ends, an era does.
pub(super) struct Change<'a>(&'a Reads);

impl Reads {
    /// Answers are kept for the given time since they were asked for, or not at all.
    pub fn new(keep: Option<Duration>, clock: Clock) -> Self {
        let kept = keep.map(|time| Kept {
            time,
            answers: Cache::builder()
                .max_capacity(MOST_KEPT)
                .weigher(|key: &Key, (_, answer): &(_, Answer)| {
                    u32::try_from(key.len() + answer.size + OVERHEAD).unwrap_or(u32::MAX)
                })
                .time_to_live(time)
                .build(),
        });
        Self(Arc::new(Inner {
            clock,
            flights: Mutex::default(),
            kept,
            era: AtomicU64::new(0),
        }))
    }

    /// What another read must equal to share its answer with this one.
    pub(super) fn key<O: Operation>(
        &self,
        asker: &Asker,
        repeats: bool,
        message: &O::Request,
    ) -> Key {
        let era = self.0.era.load(Ordering::SeqCst);
        let mut key = Vec::with_capacity(256);
        let mut add = |part: &str| {
            key.extend_from_slice(&part.len().to_le_bytes());
            key.extend_from_slice(part.as_bytes());
        };
        add(O::FACTS.name);
        if let Some(principal) = &asker.principal {
            add(&principal.to_string());
            add(principal.account());
            add(principal.region());
            if let Some(role) = principal.role() {
                add(&role.arn);
                add(role.external_id.as_deref().unwrap_or_default());
            }
        }
        // No part is as long as this.
        key.extend_from_slice(&usize::MAX.to_le_bytes());
        key.extend_from_slice(&era.to_le_bytes());
        key.push(repeats.into());
        message.encode(&mut key).expect("a vector has room");
        key.into()
    }

    /// The answer that is kept, or that of a flight: one that is under way, or else of this read. None if the flight
    /// is lost.
    pub(super) async fn read<T, F>(
        &self,
        key: Key,
        ask: impl FnOnce() -> F,
    ) -> Option<Result<Response<T>, Box<Status>>>
    where
        T: Message + Clone + 'static,
        F: Future<Output = Result<Response<T>, Box<Status>>> + Send + 'static,
    {
        if let Some(answer) = self.kept(&key).await {
            return Some(Ok(answer.response()));
        }
        let flight = self.join(key, ask);
        let mut landed = flight.landed.clone();
        let landed = landed.wait_for(Option::is_some).await.ok()?.clone()?;
        Some(match landed {
            Ok(answer) => Ok(answer.response()),
            Err(status) => Err(Box::new(Status::clone(&status))),
        })
    }

    pub(super) fn change(&self) -> Change<'_> {
        Change(self)
    }

    async fn kept(&self, key: &Key) -> Option<Answer> {
        let kept = self.0.kept.as_ref()?;
        let (begun, answer) = kept.answers.get(key).await?;
        ((self.0.clock)() < begun + kept.time).then_some(answer)
    }

    fn join<T, F>(&self, key: Key, ask: impl FnOnce() -> F) -> Arc<Flight>
    where
        T: Message + 'static,
        F: Future<Output = Result<Response<T>, Box<Status>>> + Send + 'static,
    {
        let now = (self.0.clock)();
        // Not let go of below: a flight's end takes the same lock.
        let under_way;
        let mut flights = self.flights();
        under_way = flights.get(&key).and_then(Weak::upgrade);
        if let Some(flight) = &under_way
            && flight.may_be_joined(now)
        {
            return Arc::clone(flight);
        }
        let flight = Arc::new(self.begin(Arc::clone(&key), now, ask()));
        flights.insert(key, Arc::downgrade(&flight));
        flight
    }

    fn begin<T: Message + 'static>(
        &self,
        key: Key,
        begun: Instant,
        ask: impl Future<Output = Result<Response<T>, Box<Status>>> + Send + 'static,
    ) -> Flight {
        let (tell, landed) = watch::channel(None);
        let (of, kept_as) = (self.clone(), Arc::clone(&key));
        let work = async move {
            let landed = match ask.await {
                Ok(response) => Ok(Answer::new(response)),
                Err(status) => Err(Arc::from(status)),
            };
            if let (Some(kept), Ok(answer)) = (&of.0.kept, &landed) {
                kept.answers.insert(kept_as, (begun, answer.clone())).await;
                // Or there may be dozens too many for a while, of any size.
                kept.answers.run_pending_tasks().await;
            }
            tell.send_replace(Some(landed));
        };
        Flight {
            key,
            of: self.clone(),
            begun,
            landed,
            _work: AbortOnDropHandle::new(tokio::spawn(work.in_current_span())),
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Weak<Flight>>> {
        self.0.flights.lock().expect("nothing panics among flights")
    }
}

/// Whether the caller wants to see the upstream as it is now.
pub(super) fn must_be_fresh(metadata: &MetadataMap) -> bool {
    let mut values = metadata.get_all("cache-control").iter();
    values.any(|value| value.to_str().is_ok_and(|value| value.contains("no-cache")))
}

impl Flight {
    fn may_be_joined(&self, now: Instant) -> bool {
        now < self.begun + JOINED_FOR && self.landed.borrow().is_none()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = self.of.flights();
        // There may be a later one.
        if flights
            .get(&self.key)
            .is_some_and(|flight| flight.as_ptr() == std::ptr::from_ref(self))
        {
            flights.remove(&self.key);
        }
    }
}

impl Answer {
    fn new<T: Message + 'static>(response: Response<T>) -> Self {
        let request_id = response.metadata().get(REQUEST_ID).cloned();
        let message = response.into_inner();
        Self {
            size: message.encoded_len(),
            message: Arc::new(message),
            request_id,
        }
    }

    fn response<T: Clone + 'static>(&self) -> Response<T> {
        let message = self.message.downcast_ref::<T>();
        let message = message.expect("a key names its operation").clone();
        let mut response = Response::new(message);
        if let Some(id) = &self.request_id {
            response.metadata_mut().insert(REQUEST_ID, id.clone());
        }
        response
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let Self(reads) = self;
        reads.0.era.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads")
            .field("kept_for", &self.0.kept.as_ref().map(|kept| kept.time))
            .finish_non_exhaustive()
    }
}
