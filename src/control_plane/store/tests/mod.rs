//! The contract as tests. They see a store only through its public face, and each engine is put under them.

mod cluster;
mod contract;
mod crash;
mod durability;
mod events;
mod loss;
mod migrations;
mod model;
mod races;
mod sharing;
mod transfer;
mod watches;
mod work;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

pub(in crate::control_plane) use self::cluster::Server;

pub(super) const SCOPE: &str = "111122223333/us-east-1";
pub(super) const OTHER_SCOPE: &str = "444455556666/us-east-1";

/// Runs the functions as tests, each with a new store of each engine. One that is not in the list is dead code, which is an error.
macro_rules! on_each_engine {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Scratch::new(super::Engine::Sqlite).await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Scratch::new(super::Engine::Postgres).await).await;
            })+
        }
    };
}

use on_each_engine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

/// Where a store is kept.
#[derive(Clone)]
pub(super) enum Place {
    Directory(PathBuf),
    Database(String),
}

impl Place {
    /// What another process can be told.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Database(url) => url.clone(),
        }
    }

    pub(super) fn named(name: &str) -> Self {
        match name.starts_with("postgres:") {
            true => Self::Database(name.to_owned()),
            false => Self::Directory(PathBuf::from(name)),
        }
    }

    /// The store as one process opens it, which does not look at what others do by itself.
    pub(super) async fn open(&self) -> Result<Store, OpenError> {
        self.open_looking_every(Duration::from_secs(3600)).await
    }

    pub(super) async fn open_looking_every(
        &self,
        look_every: Duration,
    ) -> Result<Store, OpenError> {
        match self {
            Self::Directory(path) => Store::open(path),
            Self::Database(url) => {
                let member = Member {
                    name: unique_name(),
                    look_every,
                };
                Store::connect(&url.parse().unwrap(), member).await
            }
        }
    }
}

/// The store in a database, for tests of what uses it.
pub(in crate::control_plane) async fn open(database: String) -> Store {
    Place::Database(database).open().await.unwrap()
}

/// A name that no other process of this run has.
pub(super) fn unique_name() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let n = LAST.fetch_add(1, Ordering::Relaxed);
    format!("{}_{n}", std::process::id())
}

/// A store of its own, in a directory that goes away with it or in a part of the tests' database.
pub(super) struct Scratch {
    store: Arc<Store>,
    place: Place,
    _dir: Option<TempDir>,
}

impl Scratch {
    pub(super) async fn new(engine: Engine) -> Self {
        let (place, dir) = match engine {
            Engine::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                (Place::Directory(dir.path().to_owned()), Some(dir))
            }
            Engine::Postgres => (
                Place::Database(cluster::shared().new_database().await),
                None,
            ),
        };
        Self {
            store: Arc::new(place.open().await.unwrap()),
            place,
            _dir: dir,
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self.place {
            Place::Directory(_) => Engine::Sqlite,
            Place::Database(_) => Engine::Postgres,
        }
    }

    /// The same place, opened again.
    pub(super) async fn reopen(self) -> Self {
        self.store.close().await;
        let store = Arc::new(self.open_again().await.unwrap());
        Self { store, ..self }
    }

    pub(super) async fn open_again(&self) -> Result<Store, OpenError> {
        self.place.open().await
    }

    /// The store as another process has it, if others may have it.
    pub(super) async fn peer(&self) -> Arc<Store> {
        match self.engine() {
            Engine::Sqlite => Arc::clone(&self.store),
            Engine::Postgres => Arc::new(self.open_again().await.unwrap()),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        match &self.place {
            Place::Directory(path) => path,
            Place::Database(_) => panic!("there is no directory"),
        }
    }

    /// Pretends that a program of another version was here.
    pub(super) async fn say_schema(&self, version: u32) {
        match &self.place {
            Place::Directory(path) => {
                let conn = rusqlite::Connection::open(path.join("proton.db")).unwrap();
                conn.pragma_update(None, "user_version", version).unwrap();
            }
            Place::Database(url) => {
                let text = format!("UPDATE schema_version SET version = {version}");
                cluster::execute(url, &text).await;
            }
        }
    }
}

impl Deref for Scratch {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

pub(super) fn environment(name: &str) -> Key {
    Key::new(SCOPE, Kind::Environment, name)
}

pub(super) fn template(name: &str) -> Key {
    Key::new(SCOPE, Kind::EnvironmentTemplate, name)
}

/// A version of a template; create it under the template.
pub(super) fn version(template: &str, number: &str) -> Key {
    let id = format!("{template}:{number}");
    Key::new(SCOPE, Kind::EnvironmentTemplateVersion, id)
}

pub(super) fn event(resource: &str, n: u32) -> Event {
    Event {
        resource: format!("arn:{resource}"),
        at_ms: i64::from(n),
        body: Body::of(&n),
    }
}

impl Store {
    async fn create(&self, key: &Key) -> Result<i64, CommitError> {
        self.commit(Change::new().put(Put::create(key.clone(), "new")))
            .await
    }

    async fn found(&self, key: &Key) -> Record {
        self.get(key).await.unwrap().expect("the record is there")
    }

    async fn ids(&self, range: Range<'_>) -> Vec<String> {
        let records = self.list(range).await.unwrap();
        records.into_iter().map(|record| record.key.id).collect()
    }
}

pub(super) fn environments(limit: u32) -> Range<'static> {
    Range {
        scope: SCOPE,
        kind: Kind::Environment,
        prefix: "",
        after: None,
        limit,
        order: Order::Ascending,
    }
}
