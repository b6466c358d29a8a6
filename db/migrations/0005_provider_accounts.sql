-- Whose customers the mappings name: the account that a provider's key led to when it was first used. A key of another
-- account finds none of them, and would make them all anew over there.

-- +goose Up
CREATE TABLE provider_accounts (
  provider_type text        NOT NULL,
  account_id    text        NOT NULL,
  seen_at       timestamptz NOT NULL DEFAULT now(), -- the last time that the key led there
  CONSTRAINT provider_accounts_pkey PRIMARY KEY (provider_type),
  CONSTRAINT provider_accounts_provider_not_empty CHECK (provider_type <> ''),
  CONSTRAINT provider_accounts_account_not_empty CHECK (account_id <> '')
);

-- +goose Down
DROP TABLE provider_accounts;
