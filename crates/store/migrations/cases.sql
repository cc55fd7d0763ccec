-- People judge cases: who holds one, and which one another went into. A case is open as long as it was not closed, in whatever way.
ALTER TABLE cases ADD COLUMN held_by TEXT;
ALTER TABLE cases ADD COLUMN merged_into TEXT;
DROP INDEX cases_one_open;
CREATE UNIQUE INDEX cases_one_open ON cases (party, family) WHERE closed_ms IS NULL;
CREATE INDEX cases_by_state ON cases (state, opened_ms, id);
CREATE INDEX cases_by_family ON cases (family, opened_ms, id);
CREATE INDEX cases_of_campaign ON cases (campaign, opened_ms, id);
CREATE INDEX cases_quiet ON cases (last_ms, id) WHERE closed_ms IS NULL;
-- What people said of a case, each with its evidence entry.
CREATE TABLE case_act (
    case_id TEXT NOT NULL, evidence BIGINT NOT NULL, at_ms BIGINT NOT NULL, person TEXT NOT NULL, what TEXT NOT NULL,
    why TEXT NOT NULL, PRIMARY KEY (case_id, evidence)
);
