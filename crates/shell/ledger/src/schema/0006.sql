-- When a key's secret was last rotated: of two rotations at two replicas the later one counts.
ALTER TABLE api_key ADD COLUMN rotated INTEGER;
UPDATE api_key SET rotated = created WHERE previous IS NOT NULL;
