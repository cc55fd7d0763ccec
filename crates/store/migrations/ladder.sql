-- Mails became steps of a ladder, which has other ways as well; whom a case is about, sealed, is kept with the case, since what
-- a way cannot reach goes on by the next.
ALTER TABLE cases RENAME COLUMN mails TO steps;
ALTER TABLE cases RENAME COLUMN last_mail_ms TO last_step_ms;
ALTER TABLE cases ADD COLUMN next_ms BIGINT;
ALTER TABLE cases ADD COLUMN held_out_until_ms BIGINT;
CREATE INDEX cases_by_next ON cases (next_ms);
CREATE INDEX cases_by_party ON cases (party, family, opened_ms);
CREATE INDEX cases_by_campaign ON cases (campaign, last_ms);
CREATE TABLE case_addressee (case_id TEXT PRIMARY KEY, body BYTEA NOT NULL);
INSERT INTO case_addressee (case_id, body)
    SELECT o.case_id, o.body FROM outbox o WHERE o.body IS NOT NULL
      AND o.step = (SELECT MAX(p.step) FROM outbox p WHERE p.case_id = o.case_id AND p.body IS NOT NULL);
ALTER TABLE outbox DROP COLUMN body;
ALTER TABLE outbox ADD COLUMN channel TEXT NOT NULL DEFAULT 'mail';
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (channel, state, due_ms);
-- How many steps of a way were handed over in an hour.
CREATE TABLE pace (channel TEXT NOT NULL, hour BIGINT NOT NULL, taken BIGINT NOT NULL, PRIMARY KEY (channel, hour));
-- What is or was stopped: everything ('*'), a way ('channel:sms'), a campaign ('campaign:NAME').
CREATE TABLE stopped (
    scope TEXT NOT NULL, since_ms BIGINT NOT NULL, person TEXT NOT NULL, why TEXT NOT NULL,
    -- Who let it go on, and why; none while it is stopped.
    until_ms BIGINT, until_person TEXT, until_why TEXT,
    PRIMARY KEY (scope, since_ms)
);
CREATE UNIQUE INDEX stopped_now ON stopped (scope) WHERE until_ms IS NULL;
