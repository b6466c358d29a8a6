package db

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/tandem-sync/tandem"
)

// CatchUp reads how far the provider's list of events has been read; zero when never.
func (s *Store) CatchUp(ctx context.Context, provider string) (tandem.CatchUp, error) {
	var row struct {
		UpTo      sql.NullTime `db:"up_to"`
		CheckedAt sql.NullTime `db:"checked_at"`
		Missed    int          `db:"missed"`
		GapSince  sql.NullTime `db:"gap_since"`
	}
	out := tandem.CatchUp{Provider: provider}
	err := s.db.GetContext(ctx, &row, `SELECT up_to, checked_at, missed, gap_since FROM catch_ups WHERE provider_type = $1`, provider)
	if errors.Is(err, sql.ErrNoRows) {
		return out, nil
	}
	if err != nil {
		return out, translate(err)
	}
	out.Missed, out.GapSince = row.Missed, timePtr(row.GapSince)
	if row.UpTo.Valid {
		out.UpTo = row.UpTo.Time.UTC()
	}
	if row.CheckedAt.Valid {
		out.CheckedAt = row.CheckedAt.Time.UTC()
	}
	return out, nil
}

// SaveCatchUp writes how far it has been read.
func (s *Store) SaveCatchUp(ctx context.Context, c tandem.CatchUp) error {
	_, err := s.db.ExecContext(ctx, `
		INSERT INTO catch_ups (provider_type, up_to, checked_at, missed, gap_since)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (provider_type) DO UPDATE
		SET up_to = excluded.up_to, checked_at = excluded.checked_at, missed = excluded.missed, gap_since = excluded.gap_since`,
		c.Provider, nullTime(&c.UpTo), nullTime(&c.CheckedAt), c.Missed, nullTime(c.GapSince))
	return translate(err)
}

func nullTime(t *time.Time) sql.NullTime {
	if t == nil || t.IsZero() {
		return sql.NullTime{}
	}
	return sql.NullTime{Time: *t, Valid: true}
}

// IngestFound writes ledger rows for those events that have none, to be drained, and returns these. No delivery is
// counted: nobody delivered them. A webhook that brings one after all counts its own.
func (s *Store) IngestFound(ctx context.Context, provider string, events []tandem.Event) ([]tandem.Event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	cols := newColumns(11)
	for _, e := range events {
		state, reason := tandem.EventReceived, ""
		if e.State == nil {
			state, reason = tandem.EventIgnored, reasonNotCustomer
		}
		cols.add(newID("pev"), e.ID, e.Type, e.ObjectID, timeText(e.Created), e.APIVersion, strconv.FormatBool(e.Livemode), e.Key,
			storableJSON(e.Payload), string(state), reason)
	}
	var rows []eventRow
	err := s.db.SelectContext(ctx, &rows, `
		INSERT INTO provider_events AS e (id, provider_type, event_id, type, object_id, created, api_version, livemode,
		                                  request_idempotency_key, payload, deliveries, state, reason, processed_at)
		SELECT u.id, $12, u.event_id, u.type, u.object_id, u.created::timestamptz, u.api_version, u.livemode::boolean, u.key,
		       u.payload::jsonb, 0, u.state, u.reason, CASE WHEN u.state <> 'received' THEN now() END
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		            $10::text[], $11::text[])
		     AS u (id, event_id, type, object_id, created, api_version, livemode, key, payload, state, reason)
		ORDER BY u.event_id, u.type -- two at once must lock in one order
		ON CONFLICT (event_id, provider_type, type) DO NOTHING
		RETURNING e.event_id, e.type`, append(cols.args(), provider)...)
	if err != nil {
		return nil, translate(err)
	}
	return written(events, rows), nil
}

// written are the events that the rows are about, in their order, each once.
func written(events []tandem.Event, rows []eventRow) []tandem.Event {
	fresh := make(map[eventName]bool, len(rows))
	for _, row := range rows {
		fresh[eventName{row.EventID, row.Type}] = true
	}
	var out []tandem.Event
	for _, e := range events {
		name := eventName{e.ID, e.Type}
		if fresh[name] {
			delete(fresh, name)
			out = append(out, e)
		}
	}
	return out
}
