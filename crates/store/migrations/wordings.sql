-- Trials of wordings: which wordings were tried out together in a round, and to which of them a case was allotted, once and for
-- good, when its first mail or letter was made.
CREATE TABLE wording_arm (
    round TEXT NOT NULL, place BIGINT NOT NULL, wording TEXT NOT NULL, percent BIGINT NOT NULL, form TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (round, place)
);
CREATE TABLE case_wording (
    case_id TEXT PRIMARY KEY, round TEXT NOT NULL, place BIGINT NOT NULL, at_ms BIGINT NOT NULL
);
CREATE INDEX case_wording_by_round ON case_wording (round, at_ms);
-- In which words a step was said (wording@form), where the case is in a trial.
ALTER TABLE outbox ADD COLUMN wording TEXT NOT NULL DEFAULT '';
