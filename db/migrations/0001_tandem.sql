-- Customers, the mapping between the two sides, the ledger of provider events, the journal, and two small helpers.
-- Every rule that SQL can hold is a named constraint: the name is what db/errors.go translates, and what an operator
-- finds in the log when a rule was broken by hand.

-- +goose Up
CREATE TABLE customers (
  id                  text        NOT NULL,
  external_id         text,
  name                text,
  email               text,
  phone               text,
  address_line1       text,
  address_line2       text,
  address_city        text,
  address_state       text,
  address_postal_code text,
  -- No check on the form of a country: a provider may hold an older spelling, which must not block its import.
  address_country     text,
  metadata            jsonb       NOT NULL DEFAULT '{}',
  status              text        NOT NULL DEFAULT 'active',
  version             bigint      NOT NULL DEFAULT 1,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  archived_at         timestamptz,
  CONSTRAINT customers_pkey PRIMARY KEY (id),
  CONSTRAINT customers_id_form CHECK (id ~ '^cust_[0-9A-HJKMNP-TV-Z]{26}$'),
  CONSTRAINT customers_external_id_not_empty CHECK (external_id <> ''),
  CONSTRAINT customers_metadata_object CHECK (jsonb_typeof(metadata) = 'object'),
  CONSTRAINT customers_status_known CHECK (status IN ('active', 'archived')),
  CONSTRAINT customers_archived_has_time CHECK ((status = 'archived') = (archived_at IS NOT NULL)),
  CONSTRAINT customers_version_positive CHECK (version > 0)
);
-- An archived customer frees its external id.
CREATE UNIQUE INDEX customers_external_id_active ON customers (external_id) WHERE status = 'active';
CREATE INDEX customers_external_id ON customers (external_id, id) WHERE external_id IS NOT NULL; -- archived ones too
CREATE INDEX customers_email ON customers (email, id);

CREATE TABLE entity_integration_mappings (
  id                 text        NOT NULL,
  entity_type        text        NOT NULL DEFAULT 'customer',
  entity_id          text        NOT NULL,
  provider_type      text        NOT NULL,
  provider_entity_id text,
  state              text        NOT NULL DEFAULT 'pending',
  base               jsonb,
  as_of_from         timestamptz,
  as_of              timestamptz,
  claim              jsonb,
  epoch              integer     NOT NULL DEFAULT 0,
  pushed_version     bigint      NOT NULL DEFAULT 0,
  on_archive         text        NOT NULL DEFAULT '',
  conflicts          jsonb       NOT NULL DEFAULT '[]',
  last_error         jsonb,
  metadata           jsonb       NOT NULL DEFAULT '{}',
  synced_at          timestamptz,
  version            bigint      NOT NULL DEFAULT 1,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  archived_at        timestamptz,
  archived_reason    text,
  CONSTRAINT mappings_pkey PRIMARY KEY (id),
  CONSTRAINT mappings_id_form CHECK (id ~ '^eim_[0-9A-HJKMNP-TV-Z]{26}$'),
  CONSTRAINT mappings_customer_exists FOREIGN KEY (entity_id) REFERENCES customers (id),
  CONSTRAINT mappings_entity_type_known CHECK (entity_type = 'customer'),
  CONSTRAINT mappings_provider_not_empty CHECK (provider_type <> ''),
  CONSTRAINT mappings_provider_entity_id_not_empty CHECK (provider_entity_id <> ''),
  CONSTRAINT mappings_state_known CHECK (state IN ('pending', 'synced', 'retrying', 'parked', 'conflict', 'archived')),
  CONSTRAINT mappings_synced_has_both_sides CHECK (state NOT IN ('synced', 'conflict') OR provider_entity_id IS NOT NULL),
  -- A link without an ancestor could not be merged; an ancestor without a time could not be ordered.
  CONSTRAINT mappings_linked_has_base CHECK (provider_entity_id IS NULL OR (base IS NOT NULL AND as_of IS NOT NULL AND as_of_from IS NOT NULL)),
  CONSTRAINT mappings_as_of_ordered CHECK (as_of_from <= as_of),
  CONSTRAINT mappings_waiting_has_error CHECK (state NOT IN ('retrying', 'parked') OR last_error IS NOT NULL),
  CONSTRAINT mappings_claim_whole CHECK (claim IS NULL OR claim ?& ARRAY['action', 'key', 'body', 'version', 'at']),
  CONSTRAINT mappings_archived_has_reason CHECK ((state = 'archived') = (archived_at IS NOT NULL) AND (archived_at IS NULL) = (archived_reason IS NULL)),
  CONSTRAINT mappings_on_archive_known CHECK (on_archive IN ('', 'delete', 'keep')),
  CONSTRAINT mappings_archived_reason_known CHECK (archived_reason IN ('unlinked', 'deleted_local', 'deleted_remote'))
);
-- One live mapping per customer and provider: two workers cannot both reserve a create.
CREATE UNIQUE INDEX mappings_customer_live ON entity_integration_mappings (entity_type, entity_id, provider_type) WHERE archived_at IS NULL;
-- Each remote customer is linked at most once.
CREATE UNIQUE INDEX mappings_remote_live ON entity_integration_mappings (provider_type, entity_type, provider_entity_id) WHERE archived_at IS NULL;
CREATE INDEX mappings_customer ON entity_integration_mappings (entity_id);
CREATE INDEX mappings_remote ON entity_integration_mappings (provider_entity_id);
CREATE INDEX mappings_waiting ON entity_integration_mappings (state, entity_id) WHERE state <> 'synced' AND state <> 'archived';

