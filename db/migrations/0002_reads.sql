-- Lists for people: the ledger by what an operator asks for, and the mappings that have ended. A list is newest first, so
-- where many rows can match, the index goes on in the order of ids; a rare state or type would otherwise be looked for
-- in the whole ledger.

-- +goose Up
CREATE INDEX provider_events_event ON provider_events (event_id);
CREATE INDEX provider_events_object ON provider_events (object_id, id);
CREATE INDEX provider_events_type ON provider_events (type, id);
CREATE INDEX provider_events_state ON provider_events (state, id);
CREATE INDEX mappings_ended ON entity_integration_mappings (id) WHERE state = 'archived';

-- +goose Down
DROP INDEX mappings_ended, provider_events_state, provider_events_type, provider_events_object, provider_events_event;
