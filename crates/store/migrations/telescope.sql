-- What telescopes counted, by the minute and by the hour.
CREATE TABLE telescope_minute (
    telescope TEXT NOT NULL, minute_ms BIGINT NOT NULL, packets BIGINT NOT NULL, arrivals BIGINT NOT NULL,
    PRIMARY KEY (telescope, minute_ms)
);
CREATE INDEX telescope_minute_by_time ON telescope_minute (minute_ms);
CREATE TABLE telescope_hour (
    telescope TEXT NOT NULL, hour_ms BIGINT NOT NULL, counted TEXT NOT NULL, name TEXT NOT NULL,
    hosts BIGINT NOT NULL, packets BIGINT NOT NULL,
    PRIMARY KEY (telescope, hour_ms, counted, name)
);
CREATE INDEX telescope_hour_by_time ON telescope_hour (hour_ms, counted);
CREATE TABLE telescope_campaign (
    id TEXT PRIMARY KEY, telescope TEXT NOT NULL, protocol TEXT NOT NULL, port BIGINT NOT NULL, tool TEXT NOT NULL,
    onset_ms BIGINT NOT NULL, known_ms BIGINT NOT NULL, sources_known BIGINT NOT NULL, sources BIGINT NOT NULL, last_ms BIGINT NOT NULL
);
CREATE INDEX telescope_campaign_by_time ON telescope_campaign (known_ms, id);
-- Some senders of each second, one by one; kept for hours.
CREATE TABLE telescope_sighting (
    id TEXT PRIMARY KEY, telescope TEXT NOT NULL, at_ms BIGINT NOT NULL, ip TEXT NOT NULL, country TEXT NOT NULL,
    class TEXT NOT NULL, tool TEXT NOT NULL, protocol TEXT NOT NULL, port BIGINT, sampled BIGINT NOT NULL
);
CREATE INDEX telescope_sighting_by_time ON telescope_sighting (at_ms, id);
