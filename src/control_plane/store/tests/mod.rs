//! The contract as tests. They see a store only through its public face, so that every engine can be put under them.

mod contract;
mod crash;
mod durability;
mod model;
mod races;
mod work;

use std::ops::Deref;

use tempfile::TempDir;

use super::*;

pub(super) const SCOPE: &str = "111122223333/us-east-1";
pub(super) const OTHER_SCOPE: &str = "444455556666/us-east-1";

/// A store in a directory that goes away with it.
pub(super) struct Scratch {
    store: Store,
    dir: TempDir,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Self { store, dir }
    }

    /// The same directory, opened again.
    pub(super) async fn reopen(self) -> Self {
        self.store.close().await;
        let store = Store::open(self.dir.path()).unwrap();
        Self { store, ..self }
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
