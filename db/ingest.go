package db

import (
	"context"
	"slices"
	"strconv"

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
	return s.deliveries.deliver(&delivery{ctx: ctx, provider: provider, event: e})
}

// IngestAndApply is Ingest for times when workflows cannot keep up, or are away: the transaction that stores an event
// applies it as well, where the database alone can settle it, so that it is written once and read by nobody again.
func (s *Store) IngestAndApply(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	return s.deliveries.deliver(&delivery{ctx: ctx, provider: provider, event: e, apply: true})
}

// ingest writes deliveries, all of one provider and one kind, in one transaction.
func (s *Store) ingest(ctx context.Context, ds []*delivery) error {
	return s.inRace(ctx, func(tx *sqlx.Tx) error {
		g := newGroup(ds)
		if err := g.look(ctx, tx, ds[0].apply); err != nil {
			return err
		}
		decide := s.triage
		if ds[0].apply {
			decide = s.settle
		}
		if err := decide(ctx, tx, g); err != nil {
			return err
		}
		// Rows of the ledger come last, as everywhere: who holds one waits for nothing that comes before.
		if err := g.count(ctx, tx); err != nil {
			return err
		}
		return g.insert(ctx, tx)
	}, tandem.CodeExternalIDTaken)
}

// triage decides on what can be seen without locks: most deliveries are echoes and repetitions that change nothing, and
// what changes nothing needs no workflow. Whatever has to be written waits for one, a conflict too: it wants a journal row.
func (s *Store) triage(ctx context.Context, tx *sqlx.Tx, g *group) error {
	w, err := s.worldOf(ctx, tx, g, false)
	if err != nil {
		return err
	}
	for _, e := range g.fresh {
		if e.state == nil {
			e.decision = tandem.Decision{State: tandem.EventIgnored, Reason: reasonNotCustomer}
			continue
		}
		d := tandem.Decide(*e.state, w.view(*e.state), s.policy)
		if d.Act == tandem.ActAdvance || changesNothing(d) {
			e.decision = d
		}
	}
	return g.advance(ctx, tx, nil)
}

func changesNothing(d tandem.Decision) bool {
	return d.Act == tandem.ActNone && d.State != tandem.EventConflict
}

// worldOf loads what the group's new events can touch.
func (s *Store) worldOf(ctx context.Context, tx *sqlx.Tx, g *group, lock bool) (*world, error) {
	var states []tandem.RemoteState
	for _, e := range g.fresh {
		if e.state != nil {
			states = append(states, *e.state)
		}
	}
	if len(states) == 0 {
		return &world{}, nil
	}
	return s.load(ctx, tx, states, lock)
}

// advance remembers that bases were still true at the time of these events. The mapping's version guards it: had
// anything been recorded since the look, the row would not match, and the event waits for a closer one. A mapping that
// this transaction has written, for a later event, says it already.
func (g *group) advance(ctx context.Context, tx *sqlx.Tx, written map[string]*mappingWrite) error {
	newest := map[string]*tandem.Mapping{}
	var ids []string
	for _, e := range g.fresh {
		if e.decision.Act != tandem.ActAdvance || written[e.decision.Mapping.ID] != nil {
			continue
		}
		m := *e.decision.Mapping
		if known := newest[m.ID]; known == nil {
			ids = append(ids, m.ID)
			newest[m.ID] = &m
		} else { // two looks at one base
			known.Confirm(m.AsOfFrom, m.AsOf)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids) // two transactions at once must lock in one order
	cols := newColumns(4)
	for _, id := range ids {
		m := newest[id]
		cols.add(id, strconv.FormatInt(m.Version, 10), timeText(m.AsOfFrom), timeText(m.AsOf))
	}
	var done []string
	if err := tx.SelectContext(ctx, &done, advanceMappings, cols.args()...); err != nil {
		return translate(err)
	}
	for _, e := range g.fresh {
		if e.decision.Act == tandem.ActAdvance && written[e.decision.Mapping.ID] == nil && !slices.Contains(done, e.decision.Mapping.ID) {
			e.decision = waits
		}
	}
	return nil
}

const advanceMappings = `
	UPDATE entity_integration_mappings m
	SET as_of_from = u.as_of_from::timestamptz, as_of = u.as_of::timestamptz, version = m.version + 1, updated_at = now()
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (id, version, as_of_from, as_of)
	WHERE m.id = u.id AND m.version = u.version::bigint AND m.archived_at IS NULL AND m.as_of <= u.as_of::timestamptz
	RETURNING m.id`
