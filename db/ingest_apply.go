package db

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// settle does what a drain would do with these events later: it holds the remote customers and the customers, decides,
// and writes what was decided, but with the rows' ends in place of their beginnings. An event that it cannot settle
// waits, as it would have: one whose order only the provider knows, one that leaves something to do there, because only
// a workflow does that and the commit must not be the last anybody hears of it, a conflict, and whatever comes after an
// event of the same remote customer that waits.
func (s *Store) settle(ctx context.Context, tx *sqlx.Tx, g *group) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL lock_timeout = '`+settlePatience+`'`); err != nil {
		return translate(err)
	}
	w, err := s.worldOf(ctx, tx, g, true)
	if err != nil {
		return err
	}
	// In the order the ledger would have them, which is that of their ids where they happened in the same second.
	ordered := slices.Clone(g.fresh)
	slices.SortStableFunc(ordered, func(a, b *entry) int { return a.event.Created.Compare(b.event.Created) })
	b := newBatch()
	for _, e := range ordered {
		if e.state == nil {
			e.decision = tandem.Decision{State: tandem.EventIgnored, Reason: reasonNotCustomer}
			continue
		}
		d := tandem.Decide(*e.state, w.view(*e.state), s.policy)
		switch {
		case changesNothing(d):
			e.decision = d
		case g.behind[e.state.RemoteID] || !settles(d):
			g.behind[e.state.RemoteID] = true
		case d.Act == tandem.ActAdvance && b.mappings[d.Mapping.ID] == nil:
			e.decision = d
			w.putMapping(d.Mapping)
		default:
			w.take(b, *e.state, &d, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook}})
			e.decision, e.applied = d, true
		}
	}
	if err := b.flush(ctx, tx); err != nil {
		return err
	}
	return g.advance(ctx, tx, b.mappings)
}

// settlePatience is how long one lock is waited for. Others hold these for the length of a transaction; who holds one
// longer must not hold up the answers to a provider, so the events are stored without being applied then.
const settlePatience = "250ms"

// settles reports whether nothing is left to do about a remote state once this is written.
func settles(d tandem.Decision) bool {
	switch {
	case d.Act == tandem.ActAdvance:
		return true
	case d.Act == tandem.ActFetch || d.Poke || d.State == tandem.EventConflict:
		return false
	}
	return d.Mapping == nil || d.Mapping.State == tandem.Synced || d.Mapping.State == tandem.Ended
}
