//! Every statement, in the SQL that SQLite and PostgreSQL share.
//!
//! Parameters are `$1`, `$2`, … To SQLite these are names, numbered as they first appear, so a statement mentions them in order.

use super::Order;

pub(super) const GET: &str = "
    SELECT scope, kind, id, rev, parent, expires_at, body FROM records
    WHERE scope = $1 AND kind = $2 AND id = $3";

pub(super) const LIST_ASCENDING: &str = "
    SELECT scope, kind, id, rev, parent, expires_at, body FROM records
    WHERE scope = $1 AND kind = $2 AND id >= $3 AND id < $4 ORDER BY id LIMIT $5";

pub(super) const LIST_DESCENDING: &str = "
    SELECT scope, kind, id, rev, parent, expires_at, body FROM records
    WHERE scope = $1 AND kind = $2 AND id >= $3 AND id < $4 ORDER BY id DESC LIMIT $5";

pub(super) const LIST_BY_ASCENDING: &str = "
    SELECT r.scope, r.kind, r.id, r.rev, r.parent, r.expires_at, r.body
    FROM index_entries e JOIN records r ON r.scope = e.scope AND r.kind = e.kind AND r.id = e.id
    WHERE e.name = $1 AND e.value = $2 AND (e.scope, e.kind, e.id) > ($3, $4, $5)
    ORDER BY e.scope, e.kind, e.id LIMIT $6";

pub(super) const LIST_BY_DESCENDING: &str = "
    SELECT r.scope, r.kind, r.id, r.rev, r.parent, r.expires_at, r.body
    FROM index_entries e JOIN records r ON r.scope = e.scope AND r.kind = e.kind AND r.id = e.id
    WHERE e.name = $1 AND e.value = $2 AND (e.scope, e.kind, e.id) < ($3, $4, $5)
    ORDER BY e.scope DESC, e.kind DESC, e.id DESC LIMIT $6";

pub(super) const ENTRIES_BETWEEN: &str = "
    SELECT scope, kind, id, value FROM index_entries
    WHERE name = $1 AND value >= $2 AND value < $3 ORDER BY value, scope, kind, id";

pub(super) fn list(order: Order) -> &'static str {
    match order {
        Order::Ascending => LIST_ASCENDING,
        Order::Descending => LIST_DESCENDING,
    }
}

pub(super) fn list_by(order: Order) -> &'static str {
    match order {
        Order::Ascending => LIST_BY_ASCENDING,
        Order::Descending => LIST_BY_DESCENDING,
    }
}

pub(super) const REV: &str = "
    SELECT rev FROM records WHERE scope = $1 AND kind = $2 AND id = $3";

