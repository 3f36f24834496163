-- What was done to keys, by whom and why: an entry each, in the transaction of the change itself.
CREATE TABLE key_change (
    id     INTEGER PRIMARY KEY,
    -- The key's public part, and what it was called.
    public TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    -- made, rotated or revoked.
    what   TEXT    NOT NULL,
    -- What it is from then on, in words.
    terms  TEXT    NOT NULL,
    who    TEXT    NOT NULL,
    why    TEXT    NOT NULL,
    at_us  INTEGER NOT NULL
) STRICT;
CREATE INDEX key_change_public ON key_change (public);

CREATE TRIGGER key_change_stays BEFORE UPDATE ON key_change BEGIN SELECT RAISE(ABORT, 'changes of keys are never changed'); END;
CREATE TRIGGER key_change_kept BEFORE DELETE ON key_change BEGIN SELECT RAISE(ABORT, 'changes of keys are never deleted'); END;
