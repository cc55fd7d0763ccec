-- Sites that do harm or may: one row for each host or URL, under its address without scheme.
CREATE TABLE site (
    address TEXT PRIMARY KEY,
    -- The host, and whether the row is about one place on it only.
    host TEXT NOT NULL, place BIGINT NOT NULL,
    -- candidate, listed, objected, removed; why, and who said so last.
    state TEXT NOT NULL, why TEXT NOT NULL, person TEXT NOT NULL,
    first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, changed_ms BIGINT NOT NULL,
    -- How it answered last, when, and when it is to be asked again.
    life TEXT, checked_ms BIGINT, due_ms BIGINT NOT NULL
);
CREATE INDEX site_by_host ON site (host);
CREATE INDEX site_by_state ON site (state, address);
CREATE INDEX site_due ON site (due_ms);
-- Which list has it, since when.
CREATE TABLE site_listing (
    address TEXT NOT NULL, source TEXT NOT NULL, threat TEXT NOT NULL,
    first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,
    PRIMARY KEY (address, source)
);
CREATE INDEX site_listing_by_source ON site_listing (source, address);
-- Lists: whose, copied from which, and how often what they had was bad, in thousandths.
CREATE TABLE site_source (
    name TEXT PRIMARY KEY, family TEXT NOT NULL, reliability BIGINT NOT NULL, since_ms BIGINT NOT NULL, read_ms BIGINT NOT NULL
);
-- What is said against a listing, by whom, and what came of it.
CREATE TABLE site_objection (
    id TEXT PRIMARY KEY, address TEXT NOT NULL, said TEXT NOT NULL, by_whom TEXT NOT NULL, at_ms BIGINT NOT NULL,
    answer TEXT, answered_by TEXT, answered_ms BIGINT
);
CREATE INDEX site_objection_by_address ON site_objection (address);
-- What one person wants done with a popular site, until a second says the same.
CREATE TABLE site_word (
    address TEXT NOT NULL, person_key TEXT NOT NULL, threat TEXT, person TEXT NOT NULL, why TEXT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (address, person_key)
);