/// A taken name is zero rows, not an error, which would end the transaction in PostgreSQL.
pub(super) const INSERT: &str = "
    INSERT INTO records (scope, kind, id, rev, parent, expires_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (scope, kind, id) DO NOTHING";

pub(super) const UPDATE: &str = "
    UPDATE records SET rev = $1, expires_at = $2, body = $3
    WHERE scope = $4 AND kind = $5 AND id = $6 AND rev = $7";

pub(super) const DELETE: &str = "
    DELETE FROM records WHERE scope = $1 AND kind = $2 AND id = $3 AND rev = $4 RETURNING parent";

pub(super) const SWEEP: &str = "
    DELETE FROM records WHERE (scope, kind, id) IN
        (SELECT scope, kind, id FROM records WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
    RETURNING scope, kind, id, parent";

pub(super) const COUNT: &str = "
    SELECT n FROM counters WHERE scope = $1 AND kind = $2 AND parent = $3";

pub(super) const ADD_TO_COUNT: &str = "
    INSERT INTO counters (scope, kind, parent, n) VALUES ($1, $2, $3, $4)
    ON CONFLICT (scope, kind, parent) DO UPDATE SET n = counters.n + excluded.n";

pub(super) const FORGET_ZERO_COUNT: &str = "
    DELETE FROM counters WHERE scope = $1 AND kind = $2 AND parent = $3 AND n = 0";

/// After an import: what the records say.
pub(super) const DERIVE_COUNTS: &str = "
    INSERT INTO counters (scope, kind, parent, n)
    SELECT scope, kind, '', count(*) FROM records GROUP BY scope, kind
    UNION ALL
    SELECT scope, kind, parent, count(*) FROM records WHERE parent IS NOT NULL GROUP BY scope, kind, parent";

pub(super) const DELETE_ENTRIES: &str = "
    DELETE FROM index_entries WHERE scope = $1 AND kind = $2 AND id = $3";

pub(super) const IS_REFERENCED: &str = "
    SELECT EXISTS (SELECT 1 FROM index_entries WHERE name = $1 AND value = $2)";

pub(super) const BLOB: &str = "
    SELECT bytes FROM blobs WHERE key = $1";

pub(super) const PUT_BLOB: &str = "
    INSERT INTO blobs (key, bytes) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes";

pub(super) const DELETE_BLOB: &str = "
    DELETE FROM blobs WHERE key = $1";

pub(super) const ENQUEUE: &str = "
    INSERT INTO work (id, kind, subject_scope, subject_kind, subject_id, attempt, run_at, due_at, fence, payload)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)";

pub(super) const COMPLETE: &str = "
    DELETE FROM work WHERE id = $1 AND fence = $2";

pub(super) const RESCHEDULE: &str = "
    UPDATE work SET attempt = $1, run_at = $2, due_at = $2, fence = fence + 1, worker = NULL, payload = $3
    WHERE id = $4 AND fence = $5";

pub(super) const RENEW: &str = "
    UPDATE work SET due_at = $1 WHERE id = $2 AND fence = $3";

pub(super) const NEXT_RUN_AT: &str = "
    SELECT min(due_at) FROM work";

/// What is held is due when its lease has run out, and waits then like what nobody holds.
pub(super) const QUEUE: &str = "
    SELECT kind, count(CASE WHEN due_at > $1 AND worker IS NULL THEN 1 END),
        count(CASE WHEN due_at <= $1 THEN 1 END), count(CASE WHEN due_at > $1 AND worker IS NOT NULL THEN 1 END),
        min(CASE WHEN due_at <= $1 THEN due_at END)
    FROM work GROUP BY kind ORDER BY kind";

pub(super) const EVENTS: &str = "
    SELECT rev, place, resource, emitted_at, body FROM events
    WHERE (rev, place) > ($1, $2) ORDER BY rev, place LIMIT $3";

pub(super) const BACKLOG: &str = "
    SELECT count(*), min(emitted_at) FROM events";

pub(super) const EMIT: &str = "
    INSERT INTO events (rev, place, resource, emitted_at, body) VALUES ($1, $2, $3, $4, $5)";

/// Whoever delivers already may go on; somebody else may when that one's time is over.
pub(super) const DELIVER: &str = "
    UPDATE delivery SET holder = $1, held_until = $2 WHERE holder = $1 OR held_until <= $3
    RETURNING holder";

pub(super) const IS_EMPTY: &str = "
    SELECT NOT EXISTS (SELECT 1 FROM records) AND NOT EXISTS (SELECT 1 FROM blobs)
        AND NOT EXISTS (SELECT 1 FROM work) AND NOT EXISTS (SELECT 1 FROM events)";

pub(super) const ALL_BLOBS: &str = "
    SELECT key, bytes FROM blobs ORDER BY key";

pub(super) const ALL_WORK: &str = "
    SELECT id, kind, subject_scope, subject_kind, subject_id, attempt, run_at, payload, fence FROM work ORDER BY id";

pub(super) const ALL_EVENTS: &str = "
    SELECT rev, place, resource, emitted_at, body FROM events ORDER BY rev, place";

/// For the checks that every engine makes of every statement.
#[cfg(test)]
pub(super) const ALL: &[&str] = &[
    GET,
    LIST_ASCENDING,
    LIST_DESCENDING,
    LIST_BY_ASCENDING,
    LIST_BY_DESCENDING,
    ENTRIES_BETWEEN,
    REV,
    INSERT,
    UPDATE,
    DELETE,
    SWEEP,
    COUNT,
    ADD_TO_COUNT,
    FORGET_ZERO_COUNT,
    DERIVE_COUNTS,
    DELETE_ENTRIES,
    IS_REFERENCED,
    BLOB,
    PUT_BLOB,
    DELETE_BLOB,
    ENQUEUE,
    COMPLETE,
    RESCHEDULE,
    RENEW,
    NEXT_RUN_AT,
    QUEUE,
    EVENTS,
    BACKLOG,
    EMIT,
    DELIVER,
    IS_EMPTY,
    ALL_BLOBS,
    ALL_WORK,
    ALL_EVENTS,
];
