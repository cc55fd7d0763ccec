-- The evidence log's tree, and what was counted of the log. Needs the tables of the first shape and nothing else.

-- At place `idx` of the row of a level (from 1 on), the root of the full tile below it: of 256^level entries. Together with the
-- leaf hashes, which are with the entries, every tile (C2SP tlog-tiles) and every proof is a few reads.
CREATE TABLE IF NOT EXISTS evidence_hash (
    level BIGINT NOT NULL, idx BIGINT NOT NULL, hash BYTEA NOT NULL, PRIMARY KEY (level, idx)
);
-- How many entries there are of each measure, kind and rule, among those below `next`.
CREATE TABLE IF NOT EXISTS evidence_tally (
    measure TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT NOT NULL, entries BIGINT NOT NULL,
    PRIMARY KEY (measure, kind, rule)
);
CREATE TABLE IF NOT EXISTS evidence_tallied (id BIGINT PRIMARY KEY, next BIGINT NOT NULL);
