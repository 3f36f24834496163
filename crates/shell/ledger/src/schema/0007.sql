-- Usage is reported by when attempts ended: without this, each report reads every settlement.
CREATE INDEX settlement_ended ON settlement (ended);
