-- Runs over whole books, what they report, and how far the provider's own list of events has been read.

-- +goose Up
CREATE TABLE reconcile_runs (
  id            text        NOT NULL,
  provider_type text        NOT NULL,
  mode          text        NOT NULL,
  plan          boolean     NOT NULL DEFAULT false,
  match_email   boolean     NOT NULL DEFAULT false,
  state         text        NOT NULL DEFAULT 'running',
  step          text        NOT NULL DEFAULT 'list',
  ranges        jsonb       NOT NULL DEFAULT '[]',
  after         text        NOT NULL DEFAULT '',
  counts        jsonb       NOT NULL DEFAULT '{}',
  last_error    jsonb,
  workflow_id   text        NOT NULL,
  version       bigint      NOT NULL DEFAULT 1,
  started_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  ended_at      timestamptz,
  CONSTRAINT reconcile_runs_pkey PRIMARY KEY (id),
  CONSTRAINT reconcile_runs_id_form CHECK (id ~ '^run_[0-9A-HJKMNP-TV-Z]{26}$'),
  CONSTRAINT reconcile_runs_provider_not_empty CHECK (provider_type <> ''),
  CONSTRAINT reconcile_runs_mode_known CHECK (mode IN ('import', 'export', 'reconcile')),
  CONSTRAINT reconcile_runs_state_known CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
  CONSTRAINT reconcile_runs_step_known CHECK (step IN ('list', 'match', 'absent', 'reserve', 'send', 'end')),
  CONSTRAINT reconcile_runs_ranges_list CHECK (jsonb_typeof(ranges) = 'array'),
  CONSTRAINT reconcile_runs_counts_object CHECK (jsonb_typeof(counts) = 'object'),
  CONSTRAINT reconcile_runs_ended_has_time CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)),
  CONSTRAINT reconcile_runs_version_positive CHECK (version > 0)
);
-- Two runs over the same books would report, and create, the same customers.
CREATE UNIQUE INDEX reconcile_runs_one_open ON reconcile_runs (provider_type) WHERE ended_at IS NULL;

-- Lines are written only by the transaction that moves their run, which holds its row: a foreign key would look that row
-- up once per line and find nothing else. subject is what makes a line the same line again: the remote customer's id, or
-- the customer's if there is no remote customer.
CREATE TABLE reconcile_findings (
  id          text        NOT NULL,
  run_id      text        NOT NULL,
  subject     text        NOT NULL,
  kind        text        NOT NULL,
  customer_id text        NOT NULL DEFAULT '',
  remote_id   text        NOT NULL DEFAULT '',
  done        boolean     NOT NULL DEFAULT false,
  reason      text        NOT NULL DEFAULT '',
  changes     jsonb       NOT NULL DEFAULT '[]',
  at          timestamptz NOT NULL DEFAULT now(),
  -- In this order the key is the order of the report as well.
  CONSTRAINT reconcile_findings_pkey PRIMARY KEY (run_id, id),
  CONSTRAINT reconcile_findings_once UNIQUE (run_id, subject),
  CONSTRAINT reconcile_findings_id_form CHECK (id ~ '^fnd_[0-9A-HJKMNP-TV-Z]{26}$'),
  CONSTRAINT reconcile_findings_subject_not_empty CHECK (subject <> ''),
  CONSTRAINT reconcile_findings_kind_known CHECK (kind IN
    ('created', 'linked', 'updated', 'sent', 'archived', 'conflict', 'rejected', 'unlinked', 'review', 'waiting')),
  CONSTRAINT reconcile_findings_changes_list CHECK (jsonb_typeof(changes) = 'array')
);
-- The few conflicts among a million imported ones, which it costs nothing.
CREATE INDEX reconcile_findings_kind ON reconcile_findings (run_id, kind, id) WHERE kind <> 'created';

-- What the list of a run had, for the questions that only the whole list can answer: what is missing in it, and whose
-- e-mail is nobody else's. It goes with the end of its run. It must not be UNLOGGED, however tempting: a crash would empty
-- it, and then every linked customer would look as if it were gone over there.
CREATE TABLE reconcile_seen (
  run_id             text NOT NULL,
  provider_entity_id text NOT NULL,
  email              text NOT NULL DEFAULT '',
  CONSTRAINT reconcile_seen_pkey PRIMARY KEY (run_id, provider_entity_id)
);
CREATE INDEX reconcile_seen_email ON reconcile_seen (run_id, email) WHERE email <> '';

CREATE TABLE catch_ups (
  provider_type text        NOT NULL,
  up_to         timestamptz, -- NULL: never read
  checked_at    timestamptz,
  missed        bigint      NOT NULL DEFAULT 0,
  gap_since     timestamptz,
  CONSTRAINT catch_ups_pkey PRIMARY KEY (provider_type),
  CONSTRAINT catch_ups_provider_not_empty CHECK (provider_type <> ''),
  CONSTRAINT catch_ups_missed_not_negative CHECK (missed >= 0)
);

-- An event that was found in the provider's list has been delivered by nobody.
ALTER TABLE provider_events DROP CONSTRAINT provider_events_deliveries_positive;
ALTER TABLE provider_events ADD CONSTRAINT provider_events_deliveries_not_negative CHECK (deliveries >= 0);

-- +goose Down
UPDATE provider_events SET deliveries = 1 WHERE deliveries = 0;
ALTER TABLE provider_events DROP CONSTRAINT provider_events_deliveries_not_negative;
ALTER TABLE provider_events ADD CONSTRAINT provider_events_deliveries_positive CHECK (deliveries > 0);
DROP TABLE catch_ups, reconcile_seen, reconcile_findings, reconcile_runs;
