-- Who approved a measure's use, until when; and uses in an emergency, each to be reviewed afterwards by somebody else.
CREATE TABLE approval (
    -- Index of its evidence entry.
    entry BIGINT PRIMARY KEY, measure TEXT NOT NULL,
    -- Hash of the dossier as it was approved: another version needs another approval.
    dossier TEXT NOT NULL, person TEXT NOT NULL, why TEXT NOT NULL, at_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL
);
CREATE INDEX approval_by_measure ON approval (measure, until_ms);
CREATE TABLE emergency_use (
    -- Index of the permit's evidence entry.
    entry BIGINT PRIMARY KEY, measure TEXT NOT NULL, usage TEXT NOT NULL, at_ms BIGINT NOT NULL,
    -- What came of the review, and its own evidence entry; empty until then.
    reviewed_ms BIGINT, reviewer TEXT NOT NULL, verdict TEXT NOT NULL, why TEXT NOT NULL, review_entry BIGINT
);
CREATE INDEX emergency_use_open ON emergency_use (reviewed_ms, entry);
