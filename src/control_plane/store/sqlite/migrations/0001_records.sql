-- Text compares bytewise (BINARY is SQLite's default collation), times are milliseconds since the epoch.

CREATE TABLE records (
    scope      TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    rev        INTEGER NOT NULL,
    parent     TEXT,
    expires_at INTEGER,
    body       TEXT    NOT NULL,
    PRIMARY KEY (scope, kind, id)
);
CREATE INDEX records_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;

-- How many records a kind has in a scope (parent '') and under each parent.
CREATE TABLE counters (
    scope  TEXT    NOT NULL,
    kind   TEXT    NOT NULL,
    parent TEXT    NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (scope, kind, parent)
) WITHOUT ROWID;

CREATE TABLE index_entries (
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    scope TEXT NOT NULL,
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    PRIMARY KEY (name, value, scope, kind, id)
) WITHOUT ROWID;
CREATE INDEX index_entries_of_record ON index_entries (scope, kind, id);

CREATE TABLE blobs (
    key   TEXT NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
);

-- due_at is run_at while nobody holds the item and the end of the lease while somebody does: one column says who may claim it.
-- Ids are never used again, else a late worker could complete an item that is not its own.
CREATE TABLE work (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL,
    subject_scope TEXT    NOT NULL,
    subject_kind  TEXT    NOT NULL,
    subject_id    TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    run_at        INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    fence         INTEGER NOT NULL,
    worker        TEXT,
    payload       TEXT    NOT NULL
);
CREATE INDEX work_due ON work (due_at, id);

CREATE TABLE revision (n INTEGER NOT NULL);
INSERT INTO revision (n) VALUES (0);
