//! The connections, and the thread on which they live.
//!
//! Callers run on threads of their own that come and go, and one that is busy must not hold up another one's answer. So whatever
//! talks to the database runs on one thread that only the store uses, and goes on when its caller does not.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};

use super::address::Database;
use super::failure::Failure;
use crate::control_plane::store::Error;
use crate::telemetry::metrics::Pool as Sample;

/// How many there are at most; more calls wait, for so long.
const MOST: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing that is asked here takes long, and whoever holds the lock for changes has to go on.
const BOUNDS: &str = "
    SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '10s'";

/// Every statement is a search in an index. The planner is told so, for it also has to plan when the tables have grown and their
/// statistics have not. Databases that merely speak PostgreSQL's language may know no such setting, and need none.
const PLANS: [&str; 4] = [
    "SET enable_seqscan = off",
    "SET enable_bitmapscan = off",
    "SET jit = off",
    "SET plan_cache_mode = force_generic_plan",
];

/// A value for a statement.
pub(super) type Param<'a> = Box<dyn ToSql + Send + Sync + 'a>;

pub(super) struct Connections {
    pool: Pool,
    again: Arc<Again>,
    driver: Handle,
    /// `None` once closed.
    stop: Mutex<Option<watch::Sender<()>>>,
    /// Its sender goes away when the thread has ended.
    ended: watch::Receiver<()>,
}

impl Connections {
    pub(super) fn new(database: &Database) -> Result<Self, Cause> {
        let config = database.config().clone();
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match database.tls()? {
            Some(tls) => Manager::from_config(config, tls, manager),
            None => Manager::from_config(config, NoTls, manager),
        };
        let pool = Pool::builder(manager)
            .max_size(MOST)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|conn, _| {
                Box::pin(async move { set_up(conn).await.map_err(HookError::Backend) })
            }))
            .build()?;
        let (stop, ended, driver) = drive()?;
        Ok(Self {
            pool,
            again: Arc::default(),
            driver,
            stop: Mutex::new(Some(stop)),
            ended,
        })
    }

    pub(super) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    pub(super) fn again(&self) -> Arc<Again> {
        Arc::clone(&self.again)
    }

    pub(super) fn sample(&self) -> Sample {
        let pool = self.pool.status();
        Sample {
            open: pool.size,
            idle: pool.available.min(pool.size),
            waiting: pool.waiting,
            conflicts: self.again.conflicts.load(Relaxed),
            losses: self.again.losses.load(Relaxed),
        }
    }

    /// Starts work on the store's thread.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.driver.spawn(work)
    }

    /// Does work on the store's thread. It goes on when its caller does not.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Error> {
        // Work is lost only with the thread.
        let done = self.spawn(work).await.map_err(|_| Error::closed())?;
        Ok(done?)
    }

    /// The rows of one statement; none if a text in it can be no one's name. A statement whose connection was lost is asked once
    /// more, so it must bear to be done twice.
    pub(super) async fn rows(
        &self,
        text: &'static str,
        params: Vec<Param<'static>>,
    ) -> Result<Vec<Row>, Error> {
        let (pool, again) = (self.pool(), self.again());
        self.run(async move {
            let mut asked = query(&pool, text, &params).await;
            if let Err(failure) = &asked
                && (failure.is_lost() || failure.is_conflict())
            {
                again.count(failure);
                forget_idle(&pool);
                asked = query(&pool, text, &params).await;
            }
            match asked {
                Err(failure) if failure.is_unstorable() => Ok(Vec::new()),
                asked => asked,
            }
        })
        .await
    }

    pub(super) async fn close(&self) {
        self.pool.close();
        let stop = self
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(stop);
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// How often something was begun anew.
#[derive(Default)]
pub(super) struct Again {
    conflicts: AtomicU64,
    losses: AtomicU64,
}

impl Again {
    /// Counts what is about to be done again for this.
    pub(super) fn count(&self, failure: &Failure) {
        let counted = match failure.is_lost() {
            true => &self.losses,
            false => &self.conflicts,
        };
        counted.fetch_add(1, Relaxed);
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A thread that does what is spawned onto it until it is told to stop.
fn drive() -> io::Result<(watch::Sender<()>, watch::Receiver<()>, Handle)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let driver = runtime.handle().clone();
    let (stop, mut stopped) = watch::channel(());
    let (alive, ended) = watch::channel(());
    thread::Builder::new()
        .name("store-postgres".to_owned())
        .spawn(move || {
            runtime.block_on(async { while stopped.changed().await.is_ok() {} });
            drop(runtime);
            drop(alive);
        })?;
    Ok((stop, ended, driver))
}

async fn set_up(conn: &tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    conn.batch_execute(BOUNDS).await?;
    for setting in PLANS {
        match conn.batch_execute(setting).await {
            Err(error) if error.as_db_error().is_none() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn query(pool: &Pool, text: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failure> {
    let conn = pool.get().await?;
    let statement = conn.prepare_cached(text).await?;
    let params: Vec<_> = params.iter().map(as_dyn).collect();
    Ok(conn.query(&statement, &params).await?)
}

pub(super) fn as_dyn<'a>(param: &'a Param<'_>) -> &'a (dyn ToSql + Sync) {
    &**param
}

/// What was idle when a connection was lost may be lost as well, without having noticed.
pub(super) fn forget_idle(pool: &Pool) {
    pool.retain(|_, _| false);
}

/// Gives a connection back that is in the middle of something, or lets go of it.
pub(super) async fn abandon(conn: Object) {
    if conn.batch_execute("ROLLBACK").await.is_err() {
        drop(Object::take(conn));
    }
}
