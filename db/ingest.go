package db

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// reasonNotCustomer marks events about something else: kept, because the provider counts on our having them, and done.
const reasonNotCustomer = "not_a_customer"

// Ingest writes the ledger row of a verified event, or counts a delivery more of one it has. When it returns, the
// event is not lost any more. An event that changes nothing is finished at once, by the same rules and without a
// workflow; Open says that somebody has to process the row.
//
// Calls that come at the same time share a transaction: a commit waits for the disk, and one wait serves them all.
func (s *Store) Ingest(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	d := &delivery{ctx: ctx, provider: provider, event: e, done: make(chan struct{})}
	s.deliveries.add(d)
	select {
	case <-d.done:
		return d.out, d.err
	case <-ctx.Done(): // it may be written all the same; the next delivery is counted on that row
		return tandem.Ingested{}, translate(ctx.Err())
	}
}

// delivery is one call of Ingest on its way through a shared transaction.
type delivery struct {
	ctx      context.Context // of the caller: one that has gone needs no answer
	provider string
	event    tandem.Event
	decision tandem.Decision

	out  tandem.Ingested
	err  error
	done chan struct{} // closed when out and err are set
}

// ingest writes deliveries of one provider in one transaction.
func (s *Store) ingest(ctx context.Context, ds []*delivery) error {
	return s.inRace(ctx, func(tx *sqlx.Tx) error {
		if err := s.triage(ctx, tx, ds); err != nil {
			return err
		}
		if err := advance(ctx, tx, ds); err != nil {
			return err
		}
		return insertEvents(ctx, tx, ds)
	})
}

// triage decides on what can be seen without locks: most deliveries are echoes and repetitions that change nothing, and
// what changes nothing needs no workflow. Whatever has to be written waits for one, a conflict too: it wants a journal row.
func (s *Store) triage(ctx context.Context, tx *sqlx.Tx, ds []*delivery) error {
	var states []tandem.RemoteState
	for _, d := range ds {
		if d.event.State != nil {
			state := *d.event.State
			state.Provider = d.provider
			states = append(states, state)
		}
	}
	w := &world{}
	if len(states) > 0 {
		var err error
		if w, err = s.load(ctx, tx, states, false); err != nil {
			return err
		}
	}
	for _, d := range ds {
		d.decision = tandem.Decision{State: tandem.EventIgnored, Reason: reasonNotCustomer}
		if d.event.State == nil {
			continue
		}
		d.decision, states = tandem.Decide(states[0], w.view(states[0]), s.policy), states[1:]
		if d.decision.Act != tandem.ActNone && d.decision.Act != tandem.ActAdvance || d.decision.State == tandem.EventConflict {
			d.wait()
		}
	}
	return nil
}

func (d *delivery) wait() { d.decision = tandem.Decision{State: tandem.EventReceived} }

// advance remembers that bases were still true at the time of these events. The mapping's version guards it: had
// anything been recorded since the look, the row would not match, and the event waits for a closer one.
func advance(ctx context.Context, tx *sqlx.Tx, ds []*delivery) error {
	newest := map[string]*tandem.Mapping{}
	var ids []string
	for _, d := range ds {
		if d.decision.Act != tandem.ActAdvance {
			continue
		}
		m := *d.decision.Mapping
		if known := newest[m.ID]; known == nil {
			ids = append(ids, m.ID)
			newest[m.ID] = &m
		} else { // two looks at one base
			known.AsOfFrom, known.AsOf = latestOf(known.AsOfFrom, m.AsOfFrom), latestOf(known.AsOf, m.AsOf)
		}
	}
	slices.Sort(ids) // two transactions at once must lock in one order
	cols := newColumns(4)
	for _, id := range ids {
		m := newest[id]
		cols.add(id, jsonText(m.Version, ""), timeText(m.AsOfFrom), timeText(m.AsOf))
	}
	var done []string
	if cols.rows > 0 {
		err := tx.SelectContext(ctx, &done, `
			UPDATE entity_integration_mappings m
			SET as_of_from = u.as_of_from::timestamptz, as_of = u.as_of::timestamptz, version = m.version + 1, updated_at = now()
			FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (id, version, as_of_from, as_of)
			WHERE m.id = u.id AND m.version = u.version::bigint AND m.archived_at IS NULL AND m.as_of <= u.as_of::timestamptz
			RETURNING m.id`, cols.args()...)
		if err != nil {
			return translate(err)
		}
	}
	for _, d := range ds {
		if d.decision.Act == tandem.ActAdvance && !slices.Contains(done, d.decision.Mapping.ID) {
			d.wait()
		}
	}
	return nil
}

// insertEvents writes the rows. The second delivery of an event is counted on the row of the first, whose state decides
// what is left to do; two in one transaction are one row, since a statement may touch a row once only.
func insertEvents(ctx context.Context, tx *sqlx.Tx, ds []*delivery) error {
	type name struct{ event, kind string }
	groups := map[name][]*delivery{}
	var names []name
	for _, d := range ds {
		n := name{d.event.ID, d.event.Type}
		if groups[n] == nil {
			names = append(names, n)
		}
		groups[n] = append(groups[n], d)
	}
	slices.SortFunc(names, func(a, b name) int { return cmp.Or(cmp.Compare(a.event, b.event), cmp.Compare(a.kind, b.kind)) })
	cols := newColumns(12)
	for _, n := range names {
		d, e := groups[n][0], groups[n][0].event
		cols.add(newID("pev"), e.ID, e.Type, e.ObjectID, timeText(e.Created), e.APIVersion, jsonText(e.Livemode, ""), e.Key,
			storableJSON(e.Payload), string(d.decision.State), d.decision.Reason, jsonText(len(groups[n]), ""))
	}
	var rows []eventRow
	err := tx.SelectContext(ctx, &rows, insertDeliveries, append(cols.args(), ds[0].provider)...)
	if err != nil {
		return translate(err)
	}
	for _, row := range rows {
		state := tandem.EventState(row.State)
		for _, d := range groups[name{row.EventID, row.Type}] {
			d.out = tandem.Ingested{Row: row.ID, State: state, Open: state == tandem.EventReceived}
		}
	}
	return nil
}

const insertDeliveries = `
	INSERT INTO provider_events AS e (id, provider_type, event_id, type, object_id, created, api_version, livemode,
	                                  request_idempotency_key, payload, state, reason, deliveries, processed_at)
	SELECT u.id, $13, u.event_id, u.type, u.object_id, u.created::timestamptz, u.api_version, u.livemode::boolean, u.key,
	       u.payload::jsonb, u.state, u.reason, u.deliveries::integer, CASE WHEN u.state <> 'received' THEN now() END
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
	            $10::text[], $11::text[], $12::text[])
	     AS u (id, event_id, type, object_id, created, api_version, livemode, key, payload, state, reason, deliveries)
	ORDER BY u.event_id, u.type -- two transactions at once must lock in one order
	ON CONFLICT (provider_type, event_id, type) DO UPDATE SET deliveries = e.deliveries + excluded.deliveries
	RETURNING e.id, e.event_id, e.type, e.state`

func latestOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
