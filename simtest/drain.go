package simtest

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem"
)

// batch is what a drain has read of several remote customers. Until it is applied, others may take in the same events.
type batch struct {
	remotes []string
	limit   int
	states  []tandem.RemoteState
	taken   int // what had been taken in by then
}

// drain is activities.DrainEvents: it reads what waits of everybody, or of some, and applies that some time later.
func (w *world) drain(s step) {
	if len(w.batches) > 0 && s.Which%2 == 1 {
		w.applyBatch(s.fault())
		return
	}
	b := batch{remotes: slices.Clone(w.remote.order), limit: 100}
	if s.Which >= 4 { // more waits than one transaction takes
		b.limit = 2
	} else {
		w.sweep = false
	}
	w.readBatch(b)
}

func (w *world) readBatch(b batch) {
	states, ok := w.waiting(b.remotes, b.limit)
	switch {
	case !ok:
		w.sweep = true
	case len(states) > 0:
		b.states, b.taken = states, w.taken
		w.batches = append(w.batches, b)
		w.tell("drain: reads %d", len(states))
	}
}

// applyBatch takes the oldest batch in, all in one transaction. An activity that is not heard of begins anew.
func (w *world) applyBatch(fault Fault) {
	b := w.batches[0]
	w.batches = w.batches[1:]
	if b.taken != w.taken {
		w.remote.quiet = false // an event that is taken in twice may be in doubt like anybody's change
	}
	w.taken++
	var outcomes []tandem.Outcome
	if !w.armed(fault, "apply batch", func(ctx context.Context) (err error) {
		outcomes, err = w.store.ApplyRemote(ctx, b.states, w.work(tandem.ByWebhook, ""))
		return err
	}) || !w.poke(b.remotes...) {
		w.readBatch(b)
		return
	}
	for n, o := range outcomes {
		w.tell("drain: %s %s %s: %s %s, fetch %t", b.states[n].EventID, b.states[n].EventType, show(b.states[n].Fields), o.State, o.Reason, o.Fetch)
		if o.Fetch {
			w.leaveTo(w.inboundOf(o.RemoteID))
		}
	}
}

// leaveTo starts an inbound. One that is open is left in peace, and the next drain looks whether it has helped.
func (w *world) leaveTo(i *inbound) {
	if i.busy || i.due || i.phase != idle {
		w.sweep = true
		return
	}
	i.due = true
}
