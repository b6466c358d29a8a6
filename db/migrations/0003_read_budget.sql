-- What Tandem reads at a provider, per day and reason. Reads are rationed there, and processes share the ration, so it is
-- counted where all of them can see it. A day has a handful of rows; nobody needs to clear them away.

-- +goose Up
CREATE TABLE provider_reads (
  provider_type text   NOT NULL,
  day           date   NOT NULL, -- UTC
  why           text   NOT NULL,
  reads         bigint NOT NULL DEFAULT 1,
  CONSTRAINT provider_reads_pkey PRIMARY KEY (provider_type, day, why),
  CONSTRAINT provider_reads_provider_not_empty CHECK (provider_type <> ''),
  CONSTRAINT provider_reads_why_not_empty CHECK (why <> ''),
  CONSTRAINT provider_reads_positive CHECK (reads > 0)
);

-- +goose Down
DROP TABLE provider_reads;
