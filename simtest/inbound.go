package simtest

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem"
)

// inbound is workflows.Inbound of one remote customer.
type inbound struct {
	remote string
	due    bool
	busy   bool
	phase  phase
	begun  time.Time
	after  int64
	rows   []string // of the ledger, that the fetch settles
	seen   answer
	state  tandem.RemoteState
}

func (w *world) stepInbound(i *inbound, s step) {
	i.busy = true
	defer func() { i.busy = false }()
	switch i.phase {
	case idle:
		i.due = false
		if !w.applyEvents(i, s) {
			i.due = true
		}
	case fetching:
		i.seen, i.phase = w.remote.look(i.remote), looked
		w.tell("inbound: fetch sees %s", show(i.seen.fields))
	case looked:
		i.state = w.remote.answer(i.seen, tandem.FromFetch, i.begun)
		i.state.After, i.state.EventRows = i.after, i.rows
		i.phase = heard
	case heard:
		w.applyFetched(i, s)
	}
}

// applyEvents is the activity of that name.
func (w *world) applyEvents(i *inbound, s step) bool {
	w.taken++
	states, ok := w.waiting([]string{i.remote}, 100)
	if !ok {
		return false
	}
	var outcomes []tandem.Outcome
	if len(states) > 0 {
		ok = w.armed(s.fault(), "apply events", func(ctx context.Context) (err error) {
			outcomes, err = w.store.ApplyRemote(ctx, states, w.work(tandem.ByWebhook, states[len(states)-1].EventID))
			return err
		})
	}
	if !ok {
		return false
	}
	doubt, applied, rows, after := false, false, []string(nil), int64(0)
	for n, o := range outcomes {
		w.tell("inbound: %s %s %s: %s %s, fetch %t", states[n].EventID, states[n].EventType, show(states[n].Fields), o.State, o.Reason, o.Fetch)
		applied = applied || o.State == tandem.EventApplied
		if o.Fetch {
			doubt, rows, after = true, append(rows, states[n].EventRows...), o.MappingVersion
		}
	}
	if !w.poke(i.remote) {
		return false
	}
	switch {
	case doubt && applied:
		i.due = true // decided anew before anybody is asked
	case doubt:
		w.fetches++
		i.fetch(w.remote.now, after, rows)
	}
	return true
}

func (i *inbound) fetch(now time.Time, after int64, rows []string) {
	i.phase, i.begun, i.after, i.rows = fetching, now, after, rows
}

// waiting reads the payloads of the rows that wait, as the provider's adapter would.
func (w *world) waiting(remotes []string, limit int) ([]tandem.RemoteState, bool) {
	var rows []tandem.LedgerRow
	ok := w.act("waiting", func(ctx context.Context) (err error) {
		rows, err = w.store.Waiting(ctx, ProviderName, remotes, limit)
		return err
	})
	var states []tandem.RemoteState
	for _, row := range rows {
		for _, e := range w.remote.events {
			if e.state.EventID == row.EventID {
				state := e.state
				state.EventRows = []string{row.ID}
				states = append(states, state)
			}
		}
	}
	return states, ok
}

// applyFetched is the activity of that name. Without an answer it is done again.
func (w *world) applyFetched(i *inbound, s step) {
	w.taken++
	outcomes, ok := w.applied(i.state, s.fault())
	if !ok || !w.poke(i.remote) {
		return
	}
	o := outcomes[0]
	w.tell("inbound: applies fetched %s: %s %s, fetch %t", show(i.state.Fields), o.State, o.Reason, o.Fetch)
	if !o.Fetch {
		i.phase = idle
		return
	}
	w.fetches++
	i.fetch(w.remote.now, o.MappingVersion, i.state.EventRows)
}

// poke wakes the customers' lanes if something is left to do for them.
func (w *world) poke(remotes ...string) bool {
	var ids []string
	ok := w.act("unfinished", func(ctx context.Context) (err error) {
		ids, err = w.store.Unfinished(ctx, ProviderName, remotes)
		return err
	})
	for _, id := range ids {
		w.laneOf(id).due = true
	}
	return ok
}

// mailing is what the times are like when an event is delivered.
type mailing struct {
	fault   Fault
	unwoken bool // nobody can be woken
	busy    bool // and nobody is to be: workflows cannot keep up
}

// deliver is one delivery of an event to the webhook handler.
func (w *world) deliver(e *event, m mailing) {
	e.sent++
	e.underWay++
	defer func() { e.underWay-- }()
	ingest := w.store.Ingest
	if m.busy {
		ingest = w.store.IngestAndApply
		w.taken++
	}
	var in tandem.Ingested
	ok := w.armed(m.fault, "ingest", func(ctx context.Context) (err error) {
		in, err = ingest(ctx, ProviderName, e.body())
		return err
	})
	if !ok {
		return // the provider sends it again
	}
	e.delivered++
	w.tell("webhook: %s %s %s at %s key %t busy %t: %s", e.state.EventID, e.state.EventType, show(e.state.Fields), sec(e.state.SeenTo), e.state.Key != "", m.busy, in.State)
	switch {
	case in.Open && (m.unwoken || m.busy):
		w.sweep = true // nobody was told; the drain finds it
	case in.Open:
		w.inboundOf(e.state.RemoteID).due = true
	}
}

// reconcile is a person, or the nightly job, looking once.
func (w *world) reconcile(id string) {
	i, after := w.inboundOf(id), int64(0)
	if m := w.rows().linked(id); m != nil {
		after = m.Version
		w.laneOf(m.CustomerID).due = true
	}
	i.fetch(w.remote.now, after, nil)
	w.tell("reconcile: fetches %s", id)
}
