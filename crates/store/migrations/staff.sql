-- Who works here, by which passkeys they come in, and who is in.
CREATE TABLE staff (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, roles TEXT NOT NULL, since_ms BIGINT NOT NULL, ended_ms BIGINT,
    -- Whom a provider of identities calls by this (issuer and subject); none for who has passkeys here.
    subject TEXT UNIQUE
);
CREATE TABLE passkey (
    -- The credential's id, base64url (WebAuthn Level 3, 5.1).
    credential TEXT PRIMARY KEY, staff TEXT NOT NULL,
    -- Public key and what else does not change; counter and what else does; by which ways it is reached.
    fixed BYTEA NOT NULL, changing BYTEA NOT NULL, transports BIGINT NOT NULL,
    added_ms BIGINT NOT NULL, used_ms BIGINT
);
CREATE INDEX passkey_by_staff ON passkey (staff, added_ms);
-- Links that let somebody make a passkey, once. The link itself is not kept, only its hash.
CREATE TABLE invitation (
    hash TEXT PRIMARY KEY, staff TEXT NOT NULL, by_person TEXT NOT NULL, made_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL
);
-- Who is in; the cookie itself is not kept, only its hash.
CREATE TABLE console_session (
    hash TEXT PRIMARY KEY, staff TEXT NOT NULL, how TEXT NOT NULL, opened_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL
);
CREATE INDEX console_session_by_staff ON console_session (staff, until_ms);
