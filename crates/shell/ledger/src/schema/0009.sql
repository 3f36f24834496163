-- Attempts that units of their contract take, which prices the tokens as well: their settlements post no tokens.
CREATE TABLE in_units (
    attempt INTEGER PRIMARY KEY REFERENCES attempt (id)
) STRICT;

CREATE TRIGGER in_units_stays BEFORE UPDATE ON in_units BEGIN SELECT RAISE(ABORT, 'what units take is never changed'); END;
CREATE TRIGGER in_units_kept BEFORE DELETE ON in_units BEGIN SELECT RAISE(ABORT, 'what units take is never deleted'); END;
