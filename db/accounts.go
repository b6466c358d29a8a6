package db

import "context"

// MeetAccount answers with the account that a provider's customers here belong to. The first one that is met is it; another
// takes its place only if a person has accepted it by name.
func (s *Store) MeetAccount(ctx context.Context, provider, account, accepted string) (known string, err error) {
	err = s.db.GetContext(ctx, &known, `
		INSERT INTO provider_accounts AS a (provider_type, account_id) VALUES ($1, $2)
		ON CONFLICT (provider_type) DO UPDATE
		SET account_id = CASE WHEN $2 = $3 THEN excluded.account_id ELSE a.account_id END,
		    seen_at = CASE WHEN $2 IN (a.account_id, $3) THEN now() ELSE a.seen_at END
		RETURNING account_id`, provider, account, accepted)
	return known, translate(err)
}
