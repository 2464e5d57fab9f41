-- Text compares bytewise, times are milliseconds since the epoch. Numbers are as in the SQLite schema of the same version.

CREATE TABLE records (
    scope      text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    rev        bigint NOT NULL,
    parent     text COLLATE "C",
    expires_at bigint,
    body       text NOT NULL,
    PRIMARY KEY (scope, kind, id)
);
CREATE INDEX records_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;

-- How many records a kind has in a scope (parent '') and under each parent.
CREATE TABLE counters (
    scope  text COLLATE "C" NOT NULL,
    kind   text COLLATE "C" NOT NULL,
    parent text COLLATE "C" NOT NULL,
    n      bigint NOT NULL,
    PRIMARY KEY (scope, kind, parent)
);

CREATE TABLE index_entries (
    name  text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    kind  text COLLATE "C" NOT NULL,
    id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, value, scope, kind, id)
);
CREATE INDEX index_entries_of_record ON index_entries (scope, kind, id);

CREATE TABLE blobs (
    key   text COLLATE "C" NOT NULL PRIMARY KEY,
    bytes bytea NOT NULL
);

-- due_at is run_at while nobody holds the item and the end of the lease while somebody does: one column says who may claim it.
-- Ids come from the row in revision and are never used again, else a late worker could complete an item that is not its own.
CREATE TABLE work (
    id            bigint NOT NULL PRIMARY KEY,
    kind          text COLLATE "C" NOT NULL,
    subject_scope text COLLATE "C" NOT NULL,
    subject_kind  text COLLATE "C" NOT NULL,
    subject_id    text COLLATE "C" NOT NULL,
    attempt       bigint NOT NULL,
    run_at        bigint NOT NULL,
    due_at        bigint NOT NULL,
    fence         bigint NOT NULL,
    worker        text,
    payload       text NOT NULL
);
CREATE INDEX work_due ON work (due_at, id);

-- The numbers given last: of a change, and of a work item. Whoever changes anything locks this row first.
CREATE TABLE revision (
    n    bigint NOT NULL,
    work bigint NOT NULL
);
INSERT INTO revision (n, work) VALUES (0, 0);

-- The last group of changes that each process has committed, by which it finds out about one whose answer was lost.
CREATE TABLE writers (
    process text COLLATE "C" NOT NULL PRIMARY KEY,
    last    bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
