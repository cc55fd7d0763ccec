-- The first shape. One text for SQLite and PostgreSQL: BIGINT, TEXT, BYTEA, times as milliseconds since 1970 (UTC).
-- The engine reads it in each database's dialect: to SQLite a BIGINT PRIMARY KEY is the row's own number, without an index
-- beside it; lines that begin with --postgres are for PostgreSQL alone.

-- Observed.
-- The event log, in blocks of events that were appended together. Sequence numbers begin at 1 and have no gaps.
CREATE TABLE event_block (
    -- Of `count` ids, `kept` have an event; of the others only the id is remembered.
    first_seq BIGINT PRIMARY KEY, count BIGINT NOT NULL, kept BIGINT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,
    intake TEXT NOT NULL,
    -- 16 bytes each; then a line number and a length each (varints); then the JSON texts, a line each, under zstd.
    ids BYTEA NOT NULL, lines BYTEA NOT NULL, body BYTEA NOT NULL
);
CREATE INDEX event_block_by_time ON event_block (last_ms);
--postgres ALTER TABLE event_block ALTER COLUMN ids SET STORAGE EXTERNAL;
--postgres ALTER TABLE event_block ALTER COLUMN lines SET STORAGE EXTERNAL;
--postgres ALTER TABLE event_block ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE event_head (
    id BIGINT PRIMARY KEY, next_seq BIGINT NOT NULL, events BIGINT NOT NULL,
    -- Changes whenever a run of the index begins or ceases to count.
    version BIGINT NOT NULL, next_run BIGINT NOT NULL
);
INSERT INTO event_head (id, next_seq, events, version, next_run) VALUES (1, 1, 0, 0, 1);
-- Which ids were seen, and under which number: sorted runs in parts (by the id's first bits) in pages.
CREATE TABLE seen_run (
    run BIGINT PRIMARY KEY, level BIGINT NOT NULL, state TEXT NOT NULL,
    first_seq BIGINT NOT NULL, next_seq BIGINT NOT NULL, count BIGINT NOT NULL,
    parts BIGINT NOT NULL, done BIGINT NOT NULL, pages BIGINT NOT NULL, blocks BIGINT NOT NULL
);
-- Keys of parts and pages: run * 2^32 + number.
CREATE TABLE seen_part (part BIGINT PRIMARY KEY, fence BYTEA NOT NULL, filter BYTEA NOT NULL);
--postgres ALTER TABLE seen_part ALTER COLUMN fence SET STORAGE EXTERNAL;
--postgres ALTER TABLE seen_part ALTER COLUMN filter SET STORAGE EXTERNAL;
CREATE TABLE seen_page (page BIGINT PRIMARY KEY, body BYTEA NOT NULL);
--postgres ALTER TABLE seen_page ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE intake (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL, campaign TEXT NOT NULL,
    position BIGINT NOT NULL, done BIGINT NOT NULL, at_ms BIGINT NOT NULL
);
CREATE TABLE tally (
    campaign TEXT NOT NULL, kind TEXT NOT NULL,
    read BIGINT NOT NULL, stored BIGINT NOT NULL, duplicate BIGINT NOT NULL,
    filtered BIGINT NOT NULL, aggregated BIGINT NOT NULL, quarantined BIGINT NOT NULL,
    -- When it was first and last counted.
    since_ms BIGINT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (campaign, kind)
);
-- Records read in each ten minutes of the last day, for the rates.
CREATE TABLE tally_slot (
    campaign TEXT NOT NULL, kind TEXT NOT NULL, slot BIGINT NOT NULL, read BIGINT NOT NULL,
    PRIMARY KEY (campaign, kind, slot)
);
-- How far exports came: everything up to sent_seq was acknowledged, what is above it up to until_seq may be on its way.
CREATE TABLE cursor (
    name TEXT PRIMARY KEY, what TEXT NOT NULL, sent_seq BIGINT NOT NULL, until_seq BIGINT NOT NULL,
    place BIGINT NOT NULL, at_ms BIGINT NOT NULL
);
-- An id begins with its input and line, so that what is read together lies together.
CREATE TABLE quarantine (
    id TEXT PRIMARY KEY, campaign TEXT NOT NULL, feed TEXT NOT NULL, source TEXT NOT NULL, line BIGINT NOT NULL,
    reason TEXT NOT NULL, content BYTEA, kept BIGINT NOT NULL, bytes BIGINT NOT NULL,
    -- What it takes to read the line again, as JSON; and when that was done.
    how TEXT NOT NULL, replayed_ms BIGINT, at_ms BIGINT NOT NULL
);
CREATE INDEX quarantine_by_time ON quarantine (at_ms DESC, id);
-- Repeats: one row for each feed whose repeats are counted, and for each group that is open.
CREATE TABLE aggregate_feed (
    feed TEXT PRIMARY KEY, clock_ms BIGINT NOT NULL, active_ms BIGINT NOT NULL, open_groups BIGINT NOT NULL,
    rule TEXT NOT NULL
);
CREATE TABLE aggregate_group (
    id BYTEA PRIMARY KEY, feed TEXT NOT NULL,
    -- The feed's time before which the group cannot be over.
    check_ms BIGINT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, count BIGINT NOT NULL,
    -- The event that began it.
    event BYTEA NOT NULL, json BYTEA NOT NULL
);
CREATE INDEX aggregate_group_by_check ON aggregate_group (feed, check_ms);
-- Feeds that are whole lists: the last load of each, and their entries.
CREATE TABLE list_feed (
    feed TEXT PRIMARY KEY, generation BIGINT NOT NULL, phase TEXT NOT NULL, intake TEXT NOT NULL,
    -- Entries of the list when it was believed last.
    size BIGINT NOT NULL,
    lines BIGINT NOT NULL, bad BIGINT NOT NULL, added BIGINT NOT NULL, changed BIGINT NOT NULL,
    still BIGINT NOT NULL, again BIGINT NOT NULL, gone BIGINT NOT NULL,
    begun_ms BIGINT NOT NULL, ended_ms BIGINT, note TEXT NOT NULL, rule TEXT NOT NULL
);
CREATE TABLE list_entry (
    -- A hash of the feed and the entry: found by itself, whatever a database that knows no numbers yet would guess.
    entry BYTEA PRIMARY KEY, feed TEXT NOT NULL, rest BYTEA NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,
    -- Loads in which it was seen last, came, changed last, went (0: it is there).
    generation BIGINT NOT NULL, came BIGINT NOT NULL, changed BIGINT NOT NULL, gone BIGINT NOT NULL,
    name TEXT NOT NULL, was TEXT NOT NULL, json BYTEA NOT NULL
);
CREATE INDEX list_entry_by_load ON list_entry (feed, gone, generation);
-- What is fetched from elsewhere: when it was tried, what became of it, and what the next conditional request needs.
CREATE TABLE source (
    name TEXT PRIMARY KEY, tried_ms BIGINT, succeeded_ms BIGINT, retry_ms BIGINT, failures BIGINT NOT NULL,
    error TEXT NOT NULL, setting TEXT NOT NULL, etag TEXT, modified TEXT,
    runs BIGINT NOT NULL, unchanged BIGINT NOT NULL, items BIGINT NOT NULL, bytes BIGINT NOT NULL,
    read BIGINT NOT NULL, stored BIGINT NOT NULL, duplicate BIGINT NOT NULL,
    filtered BIGINT NOT NULL, quarantined BIGINT NOT NULL, aggregated BIGINT NOT NULL
);

CREATE TABLE nas_clock (
    nas TEXT NOT NULL, offset_s BIGINT NOT NULL, samples BIGINT NOT NULL,
    PRIMARY KEY (nas, offset_s)
);

-- Between the stages.
CREATE TABLE queue (
    topic TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    due_ms BIGINT NOT NULL, lease TEXT NOT NULL, attempts BIGINT NOT NULL,
    PRIMARY KEY (topic, id)
);
CREATE INDEX queue_due ON queue (topic, due_ms, id);

-- Oriented and decided.
CREATE TABLE finding (
    id TEXT PRIMARY KEY, ip TEXT NOT NULL, family TEXT NOT NULL, campaign TEXT NOT NULL, measure TEXT NOT NULL,
    first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX finding_by_address ON finding (ip, family, campaign, last_ms);
CREATE TABLE finding_event (event TEXT PRIMARY KEY, finding TEXT NOT NULL);
CREATE TABLE decision (
    id TEXT PRIMARY KEY, finding TEXT NOT NULL, measure TEXT NOT NULL, allowed BIGINT NOT NULL,
    rule TEXT NOT NULL, reason TEXT NOT NULL, at_ms BIGINT NOT NULL
);
CREATE INDEX decision_by_time ON decision (at_ms, id);
CREATE TABLE refusal (
    id TEXT PRIMARY KEY, measure TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL,
    finding TEXT, case_id TEXT, at_ms BIGINT NOT NULL
);
CREATE INDEX refusal_by_time ON refusal (at_ms, id);

-- Acted.
CREATE TABLE identification (
    id TEXT PRIMARY KEY, finding TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
    sightings BIGINT NOT NULL, margin_s BIGINT NOT NULL, case_id TEXT, evidence BIGINT, at_ms BIGINT NOT NULL
);
CREATE INDEX identification_by_finding ON identification (finding);
CREATE INDEX identification_by_case ON identification (case_id);
CREATE TABLE cases (
    id TEXT PRIMARY KEY, party TEXT NOT NULL, family TEXT NOT NULL, campaign TEXT NOT NULL, measure TEXT NOT NULL,
    state TEXT NOT NULL, opened_ms BIGINT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,
    mails BIGINT NOT NULL, last_mail_ms BIGINT, closed_ms BIGINT, reinfected BIGINT NOT NULL
);
CREATE UNIQUE INDEX cases_one_open ON cases (party, family) WHERE state <> 'clean';
CREATE INDEX cases_by_time ON cases (opened_ms, id);
CREATE TABLE case_sighting (
    case_id TEXT NOT NULL, at_ms BIGINT NOT NULL, ip TEXT NOT NULL,
    PRIMARY KEY (case_id, at_ms, ip)
);
CREATE TABLE outbox (
    case_id TEXT NOT NULL, step BIGINT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL,
    due_ms BIGINT NOT NULL, reply TEXT NOT NULL, message_id TEXT NOT NULL, changed_ms BIGINT NOT NULL,
    -- When the mail server was last about to hear of it.
    handed_ms BIGINT, body BYTEA,
    PRIMARY KEY (case_id, step)
);
CREATE INDEX outbox_due ON outbox (state, due_ms);
CREATE UNIQUE INDEX outbox_message ON outbox (message_id);

-- What the subscriber did, and wants.
CREATE TABLE visit (
    case_id TEXT NOT NULL, kind TEXT NOT NULL, first_ms BIGINT NOT NULL, visits BIGINT NOT NULL,
    PRIMARY KEY (case_id, kind)
);
CREATE TABLE consent (
    scope TEXT NOT NULL, measure TEXT NOT NULL, since_ms BIGINT NOT NULL, granted BIGINT NOT NULL, how TEXT NOT NULL,
    PRIMARY KEY (scope, measure, since_ms)
);

-- Evidence.
CREATE TABLE evidence (idx BIGINT PRIMARY KEY, body BYTEA NOT NULL, leaf BYTEA NOT NULL);
CREATE TABLE evidence_checkpoint (size BIGINT PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE evidence_head (id BIGINT PRIMARY KEY, size BIGINT NOT NULL, peaks BYTEA NOT NULL);
