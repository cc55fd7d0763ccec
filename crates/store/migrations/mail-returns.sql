-- What came back of mails: from mail servers, mailbox providers and people. Nothing of what people wrote.
CREATE TABLE mail_return (
    -- A hash of what came, so that the same mail read twice counts once.
    id TEXT PRIMARY KEY, case_id TEXT NOT NULL, step BIGINT NOT NULL,
    kind TEXT NOT NULL, cause TEXT NOT NULL, status TEXT NOT NULL, said TEXT NOT NULL, at_ms BIGINT NOT NULL
);
CREATE INDEX mail_return_by_case ON mail_return (case_id, at_ms);
CREATE INDEX mail_return_by_kind ON mail_return (kind, at_ms);
