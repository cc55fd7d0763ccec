-- What may be kept only so long as a measure says: under which measure it came, and when it was taken in.
ALTER TABLE event_block ADD COLUMN measure TEXT;
ALTER TABLE event_block ADD COLUMN kept_ms BIGINT;
-- Of what was taken in before this was written down, the campaign tells the measure.
UPDATE event_block SET
    measure = (SELECT MAX(f.measure) FROM intake i JOIN finding f ON f.campaign = i.campaign
               WHERE i.id = event_block.intake AND i.kind IN ('seized', 'feed')),
    kept_ms = (SELECT i.at_ms FROM intake i WHERE i.id = event_block.intake);
CREATE INDEX event_block_by_measure ON event_block (measure, kept_ms) WHERE measure IS NOT NULL;
ALTER TABLE finding ADD COLUMN kept_ms BIGINT;
UPDATE finding SET kept_ms = last_ms;
CREATE INDEX finding_by_measure ON finding (measure, kept_ms);
-- When it was forgotten whose a case was and where it was seen.
ALTER TABLE cases ADD COLUMN forgotten_ms BIGINT;
CREATE INDEX cases_to_forget ON cases (measure, closed_ms) WHERE forgotten_ms IS NULL;
CREATE INDEX cases_forgotten ON cases (closed_ms) WHERE forgotten_ms IS NOT NULL;
-- Lines in quarantine whose content is still there.
CREATE INDEX quarantine_whole ON quarantine (at_ms) WHERE content IS NOT NULL;
ALTER TABLE intake ADD COLUMN measure TEXT;
