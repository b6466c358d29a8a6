package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/tandem-sync/tandem"
)

// reasonReplayed marks rows that wait because a person wants them decided once more.
const reasonReplayed = "replayed"

// formerEnd is what a row remembers of its first end, as SQL: an event that was applied is old news the second time, and
// its row must not read as if it had never done anything. keepsEnd joins it to the reason of another end.
const (
	formerEnd = `substring(e.reason FROM 'replayed after [a-z]+')`
	keepsEnd  = `concat_ws(', ', NULLIF(%s, ''), ` + formerEnd + `)`
)

const ledgerColumns = `
	e.id, e.provider_type, e.event_id, e.type, e.object_id, e.created, e.received_at, e.api_version, e.livemode,
	e.request_idempotency_key, e.deliveries, e.state, e.reason, e.processed_at`

type ledgerRow struct {
	ID          string       `db:"id"`
	Provider    string       `db:"provider_type"`
	EventID     string       `db:"event_id"`
	Type        string       `db:"type"`
	ObjectID    string       `db:"object_id"`
	Created     time.Time    `db:"created"`
	ReceivedAt  time.Time    `db:"received_at"`
	APIVersion  string       `db:"api_version"`
	Livemode    bool         `db:"livemode"`
	Key         string       `db:"request_idempotency_key"`
	Deliveries  int          `db:"deliveries"`
	State       string       `db:"state"`
	Reason      string       `db:"reason"`
	ProcessedAt sql.NullTime `db:"processed_at"`
	Payload     []byte       `db:"payload"` // only where it was asked for
}

func (r ledgerRow) row() (tandem.LedgerRow, error) {
	return tandem.LedgerRow{
		ID: r.ID, Provider: r.Provider, EventID: r.EventID, Type: r.Type, ObjectID: r.ObjectID, Created: r.Created.UTC(),
		ReceivedAt: r.ReceivedAt.UTC(), APIVersion: r.APIVersion, Livemode: r.Livemode, Key: r.Key, Payload: r.Payload,
		Deliveries: r.Deliveries, State: tandem.EventState(r.State), Reason: r.Reason, ProcessedAt: timePtr(r.ProcessedAt),
	}, nil
}

// ListEvents reads one page of the ledger, newest first, without payloads.
func (s *Store) ListEvents(ctx context.Context, q tandem.EventQuery) ([]tandem.LedgerRow, error) {
	var rows []ledgerRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+ledgerColumns+`
		FROM provider_events e
		WHERE ($1 = '' OR e.provider_type = $1)
		  AND ($2 = '' OR e.event_id = $2)
		  AND ($3 = '' OR e.object_id = $3)
		  AND ($4 = '' OR e.type = $4)
		  AND ($5 = '' OR e.state = $5)
		  AND ($6 = '' OR e.id < $6)
		ORDER BY e.id DESC
		LIMIT $7`,
		q.Provider, q.EventID, q.ObjectID, q.Type, string(q.State), q.After, q.Limit)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, ledgerRow.row)
}

// Event reads one row of the ledger with its payload. Errors: CodeEventNotFound.
func (s *Store) Event(ctx context.Context, id string) (tandem.LedgerRow, error) {
	return s.oneEvent(ctx, `SELECT `+ledgerColumns+`, e.payload FROM provider_events e WHERE e.id = $1`, id)
}

// Reopen has a row wait again, whatever its end was. A row that waits already goes on waiting, so that doing this twice
// is doing it once. The row that is returned has its payload. Errors: CodeEventNotFound.
func (s *Store) Reopen(ctx context.Context, id string) (tandem.LedgerRow, error) {
	return s.oneEvent(ctx, `
		UPDATE provider_events e
		SET state = 'received', processed_at = NULL,
		    reason = COALESCE(`+formerEnd+`, CASE WHEN e.state = 'received' THEN $2 ELSE $2 || ' after ' || e.state END)
		WHERE e.id = $1
		RETURNING `+ledgerColumns+`, e.payload`, id, reasonReplayed)
}

func (s *Store) oneEvent(ctx context.Context, query string, args ...any) (tandem.LedgerRow, error) {
	var row ledgerRow
	err := s.db.GetContext(ctx, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return tandem.LedgerRow{}, notFound(tandem.CodeEventNotFound, "this event")
	}
	if err != nil {
		return tandem.LedgerRow{}, translate(err)
	}
	return row.row()
}