-- What the brake counts.
CREATE INDEX mappings_deleted ON entity_integration_mappings (archived_at) WHERE archived_reason = 'deleted_local';

-- Deleted stays deleted: every remote customer ever seen deleted, linked or not.
CREATE TABLE remote_tombstones (
  provider_type      text        NOT NULL,
  entity_type        text        NOT NULL DEFAULT 'customer',
  provider_entity_id text        NOT NULL,
  deleted_at         timestamptz NOT NULL,
  CONSTRAINT remote_tombstones_pkey PRIMARY KEY (provider_type, entity_type, provider_entity_id)
);

CREATE TABLE provider_events (
  id                      text        NOT NULL,
  provider_type           text        NOT NULL,
  event_id                text        NOT NULL,
  type                    text        NOT NULL,
  object_id               text        NOT NULL DEFAULT '',
  created                 timestamptz NOT NULL,
  received_at             timestamptz NOT NULL DEFAULT now(),
  api_version             text        NOT NULL DEFAULT '',
  livemode                boolean     NOT NULL,
  request_idempotency_key text        NOT NULL DEFAULT '',
  payload                 jsonb       NOT NULL,
  deliveries              integer     NOT NULL DEFAULT 1,
  state                   text        NOT NULL DEFAULT 'received',
  reason                  text        NOT NULL DEFAULT '',
  processed_at            timestamptz,
  CONSTRAINT provider_events_pkey PRIMARY KEY (id),
  CONSTRAINT provider_events_id_form CHECK (id ~ '^pev_[0-9A-HJKMNP-TV-Z]{26}$'),
  CONSTRAINT provider_events_once UNIQUE (provider_type, event_id, type),
  CONSTRAINT provider_events_state_known CHECK (state IN ('received', 'applied', 'echo', 'stale', 'ignored', 'conflict', 'parked')),
  CONSTRAINT provider_events_processed_has_time CHECK ((state = 'received') = (processed_at IS NULL)),
  CONSTRAINT provider_events_deliveries_positive CHECK (deliveries > 0)
);
-- What waits, per remote customer, in the order it happened over there.
CREATE INDEX provider_events_waiting ON provider_events (provider_type, object_id, created, received_at) WHERE state = 'received';

CREATE TABLE journal (
  id                 text        NOT NULL,
  at                 timestamptz NOT NULL DEFAULT now(),
  entity_id          text        NOT NULL,
  provider_type      text,
  provider_entity_id text,
  direction          text        NOT NULL,
  action             text        NOT NULL,
  cause              text        NOT NULL,
  cause_id           text        NOT NULL DEFAULT '',
  workflow_id        text        NOT NULL DEFAULT '',
  run_id             text        NOT NULL DEFAULT '',
  changes            jsonb       NOT NULL DEFAULT '[]',
  detail             text        NOT NULL DEFAULT '',
  CONSTRAINT journal_pkey PRIMARY KEY (id),
  CONSTRAINT journal_direction_known CHECK (direction IN ('outbound', 'inbound')),
  CONSTRAINT journal_cause_known CHECK (cause IN ('api', 'webhook', 'import', 'reconcile', 'operator', 'retry')),
  CONSTRAINT journal_changes_list CHECK (jsonb_typeof(changes) = 'array')
);
CREATE INDEX journal_customer ON journal (entity_id, id);
-- A change that an API caller asked for is made once, however often the act runs.
CREATE UNIQUE INDEX journal_change_once ON journal (entity_id, cause_id) WHERE cause = 'api' AND provider_type IS NULL;

-- The story is not rewritten. Erasing a person is the one exception and says so in its own transaction.
-- +goose StatementBegin
CREATE FUNCTION journal_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('tandem.erasure', true) = 'on' THEN
    RETURN COALESCE(NEW, OLD);
  END IF;
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE ON journal FOR EACH ROW EXECUTE FUNCTION journal_append_only();
CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION journal_append_only();

-- The answers to creates that carried an Idempotency-Key. Keys and bodies are stored as hashes.
CREATE TABLE idempotency_keys (
  key_hash    text        NOT NULL,
  body_hash   text        NOT NULL,
  customer_id text        NOT NULL,
  answer      jsonb,
  created_at  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key_hash)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- +goose Down
DROP TABLE idempotency_keys, journal, provider_events, remote_tombstones, entity_integration_mappings, customers;
DROP FUNCTION journal_append_only;
