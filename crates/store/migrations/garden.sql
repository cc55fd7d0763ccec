-- Lines in the walled garden. Which line it is, is sealed, and erased when it is out; the key by which it is asked for when it
-- connects is a keyed hash.
CREATE TABLE garden (
    case_id TEXT NOT NULL, step BIGINT NOT NULL, line_key TEXT NOT NULL, line BYTEA, permit BIGINT NOT NULL,
    since_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL,
    -- When letting it out was asked for, and why; none while it stays.
    asked_ms BIGINT, why TEXT NOT NULL,
    -- When to try next, and how often it was tried.
    due_ms BIGINT NOT NULL, attempts BIGINT NOT NULL,
    out_ms BIGINT,
    PRIMARY KEY (case_id, step)
);
CREATE INDEX garden_by_line ON garden (line_key) WHERE out_ms IS NULL;
CREATE INDEX garden_by_due ON garden (due_ms) WHERE out_ms IS NULL;
