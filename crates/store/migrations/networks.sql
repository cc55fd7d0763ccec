-- How infected each network is, week by week (ISO, in Japan; numbered from the one in which 1970 began), counted from the cases when
-- a week is under way and once more when it is over. Counts and nothing else: no case, no subscriber, no address.
CREATE TABLE network_week (
    week BIGINT NOT NULL, network TEXT NOT NULL,
    -- How many lines there were; none where nobody said.
    lines BIGINT,
    infected BIGINT NOT NULL, seen BIGINT NOT NULL, opened BIGINT NOT NULL,
    PRIMARY KEY (week, network)
);
-- When each week was counted, and by which prefixes.
CREATE TABLE network_counted (week BIGINT PRIMARY KEY, networks TEXT NOT NULL, at_ms BIGINT NOT NULL);
-- Which cases were open at some time in a week: those that are, and those that closed since it began.
CREATE INDEX cases_by_close ON cases (closed_ms, id);
