-- The ledger takes thousands of rows a second when a provider catches up, and each index of it is written twice per row:
-- when it comes and when its state changes. Whoever looks for an event by its id is served by the unique rule as well.
-- Rows that are updated in place find room beside them.
--
-- A unique index begins with the column that tells rows apart. A new database has no statistics for its first minutes, and
-- the planner, guessing that a provider's name tells them apart as well, walked all mappings of the provider for each one
-- it looked for (measured while the first 10,000 customers came in: 15.7 ms for the mappings of a batch instead of 0.3 ms).

-- +goose Up
ALTER TABLE provider_events DROP CONSTRAINT provider_events_once;
ALTER TABLE provider_events ADD CONSTRAINT provider_events_once UNIQUE (event_id, provider_type, type);
DROP INDEX provider_events_event;
DROP INDEX mappings_customer_live;
DROP INDEX mappings_remote_live;
CREATE UNIQUE INDEX mappings_customer_live ON entity_integration_mappings (entity_id, provider_type, entity_type) WHERE archived_at IS NULL;
CREATE UNIQUE INDEX mappings_remote_live ON entity_integration_mappings (provider_entity_id, provider_type, entity_type) WHERE archived_at IS NULL;
ALTER TABLE customers SET (fillfactor = 85);
ALTER TABLE entity_integration_mappings SET (fillfactor = 85);
ALTER TABLE provider_events SET (fillfactor = 85);

-- +goose Down
ALTER TABLE provider_events RESET (fillfactor);
ALTER TABLE entity_integration_mappings RESET (fillfactor);
ALTER TABLE customers RESET (fillfactor);
DROP INDEX mappings_customer_live;
DROP INDEX mappings_remote_live;
CREATE UNIQUE INDEX mappings_customer_live ON entity_integration_mappings (entity_type, entity_id, provider_type) WHERE archived_at IS NULL;
CREATE UNIQUE INDEX mappings_remote_live ON entity_integration_mappings (provider_type, entity_type, provider_entity_id) WHERE archived_at IS NULL;
CREATE INDEX provider_events_event ON provider_events (event_id);
ALTER TABLE provider_events DROP CONSTRAINT provider_events_once;
ALTER TABLE provider_events ADD CONSTRAINT provider_events_once UNIQUE (provider_type, event_id, type);
