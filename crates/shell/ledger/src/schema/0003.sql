-- The tables of entries anew, with reasons, corrections, closings, invoices and the chain. Only a store without entries gets
-- here: no program that wrote others was ever released. As before, rows name things by text, quantities are whole base units, and
-- times are microseconds since 1970 in UTC. Money is derived, but for what was true at one time only: list costs, expected costs and
-- what was closed. A column of type ANY holds it in nano-units: a number where it fits in 64 bits, else its digits as text.
DROP TABLE posting;
DROP TABLE held_share;
DROP TABLE held;
DROP TABLE settlement;
DROP TABLE attempt;
DROP TABLE conflict;
DELETE FROM fleet;

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
    -- Why it went there: kept here because the journal's segments expire.
    tier         TEXT    NOT NULL,
    rule         TEXT    NOT NULL,
    marginal     ANY     NOT NULL,
    energy       ANY     NOT NULL,
    scarcity     ANY     NOT NULL,
    cache_loss   ANY     NOT NULL,
    slo_miss     ANY     NOT NULL,
    list_input   INTEGER NOT NULL,
    list_cached  INTEGER NOT NULL,
    list_output  INTEGER NOT NULL,
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
    -- What it came to at the list prices of the decision, in the fleet's currency.
    list          ANY     NOT NULL,
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

-- What an attempt really took, said after it was settled. The last one of an attempt counts; those before it stay.
CREATE TABLE correction (
    id       INTEGER PRIMARY KEY,
    request  BLOB    NOT NULL,
    attempt  INTEGER NOT NULL,
    -- The correction that this one corrects; nothing: the settlement itself.
    corrects INTEGER REFERENCES correction (id),
    input    INTEGER NOT NULL,
    cached   INTEGER NOT NULL,
    output   INTEGER NOT NULL,
    list     ANY     NOT NULL,
    -- The invoice that says so; nothing: a person does.
    invoice  INTEGER REFERENCES invoice (id) DEFERRABLE INITIALLY DEFERRED,
    why      TEXT    NOT NULL,
    who      TEXT    NOT NULL,
    at_us    INTEGER NOT NULL,
    UNIQUE (request, attempt, corrects)
) STRICT;
CREATE UNIQUE INDEX correction_first ON correction (request, attempt) WHERE corrects IS NULL;

CREATE TABLE posting (
    id         INTEGER PRIMARY KEY,
    contract   TEXT    NOT NULL,
    meter      TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    at_us      INTEGER NOT NULL,
    held       INTEGER NOT NULL,
    used       INTEGER NOT NULL,
    fleet      INTEGER NOT NULL REFERENCES fleet (id),
    -- What it comes from: an attempt, by its settlement or by a correction of it, or held time.
    request    BLOB,
    attempt    INTEGER,
    correction INTEGER REFERENCES correction (id),
    source     INTEGER REFERENCES held (id),
    CHECK ((request IS NULL) = (attempt IS NULL) AND (request IS NULL) <> (source IS NULL) AND (request IS NOT NULL OR correction IS NULL))
) STRICT;

CREATE INDEX attempt_decided ON attempt (decided);
CREATE INDEX posting_source ON posting (source) WHERE source IS NOT NULL;
CREATE INDEX settlement_unreconciled ON settlement (ended) WHERE known = 'bounded';

-- A second record of an attempt that says something else than the first: kept, counted, never booked.
CREATE TABLE conflict (
    id      INTEGER PRIMARY KEY,
    request BLOB    NOT NULL,
    attempt INTEGER NOT NULL,
    entry   BLOB    NOT NULL
) STRICT;

-- Each time that the directory was opened: by which fleet, and what was found.
CREATE TABLE opening (
    id            INTEGER PRIMARY KEY,
    fleet         INTEGER NOT NULL REFERENCES fleet (id),
    at_us         INTEGER NOT NULL,
    replayed      INTEGER NOT NULL,
    interrupted   INTEGER NOT NULL,
    torn_bytes    INTEGER NOT NULL,
    aside_records INTEGER NOT NULL,
    aside_bytes   INTEGER NOT NULL
) STRICT;

