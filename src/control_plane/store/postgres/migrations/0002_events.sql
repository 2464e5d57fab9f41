-- Events wait here until they are delivered, numbered by their change and their place in it.
CREATE TABLE events (
    rev        bigint NOT NULL,
    place      bigint NOT NULL,
    resource   text COLLATE "C" NOT NULL,
    emitted_at bigint NOT NULL,
    body       text NOT NULL,
    PRIMARY KEY (rev, place)
);

-- Who delivers them, and until when nobody else may: one row.
CREATE TABLE delivery (
    holder     text COLLATE "C" NOT NULL,
    held_until bigint NOT NULL
);
INSERT INTO delivery (holder, held_until) VALUES ('', 0);
