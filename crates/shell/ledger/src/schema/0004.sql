-- Where an attempt would have gone, had its caller not chosen: shadow mode. Belongs to the attempt's entry.
CREATE TABLE advice (
    attempt         INTEGER PRIMARY KEY REFERENCES attempt (id),
    endpoint        TEXT    NOT NULL,
    contract        TEXT    NOT NULL,
    prepaid         INTEGER NOT NULL,
    marginal        ANY     NOT NULL,
    energy          ANY     NOT NULL,
    scarcity        ANY     NOT NULL,
    cache_loss      ANY     NOT NULL,
    slo_miss        ANY     NOT NULL,
    list_input      INTEGER NOT NULL,
    list_cached     INTEGER NOT NULL,
    list_output     INTEGER NOT NULL,
    -- What one more token really costs, there and where the caller went.
    marginal_input  INTEGER NOT NULL,
    marginal_cached INTEGER NOT NULL,
    marginal_output INTEGER NOT NULL,
    given_input     INTEGER NOT NULL,
    given_cached    INTEGER NOT NULL,
    given_output    INTEGER NOT NULL
) STRICT;

CREATE TRIGGER advice_stays BEFORE UPDATE ON advice BEGIN SELECT RAISE(ABORT, 'advice is never changed'); END;
CREATE TRIGGER advice_kept BEFORE DELETE ON advice BEGIN SELECT RAISE(ABORT, 'advice is never deleted'); END;