-- Each time that it was closed in good order, and where its journal ended.
CREATE TABLE ending (
    opening INTEGER PRIMARY KEY REFERENCES opening (id),
    segment INTEGER NOT NULL,
    offset  INTEGER NOT NULL
) STRICT;

-- A contract's billing period, closed. Those of a contract follow one another without gap or overlap.
CREATE TABLE closing (
    id         INTEGER PRIMARY KEY,
    contract   TEXT    NOT NULL,
    period     INTEGER NOT NULL,
    from_us    INTEGER NOT NULL,
    to_us      INTEGER NOT NULL,
    fleet      INTEGER NOT NULL REFERENCES fleet (id),
    at_us      INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    -- What its lines add up to, amendments of earlier periods among them.
    due        ANY     NOT NULL,
    -- SHA-256 over its lines, as the chain writes them.
    digest     BLOB    NOT NULL,
    -- The newest posting that it knew.
    posting_to INTEGER NOT NULL,
    UNIQUE (contract, from_us),
    UNIQUE (contract, to_us),
    CHECK (from_us < to_us)
) STRICT;

CREATE TABLE closing_line (
    closing  INTEGER NOT NULL REFERENCES closing (id),
    number   INTEGER NOT NULL,
    -- The clause, with its index among those of its kind and of the tier or tranche within it; or `amendment`, of a period.
    clause   TEXT    NOT NULL,
    place    INTEGER,
    tier     INTEGER,
    meter    TEXT,
    subject  TEXT,
    quantity INTEGER NOT NULL,
    rate     ANY,
    per      INTEGER,
    money    ANY     NOT NULL,
    PRIMARY KEY (closing, number)
) STRICT, WITHOUT ROWID;

-- A supplier's invoice as it was imported, line by line beside ours.
CREATE TABLE invoice (
    id      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    digest  BLOB    NOT NULL UNIQUE,
    who     TEXT    NOT NULL,
    at_us   INTEGER NOT NULL
) STRICT;

CREATE TABLE invoice_line (
    invoice  INTEGER NOT NULL REFERENCES invoice (id),
    number   INTEGER NOT NULL,
    contract TEXT    NOT NULL,
    meter    TEXT,
    subject  TEXT,
    from_us  INTEGER NOT NULL,
    to_us    INTEGER NOT NULL,
    quantity INTEGER,
    billed   ANY     NOT NULL,
    our_quantity INTEGER,
    ours     ANY     NOT NULL,
    PRIMARY KEY (invoice, number)
) STRICT, WITHOUT ROWID;

-- The chain: every entry in the order in which it was committed. `hash` is SHA-256 over the hash before it (32 bytes; zeros before the first)
-- and the entry's lines; the postings that belong to it are those past the entry before it, up to `posting_to`.
CREATE TABLE entry (
    number     INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    -- The row that it is, but for a settlement: that has its attempt.
    row        INTEGER,
    request    BLOB,
    attempt    INTEGER,
    posting_to INTEGER NOT NULL,
    hash       BLOB    NOT NULL,
    CHECK ((row IS NULL) = (request IS NOT NULL) AND (request IS NULL) = (attempt IS NULL))
) STRICT;

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
CREATE TRIGGER correction_stays BEFORE UPDATE ON correction BEGIN SELECT RAISE(ABORT, 'corrections are never changed'); END;
CREATE TRIGGER correction_kept BEFORE DELETE ON correction BEGIN SELECT RAISE(ABORT, 'corrections are never deleted'); END;
CREATE TRIGGER closing_stays BEFORE UPDATE ON closing BEGIN SELECT RAISE(ABORT, 'closings are never changed'); END;
CREATE TRIGGER closing_kept BEFORE DELETE ON closing BEGIN SELECT RAISE(ABORT, 'closings are never deleted'); END;
CREATE TRIGGER closing_line_stays BEFORE UPDATE ON closing_line BEGIN SELECT RAISE(ABORT, 'closed lines are never changed'); END;
CREATE TRIGGER closing_line_kept BEFORE DELETE ON closing_line BEGIN SELECT RAISE(ABORT, 'closed lines are never deleted'); END;
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
