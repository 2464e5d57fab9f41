//! The schema, brought up to date by whichever process comes first.
//!
//! The row of `schema_version` is the lock: who holds it takes one step and counts it in the same transaction, the others wait and
//! then find it taken. Making that row is a race that somebody wins; the losers look again.

use tokio_postgres::Client;

use super::dialect;
use super::failure::Failure;

/// The steps from an empty database to the current schema, forward only.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_records.sql"),
    include_str!("migrations/0002_events.sql"),
];

/// How often a race may be lost. Each time somebody else got on.
const ATTEMPTS: usize = 100;

const MAKE_VERSION: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (id bigint NOT NULL PRIMARY KEY, version bigint NOT NULL);
    INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING";

const VERSION: &str = "
    SELECT version FROM schema_version";

const LOCK_VERSION: &str = "
    SELECT version FROM schema_version FOR UPDATE";

const SET_VERSION: &str = "
    UPDATE schema_version SET version = $1";

#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error("the schema is newer")]
    Newer { found: usize },
    #[error("the database's encoding is {0}, not UTF8")]
    Encoding(String),
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<tokio_postgres::Error> for SchemaError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

pub(super) async fn bring_up_to_date(conn: &Client) -> Result<(), SchemaError> {
    let encoding: String = conn.query_one("SHOW server_encoding", &[]).await?.get(0);
    if !matches!(encoding.as_str(), "UTF8" | "utf8") {
        return Err(SchemaError::Encoding(encoding));
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        match advance(conn).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(SchemaError::Failed(failure)) if failure.is_race() && attempts < ATTEMPTS => {
                conn.batch_execute("ROLLBACK").await?;
            }
            Err(error) => return Err(error),
        }
    }
    conn.execute(dialect::FORGET_WRITERS, &[]).await?;
    Ok(())
}

/// Takes one step; says whether it was the last.
async fn advance(conn: &Client) -> Result<bool, SchemaError> {
    if version(conn, VERSION).await? == Some(MIGRATIONS.len()) {
        return Ok(true);
    }
    conn.batch_execute("BEGIN").await?;
    let Some(done) = version(conn, LOCK_VERSION).await? else {
        conn.batch_execute("ROLLBACK").await?;
        conn.batch_execute(MAKE_VERSION).await?;
        return Ok(false);
    };
    if let Some(step) = MIGRATIONS.get(done) {
        conn.batch_execute(step).await?;
        let version = i64::try_from(done + 1).expect("migrations are few");
        conn.execute(SET_VERSION, &[&version]).await?;
    }
    conn.batch_execute("COMMIT").await?;
    match done > MIGRATIONS.len() {
        true => Err(SchemaError::Newer { found: done }),
        false => Ok(false),
    }
}

/// The schema that is there; `None` in an empty database.
async fn version(conn: &Client, text: &str) -> Result<Option<usize>, Failure> {
    match conn.query_opt(text, &[]).await.map_err(Failure::from) {
        Ok(Some(row)) => {
            let version: i64 = row.get(0);
            Ok(Some(
                usize::try_from(version).expect("versions only grow from zero"),
            ))
        }
        Ok(None) => Ok(None),
        Err(failure) if failure.is_missing_table() => Ok(None),
        Err(failure) => Err(failure),
    }
}
