package db

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// reasonNotCustomer marks events about something else: kept, because the provider counts on our having them, and done.
const reasonNotCustomer = "not_a_customer"

// Ingest writes the ledger row of a verified event, or counts a delivery more of one it has. When it returns, the
// event is not lost any more. An event that changes nothing is finished at once, by the same rules and without a
// workflow; Open says that somebody has to process the row.
func (s *Store) Ingest(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	var out tandem.Ingested
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		d := tandem.Decision{State: tandem.EventIgnored, Reason: reasonNotCustomer}
		if e.State != nil {
			state := *e.State
			state.Provider = provider
			var err error
			if d, err = s.triage(ctx, tx, state); err != nil {
				return err
			}
			if err := s.settleAtOnce(ctx, tx, &d); err != nil {
				return err
			}
		}
		var err error
		out, err = insertEvent(ctx, tx, provider, e, d)
		return err
	})
	return out, err
}

// settleAtOnce leaves the decision an end if nothing has to be written for it, or only the later time of a base. The
// mapping's version guards the latter: had anything been recorded since the look, the row would not match.
func (s *Store) settleAtOnce(ctx context.Context, tx *sqlx.Tx, d *tandem.Decision) error {
	switch d.Act {
	case tandem.ActNone:
		if d.State == tandem.EventConflict { // wants a journal row
			d.State, d.Reason = tandem.EventReceived, ""
		}
		return nil
	case tandem.ActAdvance:
		result, err := tx.ExecContext(ctx, `
			UPDATE entity_integration_mappings SET as_of_from = $3, as_of = $4, version = version + 1, updated_at = now()
			WHERE id = $1 AND version = $2 AND archived_at IS NULL AND as_of <= $4`,
			d.Mapping.ID, d.Mapping.Version, d.Mapping.AsOfFrom, d.Mapping.AsOf)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
	}
	d.State, d.Reason = tandem.EventReceived, ""
	return nil
}

func insertEvent(ctx context.Context, tx *sqlx.Tx, provider string, e tandem.Event, d tandem.Decision) (tandem.Ingested, error) {
	var row struct {
		ID    string `db:"id"`
		State string `db:"state"`
	}
	// The second delivery of an event is counted on the row of the first, whose state decides what is left to do.
	err := tx.GetContext(ctx, &row, `
		INSERT INTO provider_events AS e (id, provider_type, event_id, type, object_id, created, api_version, livemode,
		                                  request_idempotency_key, payload, state, reason, processed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text, $12, CASE WHEN $11::text <> 'received' THEN now() END)
		ON CONFLICT (provider_type, event_id, type) DO UPDATE SET deliveries = e.deliveries + 1
		RETURNING e.id, e.state`,
		newID("pev"), provider, e.ID, e.Type, e.ObjectID, e.Created, e.APIVersion, e.Livemode, e.Key,
		storableJSON(e.Payload), string(d.State), d.Reason)
	if err != nil {
		return tandem.Ingested{}, err
	}
	state := tandem.EventState(row.State)
	return tandem.Ingested{Row: row.ID, State: state, Open: state == tandem.EventReceived}, nil
}

