//! What reading and writing costs in a store that holds little and in one that holds much, on each engine, in turns.
//!
//!     store [postgres://EMPTY-DATABASE postgres://ANOTHER-EMPTY-DATABASE]
//!
//! Prints the median of each operation in microseconds, and the ratio of the two sizes.

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use proton_grpc::control_plane::store::{
    Change, Database, Expect, Index, Key, Kind, Member, NewWork, Order, Put, Range, Store,
};
use serde_json::{Value, json};

const SCOPE: &str = "111122223333/us-east-1";
const BY_SERVICE: Index = Index::new("deployment.service");
/// Services, and deployments of each.
const LITTLE: (u32, u32) = (10, 10);
const MUCH: (u32, u32) = (10_000, 10);
const TURNS: u32 = 20;

/// An operation: what it is called, how often a turn does it.
const OPERATIONS: [(&str, u32); 4] = [
    ("get", 200),
    ("list 100", 20),
    ("list by index", 100),
    ("create", 20),
];

struct Filled {
    store: Store,
    services: u32,
    /// Numbers the calls.
    calls: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Cargo says --bench.
    let urls: Vec<String> = env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    let directories = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [little, much] = directories.each_ref().map(|it| Store::open(it.path()));
    measure("SQLite", little?, much?).await?;
    if let [little, much] = &urls[..] {
        measure("PostgreSQL", connect(little).await?, connect(much).await?).await?;
    }
    Ok(())
}

async fn connect(url: &str) -> Result<Store> {
    let database: Database = url.parse().map_err(anyhow::Error::msg)?;
    let member = Member {
        name: uuid::Uuid::new_v4().to_string(),
        look_every: Duration::from_secs(1),
    };
    Ok(Store::connect(&database, member).await?)
}

async fn measure(engine: &str, little: Store, much: Store) -> Result<()> {
    let mut stores = [fill(little, LITTLE).await?, fill(much, MUCH).await?];
    for (operation, times) in OPERATIONS {
        // A store in use, not one that was just opened.
        for filled in &mut stores {
            for _ in 0..times * TURNS {
                filled.call(operation).await?;
            }
        }
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (filled, took) in stores.iter_mut().zip(&mut took) {
                for _ in 0..times {
                    let start = Instant::now();
                    filled.call(operation).await?;
                    took.push(start.elapsed());
                }
            }
        }
        let [little, much] = took.map(|mut took| {
            took.sort();
            took[took.len() / 2].as_secs_f64() * 1e6
        });
        let ratio = much / little;
        println!("{engine:12}{operation:16}{little:10.1}{much:10.1}{ratio:8.2}");
    }
    for filled in stores {
        filled.store.close().await;
    }
    Ok(())
}

async fn fill(store: Store, (services, each): (u32, u32)) -> Result<Filled> {
    for chunk in (0..services).collect::<Vec<_>>().chunks(100) {
        let mut change = Change::new();
        for &n in chunk {
            change = change.put(Put::create(service(n), &body()));
            for deployment in 0..each {
                let key = Key::new(SCOPE, Kind::Deployment, format!("{n:06}/{deployment:03}"));
                let put = Put::create(key, &body());
                change = change.put(put.indexed(BY_SERVICE, format!("{n:06}")));
            }
        }
        store.commit(change).await.context("filling the store")?;
    }
    Ok(Filled {
        store,
        services,
        calls: 0,
    })
}

impl Filled {
    async fn call(&mut self, operation: &str) -> Result<()> {
        self.calls += 1;
        // Somewhere else each time.
        let n = self.calls.wrapping_mul(2_654_435_761) % self.services;
        match operation {
            "get" => {
                let found = self.store.get(&service(n)).await?;
                found.context("a service is missing")?;
            }
            "list 100" => {
                let first = format!("{:06}", n.min(self.services.saturating_sub(101)));
                let range = Range {
                    scope: SCOPE,
                    kind: Kind::Deployment,
                    prefix: "",
                    after: (self.services > 100).then_some(&*first),
                    limit: 100,
                    order: Order::Ascending,
                };
                let page = self.store.list(range).await?;
                assert!(page.len() >= 99, "{} of a page", page.len());
            }
            "list by index" => {
                let value = format!("{n:06}");
                let page = self
                    .store
                    .list_by(BY_SERVICE, &value, None, 100, Order::Ascending);
                assert_eq!(page.await?.len(), 10);
            }
            _ => drop(self.store.commit(self.create()).await?),
        }
        Ok(())
    }

    /// What creating a service writes.
    fn create(&self) -> Change {
        let key = service(1_000_000 + self.calls);
        let token = Key::new(SCOPE, Kind::ClientToken, format!("create/{}", self.calls));
        let quota = Expect::AtMost {
            scope: SCOPE.to_owned(),
            kinds: vec![Kind::Service],
            parent: None,
            limit: 1_000_000,
        };
        Change::new()
            .expect(quota)
            .put(Put::create(key.clone(), &body()))
            .put(Put::create(token, &body()).expires_at(1_000_000))
            .enqueue(NewWork::new("deploy", key, i64::MAX, &()))
    }
}

fn service(n: u32) -> Key {
    Key::new(SCOPE, Kind::Service, format!("{n:06}"))
}

/// About as much as a service with a small spec.
fn body() -> Value {
    json!({ "arn": "arn:aws:proton:us-east-1:111122223333:service/frontend", "spec": "x".repeat(600), "status": "ACTIVE" })
}
