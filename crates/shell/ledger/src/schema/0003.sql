-- Why an attempt went where it went, and at which list prices: kept here because the journal's segments expire. Empty where
-- the attempt was booked before there were these columns. A column of type ANY holds nano-units: a number where it fits in
-- 64 bits, else its digits as text.
ALTER TABLE attempt ADD COLUMN tier TEXT;
ALTER TABLE attempt ADD COLUMN rule TEXT;
ALTER TABLE attempt ADD COLUMN marginal ANY;
ALTER TABLE attempt ADD COLUMN energy ANY;
ALTER TABLE attempt ADD COLUMN scarcity ANY;
ALTER TABLE attempt ADD COLUMN cache_loss ANY;
ALTER TABLE attempt ADD COLUMN slo_miss ANY;
ALTER TABLE attempt ADD COLUMN list_input INTEGER;
ALTER TABLE attempt ADD COLUMN list_cached INTEGER;
ALTER TABLE attempt ADD COLUMN list_output INTEGER;

-- What it came to at those list prices, in the fleet's currency.
ALTER TABLE settlement ADD COLUMN list ANY NOT NULL DEFAULT 0;
