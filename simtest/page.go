package simtest

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem"
)

// page is an import: it lists everybody at the provider and applies that some time later, all in one transaction.
func (w *world) page(s step) {
	if len(w.pages) > 0 && s.Which%2 == 1 {
		w.applyPage(s.fault())
		return
	}
	var page []tandem.RemoteState
	for _, id := range w.remote.order {
		if !w.remote.rows[id].deleted {
			page = append(page, w.remote.answer(w.remote.look(id), tandem.FromList, w.remote.now))
		}
	}
	if s.Which >= 3 {
		slices.Reverse(page)
	}
	if len(page) > 0 {
		w.remote.quiet = false // a page knows no keys: what it shows may be in doubt like anybody's change
		w.pages = append(w.pages, page)
		w.tell("import: lists %d", len(page))
	}
}

func (w *world) applyPage(fault Fault) {
	page := w.pages[0]
	w.pages = w.pages[1:]
	var outcomes []tandem.Outcome
	if !w.armed(fault, "apply page", func(ctx context.Context) (err error) {
		outcomes, err = w.store.ApplyRemote(ctx, page, w.work(tandem.ByImport, "run"))
		return err
	}) {
		w.pages = append(w.pages, page)
		return
	}
	for _, o := range outcomes {
		w.tell("import: %s %s %s, fetch %t", o.RemoteID, o.State, o.Reason, o.Fetch)
		if o.Poke && o.CustomerID != "" {
			w.laneOf(o.CustomerID).due = true
		}
		if i := w.inboundOf(o.RemoteID); o.Fetch && !i.busy && i.phase == idle {
			w.fetches++
			i.fetch(w.remote.now, o.MappingVersion, nil)
		}
	}
}
