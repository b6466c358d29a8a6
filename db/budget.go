package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// SpendRead counts one read at the provider, unless as many for the same reason have been made today; 0 is no limit. Then
// the ledger rows that wait for the read say so, and the error is RateLimited with CodeReadBudgetSpent. Days are UTC, on
// the database's clock, so that all processes turn the page together. Run twice it counts twice: rather one read too few.
func (s *Store) SpendRead(ctx context.Context, provider, why string, budget int, rows []string) error {
	var reads int64
	err := s.db.GetContext(ctx, &reads, `
		INSERT INTO provider_reads AS r (provider_type, day, why)
		VALUES ($1, (now() AT TIME ZONE 'UTC')::date, $2)
		ON CONFLICT (provider_type, day, why) DO UPDATE SET reads = r.reads + 1
		WHERE $3::bigint = 0 OR r.reads < $3::bigint
		RETURNING reads`, provider, why, budget)
	if !errors.Is(err, sql.ErrNoRows) {
		return translate(err)
	}
	_, err = s.db.ExecContext(ctx, `
		UPDATE provider_events e SET reason = `+fmt.Sprintf(keepsEnd, "$2::text")+` WHERE id = ANY($1) AND state = 'received'`,
		pq.Array(rows), tandem.CodeReadBudgetSpent)
	if err != nil {
		return translate(err)
	}
	return &tandem.Error{
		Class: tandem.RateLimited, Code: tandem.CodeReadBudgetSpent, Message: "the day's reads for events whose order is in doubt have been made",
	}
}
