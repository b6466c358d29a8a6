package db

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// storableJSON is the body as jsonb can hold it. Postgres text knows no NUL and no lone surrogate; a body that has one
// (nobody's name does) is stored with the replacement character in its place rather than refused for ever.
func storableJSON(body []byte) string {
	if utf8.Valid(body) && !bytes.Contains(body, []byte(`\u0000`)) && !hasSurrogate(body) && !mayHoldHugeNumber(body) {
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

// mayHoldHugeNumber is hugeNumber for whole bodies, of which every webhook brings one: it may see a number in a text,
// never miss one, and costs a hundredth.
func mayHoldHugeNumber(body []byte) bool {
	digits := 0
	for i, b := range body {
		switch {
		case b >= '0' && b <= '9':
			if digits++; digits >= 1000 {
				return true
			}
			continue
		case (b == 'e' || b == 'E') && digits > 0 && hugeNumber.Match(body[i-1:min(len(body), i+6)]):
			return true
		}
		digits = 0
	}
	return false
}

func hasSurrogate(body []byte) bool {
	return bytes.Contains(body, []byte(`\ud`)) || bytes.Contains(body, []byte(`\uD`))
}

type eventRow struct {
	ID       string    `db:"id"`
	EventID  string    `db:"event_id"`
	Type     string    `db:"type"`
	ObjectID string    `db:"object_id"`
	Created  time.Time `db:"created"`
	Payload  []byte    `db:"payload"`
	State    string    `db:"state"`
}

// Waiting reads the events of these remote customers that nobody has processed yet, at most limit of them, in the order
// they happened as far as whole seconds tell.
func (s *Store) Waiting(ctx context.Context, provider string, remoteIDs []string, limit int) ([]tandem.LedgerRow, error) {
	var rows []eventRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT id, event_id, type, object_id, created, payload, state
		FROM provider_events
		WHERE provider_type = $1 AND object_id = ANY($2) AND state = 'received'
		ORDER BY created, received_at, id
		LIMIT $3`, provider, pq.Array(remoteIDs), limit)
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

// WaitingRemotes names the remote customers of the waiting rows that follow the row after, in the order they came in.
// At most limit rows are looked at; next is the last of them, empty when there were no more.
func (s *Store) WaitingRemotes(ctx context.Context, provider, after string, limit int) (remoteIDs []string, next string, err error) {
	var rows []eventRow
	err = s.db.SelectContext(ctx, &rows, `
		SELECT id, object_id FROM provider_events
		WHERE state = 'received' AND id > $2 AND provider_type = $1
		ORDER BY id
		LIMIT $3`, provider, after, limit)
	seen := make(map[string]bool, len(rows))
	for _, row := range rows {
		if !seen[row.ObjectID] {
			seen[row.ObjectID] = true
			remoteIDs = append(remoteIDs, row.ObjectID)
		}
	}
	if len(rows) == limit {
		next = rows[limit-1].ID
	}
	return remoteIDs, next, translate(err)
}

// EndEvents gives rows that no remote state could be applied for their end.
func (s *Store) EndEvents(ctx context.Context, rows []string, state tandem.EventState, reason string) error {
	_, err := s.db.ExecContext(ctx, `
		UPDATE provider_events e SET state = $2, reason = `+fmt.Sprintf(keepsEnd, "$3::text")+`, processed_at = now()
		WHERE id = ANY($1) AND state = 'received'`, pq.Array(rows), string(state), reason)
	return translate(err)
}

// Unfinished names the customers of these remote customers whose mapping has something left to do. It looks at how
// things are rather than at what was just done, so that a crash in between does not swallow the answer. A conflict is about
// some fields only: whether others are to be sent, its lane knows.
func (s *Store) Unfinished(ctx context.Context, provider string, remoteIDs []string) ([]string, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `
		SELECT m.entity_id FROM unnest($2::text[]) AS r (id)
		CROSS JOIN LATERAL (
		  SELECT entity_id, state FROM entity_integration_mappings
		  WHERE provider_type = $1 AND entity_type = 'customer' AND provider_entity_id = r.id AND archived_at IS NULL
		  LIMIT 1) m -- one look into an index each: see loadMappings
		WHERE m.state IN ('pending', 'conflict')
		ORDER BY m.entity_id`, provider, pq.Array(remoteIDs))
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
