-- What this database is called: what was fetched from another, or from this one under another name, is not continued from here.
CREATE TABLE baseload.origin (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text    NOT NULL
);
INSERT INTO baseload.origin (name) VALUES (gen_random_uuid()::text);

-- When a key's secret was last rotated, by the clock of the replica that did it: the later one counts.
ALTER TABLE baseload.api_key ADD COLUMN rotated bigint;
UPDATE baseload.api_key SET rotated = created WHERE previous IS NOT NULL;
