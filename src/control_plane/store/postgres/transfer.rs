//! Everything out of a PostgreSQL database, and everything into one.

use std::mem;
use std::pin::pin;

use deadpool_postgres::{Client, Pool};
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio_postgres::Row;

use super::connections::{Param, abandon};
use super::dialect;
use super::failure::Failure;
use super::pipeline::{Answer, Pipeline, Stop, values};
use super::writer;
use crate::control_plane::store::transfer::{ImportError, Item, KeyLine, Totals};
use crate::control_plane::store::{CommitError, Error, sql};

/// One moment, for as long as it takes.
const BEGIN_EXPORT: &str = "
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

const TAKE_TIME: &str = "
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

const LAST_NUMBERS: &str = "
    SELECT n, work FROM revision";

/// How many lines are sent together, unless they are long.
const TOGETHER: usize = 256;
const LONG: usize = 1 << 20;

type Items = mpsc::Sender<Result<Item, Error>>;

/// Why an export stops: the receiver is gone, or a read failed.
enum Stopped {
    Unwanted,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(failure: E) -> Self {
        Self::Failed(failure.into())
    }
}

pub(super) async fn export(pool: Pool, items: Items) {
    if let Err(failure) = export_from(&pool, &items).await {
        // A receiver that went away does not want to know.
        let _ = items.send(Err(failure.into())).await;
    }
}

async fn export_from(pool: &Pool, items: &Items) -> Result<(), Failure> {
    let conn = pool.get().await?;
    let sent = send_all(&conn, items).await;
    abandon(conn).await;
    match sent {
        Ok(()) | Err(Stopped::Unwanted) => Ok(()),
        Err(Stopped::Failed(failure)) => Err(failure),
    }
}

async fn send_all(conn: &Client, items: &Items) -> Result<(), Stopped> {
    conn.batch_execute(BEGIN_EXPORT).await?;
    let row = conn.query_one(LAST_NUMBERS, &[]).await?;
    let header = Item::header(row.try_get(0)?, row.try_get(1)?);
    items
        .send(Ok(header))
        .await
        .map_err(|_| Stopped::Unwanted)?;
    let mut totals = Totals::default();
    let record = |row: &Row| {
        let names: Vec<String> = row.try_get(7)?;
        let values: Vec<String> = row.try_get(8)?;
        let entries = names.into_iter().zip(values).collect();
        Ok(Item::record(dialect::record(row)?, entries))
    };
    send(conn, items, &mut totals, dialect::ALL_RECORDS, record).await?;
    let blob = |row: &Row| Ok(Item::blob(row.try_get(0)?, row.try_get(1)?));
    send(conn, items, &mut totals, sql::ALL_BLOBS, blob).await?;
    let work = |row: &Row| {
        let claimed = dialect::claimed(row)?;
        Ok(Item::work(claimed.work, claimed.fence))
    };
    send(conn, items, &mut totals, sql::ALL_WORK, work).await?;
    let event = |row: &Row| Ok(Item::event(dialect::emitted(row)?));
    send(conn, items, &mut totals, sql::ALL_EVENTS, event).await?;
    let end = items.send(Ok(Item::End(totals))).await;
    end.map_err(|_| Stopped::Unwanted)
}