// storableJSON is the body as jsonb can hold it. Postgres text knows no NUL and no lone surrogate; a body that has one
// (nobody's name does) is stored with the replacement character in its place rather than refused for ever.
func storableJSON(body []byte) string {
	if utf8.Valid(body) && !bytes.Contains(body, []byte(`\u0000`)) && !hasSurrogate(body) && !hugeNumber.Match(body) {
		return string(body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return jsonText(map[string]string{"unreadable": strings.ToValidUTF8(string(body), "\uFFFD")}, "{}")
	}
	return jsonText(withoutNUL(v), "{}") // decoding has replaced lone surrogates and invalid UTF-8
}

func withoutNUL(v any) any {
	switch v := v.(type) {
	case json.Number:
		if hugeNumber.MatchString(v.String()) {
			return v.String()
		}
	case string:
		return strings.ReplaceAll(v, "\x00", "\uFFFD")
	case []any:
		for i := range v {
			v[i] = withoutNUL(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[strings.ReplaceAll(k, "\x00", "\uFFFD")] = withoutNUL(v[k])
		}
		return out
	}
	return v
}

// hugeNumber is what Postgres's numeric may not hold; as text it keeps every digit.
var hugeNumber = regexp.MustCompile(`[0-9][eE][+-]?[0-9]{4,}|[0-9]{1000,}`)

func hasSurrogate(body []byte) bool {
	return bytes.Contains(body, []byte(`\ud`)) || bytes.Contains(body, []byte(`\uD`))
}

// waitingAtOnce bounds how many events of one remote customer are processed in one transaction; the rest follows in
// the next.
const waitingAtOnce = 100

type eventRow struct {
	ID       string    `db:"id"`
	EventID  string    `db:"event_id"`
	Type     string    `db:"type"`
	ObjectID string    `db:"object_id"`
	Created  time.Time `db:"created"`
	Payload  []byte    `db:"payload"`
	State    string    `db:"state"`
}

// Waiting reads the events of one remote customer that nobody has processed yet, in the order they happened as far as
// whole seconds tell.
func (s *Store) Waiting(ctx context.Context, provider, remoteID string) ([]tandem.LedgerRow, error) {
	var rows []eventRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT id, event_id, type, object_id, created, payload, state
		FROM provider_events
		WHERE provider_type = $1 AND object_id = $2 AND state = 'received'
		ORDER BY created, received_at, id
		LIMIT $3`, provider, remoteID, waitingAtOnce)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, func(r eventRow) (tandem.LedgerRow, error) {
		return tandem.LedgerRow{
			ID: r.ID, Provider: provider, EventID: r.EventID, Type: r.Type, ObjectID: r.ObjectID,
			Created: r.Created.UTC(), Payload: r.Payload, State: tandem.EventState(r.State),
		}, nil
	})
}

// EndEvents gives rows that no remote state could be applied for their end.
func (s *Store) EndEvents(ctx context.Context, rows []string, state tandem.EventState, reason string) error {
	_, err := s.db.ExecContext(ctx, `
		UPDATE provider_events SET state = $2, reason = $3, processed_at = now()
		WHERE id = ANY($1) AND state = 'received'`, pq.Array(rows), string(state), reason)
	return translate(err)
}

// Unfinished names the customer of this remote customer if its mapping has something left to do. It looks at how
// things are rather than at what was just done, so that a crash in between does not swallow the answer.
func (s *Store) Unfinished(ctx context.Context, provider, remoteID string) ([]string, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `
		SELECT entity_id FROM entity_integration_mappings
		WHERE provider_type = $1 AND entity_type = 'customer' AND provider_entity_id = $2
		  AND archived_at IS NULL AND state = 'pending'`, provider, remoteID)
	return ids, translate(err)
}

// Mapped returns those remote customers that a mapping names, live or ended.
func (s *Store) Mapped(ctx context.Context, provider string, remoteIDs []string) ([]string, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `
		SELECT DISTINCT provider_entity_id FROM entity_integration_mappings
		WHERE provider_type = $1 AND entity_type = 'customer' AND provider_entity_id = ANY($2)`, provider, pq.Array(remoteIDs))
	return ids, translate(err)
}

// Backlog is how many events wait to be processed and how long the oldest has.
func (s *Store) Backlog(ctx context.Context) (events int, oldest time.Duration, err error) {
	var row struct {
		Events int     `db:"events"`
		Oldest float64 `db:"oldest"`
	}
	err = s.db.GetContext(ctx, &row, `
		SELECT count(*) AS events, COALESCE(extract(epoch FROM now() - min(received_at)), 0) AS oldest
		FROM provider_events WHERE state = 'received'`)
	return row.Events, time.Duration(row.Oldest * float64(time.Second)), translate(err)
}
