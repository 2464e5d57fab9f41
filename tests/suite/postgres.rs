//! Stores on the PostgreSQL server that the tests of the store start, too.

#[path = "../../src/control_plane/store/tests/cluster.rs"]
#[expect(dead_code, reason = "the tests of the store use more of it")]
mod cluster;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proton_grpc::control_plane::store::{Database, Member, Store};

pub(crate) async fn new_database() -> Database {
    cluster::shared().new_database().await.parse().unwrap()
}

/// Joins the processes on the database. What others do is heard of, never looked for.
pub(crate) async fn join(database: &Database) -> Store {
    let member = Member {
        name: unique_name(),
        look_every: Duration::from_secs(3600),
    };
    Store::connect(database, member).await.unwrap()
}

/// A name that no other part of the database has.
fn unique_name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let n = LAST.fetch_add(1, Ordering::Relaxed);
    format!("suite_{}_{n}", std::process::id())
}