/// Sends what a statement finds, no faster than it is taken.
async fn send(
    conn: &Client,
    items: &Items,
    totals: &mut Totals,
    text: &str,
    read: impl Fn(&Row) -> Result<Item, tokio_postgres::Error>,
) -> Result<(), Stopped> {
    let no_params: [Param<'_>; 0] = [];
    let mut rows = pin!(conn.query_raw(text, no_params).await?);
    while let Some(row) = rows.try_next().await? {
        let item = read(&row)?;
        *totals = totals.and(&item);
        items.send(Ok(item)).await.map_err(|_| Stopped::Unwanted)?;
    }
    Ok(())
}

/// Takes everything or nothing, holding the lock for changes meanwhile.
pub(super) async fn import(pool: Pool, items: mpsc::Receiver<Item>) -> Result<(), ImportError> {
    let conn = pool.get().await.map_err(|error| failed(error.into()))?;
    let imported = take_all(&conn, items).await;
    if imported.is_err() {
        abandon(conn).await;
    }
    imported
}

fn failed(failure: Failure) -> ImportError {
    ImportError::Store(failure.into())
}

async fn take_all(conn: &Client, mut items: mpsc::Receiver<Item>) -> Result<(), ImportError> {
    let plain = |error: tokio_postgres::Error| failed(error.into());
    let mut numbers = writer::begin(conn).await.map_err(failed)?;
    conn.batch_execute(TAKE_TIME).await.map_err(plain)?;
    let empty = conn.query_one(sql::IS_EMPTY, &[]).await.map_err(plain)?;
    if !empty.get::<_, bool>(0) {
        return Err(ImportError::NotEmpty);
    }
    let (mut together, mut length) = (Vec::new(), 0);
    loop {
        match items.recv().await.ok_or(ImportError::CutShort)? {
            Item::Header(header) => {
                numbers.rev = numbers.rev.max(header.revision);
                numbers.work = numbers.work.max(header.work);
            }
            Item::End(_) => break,
            item => {
                length += item.len();
                together.push(item);
            }
        }
        if together.len() == TOGETHER || length > LONG {
            take(conn, &mem::take(&mut together)).await?;
            length = 0;
        }
    }
    take(conn, &together).await?;
    conn.execute(sql::DERIVE_COUNTS, &[]).await.map_err(plain)?;
    conn.execute(dialect::SET_NUMBERS, &[&numbers.rev, &numbers.work])
        .await
        .map_err(plain)?;
    conn.batch_execute("COMMIT").await.map_err(plain)
}

async fn take(conn: &Client, items: &[Item]) -> Result<(), ImportError> {
    let mut inserts = Pipeline::new(conn);
    let result = async {
        for item in items {
            insert(&mut inserts, item).await?;
        }
        inserts.run().await
    };
    result.await.map_err(|stop| match stop {
        Stop::Refused(CommitError::Exists(key)) => ImportError::Twice(key),
        Stop::Refused(refusal) => ImportError::Store(refusal),
        Stop::Failed(failure) => failed(failure),
    })
}

async fn insert<'a>(inserts: &mut Pipeline<'a>, item: &'a Item) -> Result<(), Stop> {
    match item {
        Item::Record(line) => {
            let KeyLine { scope, kind, id } = &line.key;
            if !line.entries.is_empty() {
                let (names, of): (Vec<&str>, Vec<&str>) = line
                    .entries
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .unzip();
                let params = values![names, of, scope, kind.as_str(), id];
                inserts.push(dialect::INSERT_ENTRIES, params).await?;
            }
            let (parent, expires_at) = (&line.parent, line.expires_at_ms);
            let params = values![
                scope,
                kind.as_str(),
                id,
                line.rev,
                parent,
                expires_at,
                &line.body
            ];
            let check = |answer: Answer| match answer.affected {
                1 => Ok(()),
                _ => Err(CommitError::Exists(line.key.to_key()).into()),
            };
            inserts.push_checked(sql::INSERT, params, check).await
        }
        Item::Blob(line) => {
            let params = values![&line.key, &line.bytes];
            inserts.push(sql::PUT_BLOB, params).await
        }
        Item::Work(line) => {
            let KeyLine { scope, kind, id } = &line.subject;
            let (attempt, run_at, fence) = (line.attempt, line.run_at_ms, line.fence);
            let params = values![
                line.id,
                &line.kind,
                scope,
                kind.as_str(),
                id,
                attempt,
                run_at,
                fence,
                &line.payload
            ];
            inserts.push(sql::ENQUEUE, params).await
        }
        Item::Event(line) => {
            let (rev, place, at_ms) = (line.rev, line.place, line.at_ms);
            let params = values![rev, place, &line.resource, at_ms, &line.body];
            inserts.push(sql::EMIT, params).await
        }
        Item::Header(_) | Item::End(_) => Ok(()),
    }
}
