# Intake
intake-title = Intake
intake-lead = What became of every record that was read. The counts must add up: read = stored + duplicate + filtered + quarantined.
intake-none = Nothing was read yet. Each feed that is loaded gets a line here.
intake-feed = Feed
intake-kind = Kind
intake-read = Read
intake-stored = Stored
intake-duplicate = Duplicate
intake-filtered = Filtered
intake-quarantined = Quarantined
intake-adds-up = Adds up
intake-yes = yes
intake-no = no: records are missing
intake-hour = Last hour
intake-day = Last 24 hours
intake-last = Last read
intake-all = All feeds
credits-title = Tables that events are enriched from
credits-lead = Networks, countries and warning lists are looked up in these tables.
credits-none = Only your own tables are used.
languages = Language of this page
as-json = as JSON
