//! One change inside a transaction that holds the lock for changes.
//!
//! What does not depend on an answer is sent together: all steps up to the counters, then the counters and what is checked of the
//! state they leave.

use std::sync::{Mutex, PoisonError};

use deadpool_postgres::Client;

use super::connections::Param;
use super::dialect;
use super::pipeline::{Answer, Pipeline, Stop, values};
use crate::control_plane::store::change::{Blob, Held, Put, Step, Write};
use crate::control_plane::store::counts::Counts;
use crate::control_plane::store::{Change, CommitError, Event, Expect, Key, NewWork, sql};

type Done = Result<(), Stop>;

/// The numbers given last: of a change, and of a work item.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) rev: i64,
    pub(super) work: i64,
}

/// Applies the change and says its revision, behind statements that come first; of an error nothing may stay.
pub(super) async fn apply(
    conn: &Client,
    first: &[&str],
    change: &Change,
    numbers: &mut Numbers,
) -> Result<i64, Stop> {
    numbers.rev += 1;
    let counts = Mutex::new(Counts::default());
    let mut steps = begin(conn, first).await?;
    for held in &change.held {
        step(&mut steps, held).await?;
    }
    for expect in &change.expects {
        check_before(&mut steps, expect).await?;
    }
    for (key, at) in &change.deletes {
        delete(&mut steps, key, at, &counts).await?;
    }
    for put in &change.puts {
        write(&mut steps, put, numbers.rev, &counts).await?;
    }
    for blob in &change.blobs {
        keep(&mut steps, blob).await?;
    }
    for work in &change.enqueued {
        numbers.work += 1;
        enqueue(&mut steps, numbers.work, work).await?;
    }
    for (place, event) in (0..).zip(&change.events) {
        emit(&mut steps, numbers.rev, place, event).await?;
    }
    steps.run().await?;

    let mut checks = Pipeline::new(conn);
    write_counts(&mut checks, counts).await?;
    for expect in &change.expects {
        check_after(&mut checks, expect).await?;
    }
    checks.run().await?;
    Ok(numbers.rev)
}

/// Deletes records whose time is over, oldest first, and says how many.
pub(super) async fn sweep(
    conn: &Client,
    first: &[&str],
    now_ms: i64,
    limit: u32,
) -> Result<i64, Stop> {
    let swept = Mutex::new(Vec::new());
    let mut steps = begin(conn, first).await?;
    let params = values![now_ms, i64::from(limit)];
    steps
        .push_checked(sql::SWEEP, params, |answer| {
            for row in &answer.rows {
                let parent: Option<String> = row.try_get(3)?;
                swept
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((dialect::key(row, 0)?, parent));
            }
            Ok(())
        })
        .await?;
    steps.run().await?;

    let swept = swept.into_inner().unwrap_or_else(PoisonError::into_inner);
    let counts = Mutex::new(Counts::default());
    let mut rest = Pipeline::new(conn);
    for (key, parent) in &swept {
        rest.push(sql::DELETE_ENTRIES, of(key)).await?;
        count(&counts, key, parent.as_deref(), -1);
    }
    write_counts(&mut rest, counts).await?;
    rest.run().await?;
    Ok(i64::try_from(swept.len()).expect("a sweep has a limit"))
}

async fn begin<'a>(conn: &'a Client, first: &[&str]) -> Result<Pipeline<'a>, Stop> {
    let mut steps = Pipeline::new(conn);
    for text in first {
        steps.push(text, values![]).await?;
    }
    Ok(steps)
}

async fn step<'a>(steps: &mut Pipeline<'a>, held: &'a Held) -> Done {
    let Held { id, fence, step } = held;
    let (text, params) = match step {
        Step::Complete => (sql::COMPLETE, values![id, fence]),
        Step::Reschedule(work) => (
            sql::RESCHEDULE,
            values![
                work.attempt,
                work.run_at_ms,
                work.payload.as_str(),
                id,
                fence
            ],
        ),
        Step::Renew { lease_until_ms } => (sql::RENEW, values![lease_until_ms, id, fence]),
    };
    let lost = || CommitError::LostClaim(*id);
    steps.push_checked(text, params, one_or(lost)).await
}

async fn check_before<'a>(steps: &mut Pipeline<'a>, expect: &'a Expect) -> Done {
    let (key, wanted) = match expect {
        Expect::Absent(key) => (key, None),
        Expect::Present(key) => (key, Some(None)),
        Expect::Rev(key, seen) => (key, Some(Some(*seen))),
        Expect::NoChildren { .. } | Expect::Unreferenced { .. } | Expect::AtMost { .. } => {
            return Ok(());
        }
    };
    let check = move |answer: Answer| {
        let row = answer.rows.first();
        let rev: Option<i64> = row.map(|row| row.try_get(0)).transpose()?;
        match wanted {
            None => ensure(rev.is_none(), || CommitError::Exists(key.clone())),
            Some(None) => ensure(rev.is_some(), || CommitError::Changed(key.clone())),
            Some(seen) => ensure(rev == seen, || CommitError::Changed(key.clone())),
        }
    };
    steps.push_checked(sql::REV, of(key), check).await
}

