-- Organisations that are told when one of their addresses is seen by a telescope.
CREATE TABLE organisation (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, lang TEXT NOT NULL, since_ms BIGINT NOT NULL,
    -- How many messages it was sent, when it may be told again, and how long it is left in peace after a message.
    messages BIGINT NOT NULL, next_ms BIGINT, pause_s BIGINT NOT NULL
);
-- A prefix is one organisation's, and in force while it is proven.
CREATE TABLE organisation_range (
    prefix TEXT PRIMARY KEY, organisation TEXT NOT NULL, token TEXT NOT NULL,
    proof TEXT, found TEXT NOT NULL, proven_ms BIGINT, checked_ms BIGINT, missing BIGINT NOT NULL
);
CREATE INDEX organisation_range_by_organisation ON organisation_range (organisation);
CREATE TABLE organisation_contact (
    organisation TEXT NOT NULL, way TEXT NOT NULL, target TEXT NOT NULL, secret_file TEXT,
    PRIMARY KEY (organisation, way, target)
);
-- Addresses of which it does not wish to be told.
CREATE TABLE organisation_mute (
    organisation TEXT NOT NULL, prefix TEXT NOT NULL, why TEXT NOT NULL, until_ms BIGINT,
    PRIMARY KEY (organisation, prefix)
);
CREATE TABLE alert (
    id TEXT PRIMARY KEY, organisation TEXT NOT NULL, ip TEXT NOT NULL, role TEXT NOT NULL,
    class TEXT NOT NULL, tool TEXT NOT NULL, protocol TEXT NOT NULL, source_port BIGINT, port BIGINT,
    packets BIGINT NOT NULL, sensors BIGINT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,
    episode BIGINT NOT NULL, alerted_ms BIGINT NOT NULL,
    -- In which message it was told, in this episode.
    message BIGINT, muted BIGINT NOT NULL
);
CREATE INDEX alert_by_organisation ON alert (organisation, message, muted);
CREATE INDEX alert_by_time ON alert (last_ms, id);
-- What organisations are sent, once by each way. What a message says is written when it is sent.
CREATE TABLE alert_message (
    id TEXT PRIMARY KEY, organisation TEXT NOT NULL, number BIGINT NOT NULL, way TEXT NOT NULL, target TEXT NOT NULL,
    secret_file TEXT, state TEXT NOT NULL, attempts BIGINT NOT NULL, due_ms BIGINT NOT NULL,
    made_ms BIGINT NOT NULL, changed_ms BIGINT NOT NULL,
    -- When it was handed over, or not at all.
    handed_ms BIGINT, reply TEXT NOT NULL
);
CREATE INDEX alert_message_due ON alert_message (state, way, due_ms);
CREATE INDEX alert_message_by_organisation ON alert_message (organisation, number);
-- Telescopes that write down what they see, and how many IPv4 addresses each has. Which addresses is written nowhere.
CREATE TABLE telescope (
    name TEXT PRIMARY KEY, addresses BIGINT NOT NULL, since_ms BIGINT NOT NULL, seen_ms BIGINT NOT NULL
);
