-- What a key may do, whom it belongs to, what it may take. A second secret is good until its overlap with the first has ended.
ALTER TABLE api_key ADD COLUMN team TEXT;
ALTER TABLE api_key ADD COLUMN previous BLOB;
ALTER TABLE api_key ADD COLUMN previous_until INTEGER;
ALTER TABLE api_key ADD COLUMN requests INTEGER CHECK (requests > 0);
ALTER TABLE api_key ADD COLUMN tokens INTEGER CHECK (tokens > 0);
-- As it is written: '50.00 USD/month'.
ALTER TABLE api_key ADD COLUMN budget TEXT;

CREATE TABLE api_key_scope (
    api_key INTEGER NOT NULL REFERENCES api_key (id),
    scope   TEXT    NOT NULL,
    PRIMARY KEY (api_key, scope)
) STRICT, WITHOUT ROWID;

-- Keys from before there were scopes go on doing what they did.
INSERT INTO api_key_scope SELECT id, 'inference' FROM api_key;
INSERT INTO api_key_scope SELECT id, 'read' FROM api_key;

-- Balances are folded from the attempts of the present period.
CREATE INDEX attempt_decided ON attempt (decided);
