-- Rows name contracts, endpoints and meters by text, so that they outlive the fleet version that they were booked under.
-- A request is the sixteen bytes of its id, most significant first. Quantities are whole base units, times are microseconds since 1970 in UTC. No money is stored: it is derived.

CREATE TABLE fleet (
    id         INTEGER PRIMARY KEY,
    version    BLOB    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    first_used INTEGER NOT NULL,
    register   BLOB    NOT NULL
) STRICT;

CREATE TABLE attempt (
    id           INTEGER PRIMARY KEY,
    request      BLOB    NOT NULL,
    attempt      INTEGER NOT NULL,
    key          INTEGER NOT NULL,
    model        TEXT    NOT NULL,
    endpoint     TEXT    NOT NULL,
    contract     TEXT    NOT NULL,
    fleet        INTEGER NOT NULL REFERENCES fleet (id),
    decided      INTEGER NOT NULL,
    bound_input  INTEGER NOT NULL,
    bound_output INTEGER NOT NULL,
    -- Where the journal has the decision with all it saw; the segment may have expired.
    segment      INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    UNIQUE (request, attempt)
) STRICT;

CREATE TABLE settlement (
    request       BLOB    NOT NULL,
    attempt       INTEGER NOT NULL,
    endpoint      TEXT    NOT NULL,
    contract      TEXT    NOT NULL,
    fleet         INTEGER NOT NULL REFERENCES fleet (id),
    outcome       TEXT    NOT NULL,
    known         TEXT    NOT NULL,
    input         INTEGER NOT NULL,
    cached        INTEGER NOT NULL,
    output        INTEGER NOT NULL,
    started       INTEGER NOT NULL,
    first_content INTEGER,
    ended         INTEGER NOT NULL,
    PRIMARY KEY (request, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE held (
    id       INTEGER PRIMARY KEY,
    endpoint TEXT    NOT NULL,
    fleet    INTEGER NOT NULL REFERENCES fleet (id),
    from_us  INTEGER NOT NULL,
    to_us    INTEGER NOT NULL,
    segment  INTEGER NOT NULL,
    offset   INTEGER NOT NULL,
    UNIQUE (segment, offset)
) STRICT;

CREATE TABLE held_share (
    held     INTEGER NOT NULL REFERENCES held (id),
    number   INTEGER NOT NULL,
    request  BLOB    NOT NULL,
    attempt  INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (held, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE posting (
    id       INTEGER PRIMARY KEY,
    contract TEXT    NOT NULL,
    meter    TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    at_us    INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    used     INTEGER NOT NULL,
    fleet    INTEGER NOT NULL REFERENCES fleet (id),
    -- What it comes from: an attempt or held time.
    request  BLOB,
    attempt  INTEGER,
    source   INTEGER REFERENCES held (id),
    CHECK ((request IS NULL) = (attempt IS NULL) AND (request IS NULL) <> (source IS NULL))
) STRICT;

CREATE INDEX posting_source ON posting (source) WHERE source IS NOT NULL;
CREATE INDEX settlement_unreconciled ON settlement (ended) WHERE known = 'bounded';

-- A second record of an attempt that says something else than the first: kept, counted, never booked.
CREATE TABLE conflict (
    id      INTEGER PRIMARY KEY,
    request BLOB    NOT NULL,
    attempt INTEGER NOT NULL,
    entry   BLOB    NOT NULL
) STRICT;

CREATE TABLE api_key (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL,
    public  TEXT    NOT NULL UNIQUE,
    hash    BLOB    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER
) STRICT;

CREATE TABLE api_key_model (
    api_key INTEGER NOT NULL REFERENCES api_key (id),
    model   TEXT    NOT NULL,
    PRIMARY KEY (api_key, model)
) STRICT, WITHOUT ROWID;

-- Counts changes of keys, so that a reader can tell cheaply that there was none.
CREATE TABLE api_key_changes (changes INTEGER NOT NULL) STRICT;
INSERT INTO api_key_changes VALUES (0);
CREATE TRIGGER api_key_made AFTER INSERT ON api_key BEGIN UPDATE api_key_changes SET changes = changes + 1; END;
CREATE TRIGGER api_key_changed AFTER UPDATE ON api_key BEGIN UPDATE api_key_changes SET changes = changes + 1; END;

-- Up to where the journal is in these tables; attempts with a lower id than `settled_below` are all settled.
CREATE TABLE journal_position (segment INTEGER NOT NULL, offset INTEGER NOT NULL, settled_below INTEGER NOT NULL) STRICT;
INSERT INTO journal_position VALUES (0, 0, 0);

-- Booked is booked: corrections are new rows.
CREATE TRIGGER attempt_stays BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are never changed'); END;
CREATE TRIGGER attempt_kept BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END;
CREATE TRIGGER settlement_stays BEFORE UPDATE ON settlement BEGIN SELECT RAISE(ABORT, 'settlements are never changed'); END;
CREATE TRIGGER settlement_kept BEFORE DELETE ON settlement BEGIN SELECT RAISE(ABORT, 'settlements are never deleted'); END;
CREATE TRIGGER held_stays BEFORE UPDATE ON held BEGIN SELECT RAISE(ABORT, 'held time is never changed'); END;
CREATE TRIGGER held_kept BEFORE DELETE ON held BEGIN SELECT RAISE(ABORT, 'held time is never deleted'); END;
CREATE TRIGGER held_share_stays BEFORE UPDATE ON held_share BEGIN SELECT RAISE(ABORT, 'shares are never changed'); END;
CREATE TRIGGER held_share_kept BEFORE DELETE ON held_share BEGIN SELECT RAISE(ABORT, 'shares are never deleted'); END;
CREATE TRIGGER posting_stays BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'postings are never changed'); END;
CREATE TRIGGER posting_kept BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'postings are never deleted'); END;
