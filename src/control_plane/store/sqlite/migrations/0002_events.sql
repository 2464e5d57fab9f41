-- Events wait here until they are delivered, numbered by their change and their place in it.
CREATE TABLE events (
    rev        INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    resource   TEXT    NOT NULL,
    emitted_at INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (rev, place)
);

-- Who delivers them, and until when nobody else may: one row.
CREATE TABLE delivery (
    holder     TEXT    NOT NULL,
    held_until INTEGER NOT NULL
);
INSERT INTO delivery (holder, held_until) VALUES ('', 0);
