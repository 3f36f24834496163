-- What this database is called: what was fetched from another, or from this one under another name, is not continued from here.
CREATE TABLE baseload.origin (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text    NOT NULL
);
INSERT INTO baseload.origin (name) VALUES (gen_random_uuid()::text);
