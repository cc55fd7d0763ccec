-- How often the times of a feed's events came in which form (on the minute, on the hour, ahead of their arrival): how good they are.
CREATE TABLE feed_clock (
    feed TEXT NOT NULL, form BIGINT NOT NULL, samples BIGINT NOT NULL,
    PRIMARY KEY (feed, form)
);