async fn check_after<'a>(steps: &mut Pipeline<'a>, expect: &'a Expect) -> Done {
    match expect {
        Expect::NoChildren {
            scope,
            kind,
            parent,
        } => {
            let refusal = || CommitError::HasChildren {
                kind: *kind,
                parent: parent.clone(),
            };
            let check = move |answer| ensure(number(answer)? == 0, refusal);
            let params = values![scope, kind.as_str(), parent];
            steps.push_checked(sql::COUNT, params, check).await
        }
        Expect::Unreferenced { index, value } => {
            let refusal = || CommitError::Referenced {
                index: *index,
                value: value.clone(),
            };
            let check = move |answer: Answer| {
                let referenced: bool = answer.rows[0].try_get(0)?;
                ensure(!referenced, refusal)
            };
            let params = values![index.as_str(), value];
            steps.push_checked(sql::IS_REFERENCED, params, check).await
        }
        Expect::AtMost {
            scope,
            kinds,
            parent,
            limit,
        } => {
            let check = |answer| {
                ensure(number(answer)? <= *limit, || CommitError::Full {
                    limit: *limit,
                })
            };
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            let params = values![scope, kinds, parent.as_deref().unwrap_or_default()];
            steps.push_checked(dialect::COUNT_ALL, params, check).await
        }
        Expect::Absent(_) | Expect::Present(_) | Expect::Rev(..) => Ok(()),
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> CommitError) -> Done {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

fn one_or<'a>(
    otherwise: impl FnOnce() -> CommitError + Send + 'a,
) -> impl FnOnce(Answer) -> Done + Send + 'a {
    move |answer| ensure(answer.affected == 1, otherwise)
}

/// A counter; one that is not there counts nothing.
fn number(answer: Answer) -> Result<i64, Stop> {
    let row = answer.rows.first();
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

fn of(key: &Key) -> Vec<Param<'_>> {
    values![&key.scope, key.kind.as_str(), &key.id]
}

async fn delete<'a>(
    steps: &mut Pipeline<'a>,
    key: &'a Key,
    at: &'a i64,
    counts: &'a Mutex<Counts>,
) -> Done {
    let params = values![&key.scope, key.kind.as_str(), &key.id, at];
    let check = |answer: Answer| {
        let changed = || CommitError::Changed(key.clone());
        let row = answer.rows.first().ok_or_else(changed)?;
        count(counts, key, row.try_get(0)?, -1);
        Ok(())
    };
    steps.push_checked(sql::DELETE, params, check).await?;
    steps.push(sql::DELETE_ENTRIES, of(key)).await
}

async fn write<'a>(
    steps: &mut Pipeline<'a>,
    put: &'a Put,
    rev: i64,
    counts: &Mutex<Counts>,
) -> Done {
    let Put { key, body, .. } = put;
    let (scope, kind, id) = (&key.scope, key.kind.as_str(), &key.id);
    let (expires_at, body) = (put.expires_at_ms, body.as_str());
    match &put.write {
        Write::Create { parent } => {
            let params = values![scope, kind, id, rev, parent, expires_at, body];
            let exists = || CommitError::Exists(key.clone());
            steps
                .push_checked(sql::INSERT, params, one_or(exists))
                .await?;
            count(counts, key, parent.as_deref(), 1);
        }
        Write::Update { rev: seen } => {
            let params = values![rev, expires_at, body, scope, kind, id, seen];
            let changed = || CommitError::Changed(key.clone());
            steps
                .push_checked(sql::UPDATE, params, one_or(changed))
                .await?;
            steps
                .push(dialect::DELETE_OTHER_ENTRIES, entries(put))
                .await?;
        }
    }
    match put.indexes.is_empty() {
        true => Ok(()),
        false => steps.push(dialect::INSERT_ENTRIES, entries(put)).await,
    }
}

fn entries(put: &Put) -> Vec<Param<'_>> {
    let (names, of): (Vec<&str>, Vec<&str>) = put
        .indexes
        .iter()
        .map(|(index, value)| (index.as_str(), value.as_str()))
        .unzip();
    let key = &put.key;
    values![names, of, &key.scope, key.kind.as_str(), &key.id]
}

async fn keep<'a>(steps: &mut Pipeline<'a>, blob: &'a Blob) -> Done {
    match &blob.bytes {
        Some(bytes) => steps.push(sql::PUT_BLOB, values![&blob.key, bytes]).await,
        None => steps.push(sql::DELETE_BLOB, values![&blob.key]).await,
    }
}

async fn enqueue<'a>(steps: &mut Pipeline<'a>, id: i64, work: &'a NewWork) -> Done {
    let Key {
        scope,
        kind,
        id: of,
    } = &work.subject;
    let (run_at, payload) = (work.run_at_ms, work.payload.as_str());
    let params = values![
        id,
        &work.kind,
        scope,
        kind.as_str(),
        of,
        0_i64,
        run_at,
        0_i64,
        payload
    ];
    steps.push(sql::ENQUEUE, params).await
}

async fn emit<'a>(steps: &mut Pipeline<'a>, rev: i64, place: i64, event: &'a Event) -> Done {
    let params = values![
        rev,
        place,
        &event.resource,
        event.at_ms,
        event.body.as_str()
    ];
    steps.push(sql::EMIT, params).await
}

fn count(counts: &Mutex<Counts>, key: &Key, parent: Option<&str>, n: i64) {
    counts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .add(key, parent, n);
}

async fn write_counts(steps: &mut Pipeline<'_>, counts: Mutex<Counts>) -> Done {
    let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    for ((scope, kind, parent), n) in counts.into_changed() {
        let counter = || values![scope.clone(), kind.as_str(), parent.clone()];
        let mut added = counter();
        added.extend(values![n]);
        steps.push(sql::ADD_TO_COUNT, added).await?;
        if n < 0 {
            steps.push(sql::FORGET_ZERO_COUNT, counter()).await?;
        }
    }
    Ok(())
}
