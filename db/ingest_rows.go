package db

import (
	"context"
	"strconv"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// group is what one transaction takes into the ledger.
type group struct {
	provider string
	entries  map[eventName]*entry
	fresh    []*entry        // in the order they came
	known    []*entry        // have a row already
	behind   map[string]bool // remote customers of which an event waits: what follows has to wait too
}

// eventName is what tells events of one provider apart.
type eventName struct{ id, kind string }

// entry is one event and all its deliveries in this transaction.
type entry struct {
	event      tandem.Event
	state      *tandem.RemoteState // what it says about a remote customer
	deliveries []*delivery
	row        string          // its row's id
	decision   tandem.Decision // what a new row says
	applied    bool            // by this transaction
}

// waits is what becomes of a row unless something better is decided.
var waits = tandem.Decision{State: tandem.EventReceived}

func newGroup(ds []*delivery) *group {
	g := &group{provider: ds[0].provider, entries: make(map[eventName]*entry, len(ds)), behind: map[string]bool{}}
	for _, d := range ds {
		name := eventName{d.event.ID, d.event.Type}
		e := g.entries[name]
		if e == nil {
			e = &entry{event: d.event, decision: waits}
			if d.event.State != nil {
				state := *d.event.State
				state.Provider, e.state = d.provider, &state
			}
			g.entries[name] = e
			g.fresh = append(g.fresh, e)
		}
		e.deliveries = append(e.deliveries, d)
	}
	return g
}

// look finds the events that have a row, and, if it matters, the remote customers of which an event waits. An event that
// comes in at this very moment is not seen: insert meets it.
func (g *group) look(ctx context.Context, tx *sqlx.Tx, waiting bool) error {
	var events, remotes []string
	for _, e := range g.fresh {
		events = append(events, e.event.ID)
		if waiting && e.state != nil {
			remotes = append(remotes, e.state.RemoteID)
		}
	}
	var rows []eventRow
	err := tx.SelectContext(ctx, &rows, `
		SELECT id, event_id, type, '' AS object_id FROM provider_events WHERE provider_type = $1 AND event_id = ANY($2)
		UNION ALL
		SELECT '', '', '', w.object_id FROM unnest($3::text[]) AS r (id)
		CROSS JOIN LATERAL (
		  SELECT object_id FROM provider_events
		  WHERE provider_type = $1 AND object_id = r.id AND state = 'received'
		  LIMIT 1) w`, g.provider, pq.Array(events), pq.Array(remotes))
	if err != nil {
		return translate(err)
	}
	for _, row := range rows {
		if row.ObjectID != "" {
			g.behind[row.ObjectID] = true
		} else if e := g.entries[eventName{row.EventID, row.Type}]; e != nil { // else one of another type has the same id
			e.row = row.ID
		}
	}
	all := g.fresh
	g.fresh = nil
	for _, e := range all {
		if e.row != "" {
			g.known = append(g.known, e)
		} else {
			e.row = newID("pev")
			g.fresh = append(g.fresh, e)
		}
	}
	return nil
}

// count adds deliveries to the rows that are there, whose state decides what is left to do.
func (g *group) count(ctx context.Context, tx *sqlx.Tx) error {
	if len(g.known) == 0 {
		return nil
	}
	cols := newColumns(2)
	for _, e := range g.known {
		cols.add(e.row, strconv.Itoa(len(e.deliveries)))
	}
	var rows []eventRow
	err := tx.SelectContext(ctx, &rows, `
		WITH held AS (SELECT id FROM provider_events WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE) -- in one order
		UPDATE provider_events e SET deliveries = e.deliveries + u.deliveries::integer
		FROM held JOIN unnest($1::text[], $2::text[]) AS u (id, deliveries) ON u.id = held.id
		WHERE e.id = held.id
		RETURNING e.id, e.event_id, e.type, e.state`, cols.args()...)
	if err != nil {
		return translate(err)
	}
	if len(rows) != len(g.known) {
		return &tandem.Error{Class: tandem.Transient, Code: codeRace, Message: "an event was removed at the same time"}
	}
	g.answer(rows)
	return nil
}

// insert writes the rows of new events. One that somebody else has written since the look is counted on that row; if it
// was applied here, that was without knowing what had become of it there, and all starts over.
func (g *group) insert(ctx context.Context, tx *sqlx.Tx) error {
	if len(g.fresh) == 0 {
		return nil
	}
	cols := newColumns(12)
	for _, e := range g.fresh {
		cols.add(e.row, e.event.ID, e.event.Type, e.event.ObjectID, timeText(e.event.Created), e.event.APIVersion,
			strconv.FormatBool(e.event.Livemode), e.event.Key, storableJSON(e.event.Payload), string(e.decision.State), e.decision.Reason,
			strconv.Itoa(len(e.deliveries)))
	}
	var rows []eventRow
	err := tx.SelectContext(ctx, &rows, insertEvents, append(cols.args(), g.provider)...)
	if err != nil {
		return translate(err)
	}
	for _, row := range rows {
		if e := g.entries[eventName{row.EventID, row.Type}]; e.applied && e.row != row.ID {
			return &tandem.Error{Class: tandem.Transient, Code: codeRace, Message: "the event was stored at the same time"}
		}
	}
	g.answer(rows)
	return nil
}

const insertEvents = `
	INSERT INTO provider_events AS e (id, provider_type, event_id, type, object_id, created, api_version, livemode,
	                                  request_idempotency_key, payload, state, reason, deliveries, processed_at)
	SELECT u.id, $13, u.event_id, u.type, u.object_id, u.created::timestamptz, u.api_version, u.livemode::boolean, u.key,
	       u.payload::jsonb, u.state, u.reason, u.deliveries::integer, CASE WHEN u.state <> 'received' THEN now() END
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
	            $10::text[], $11::text[], $12::text[])
	     AS u (id, event_id, type, object_id, created, api_version, livemode, key, payload, state, reason, deliveries)
	ORDER BY u.event_id, u.type -- two transactions at once must lock in one order
	ON CONFLICT (event_id, provider_type, type) DO UPDATE SET deliveries = e.deliveries + excluded.deliveries
	RETURNING e.id, e.event_id, e.type, e.state`

func (g *group) answer(rows []eventRow) {
	for _, row := range rows {
		state := tandem.EventState(row.State)
		for _, d := range g.entries[eventName{row.EventID, row.Type}].deliveries {
			d.out = tandem.Ingested{Row: row.ID, State: state, Open: state == tandem.EventReceived}
		}
	}
}
