package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

const (
	// rangesAtOnce bounds the pieces of a list that are walked beside each other.
	rangesAtOnce = 8
	// pagesAtOnce bounds what one transaction takes in, and with it what is fetched again after a crash.
	pagesAtOnce = 5
	// slowPage is when waiting for pages, not taking them in, is what takes the time: then the list is split.
	slowPage = 25 * time.Millisecond
	// splitsAtMost bounds the requests that find nothing behind a seam.
	splitsAtMost = 64
)

// oldestCustomer is before any provider had one; it is where an open range is taken to begin when it is halved.
var oldestCustomer = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

// walk is one slice of walking a provider's list: it fetches ahead while pages are taken in, and what is taken in moves
// the run in the same transaction.
type walk struct {
	a        *Activities
	provider tandem.Provider
	run      tandem.BulkRun
	work     tandem.Work

	ranges   []tandem.Range // as fetched; run.Ranges is as taken in
	flying   map[int]bool   // ranges whose next page is under way
	fetched  chan fetched
	taken    chan taken
	buffer   [][]tandem.WalkedPage // fetched and not taken in; what is together goes into one transaction
	applying bool
	err      error
}

type fetched struct {
	index int
	page  tandem.Page
	took  time.Duration
	err   error
}

type taken struct {
	run tandem.BulkRun
	err error
}

// list walks until the list has ended or until ends.
func (a *Activities) list(ctx context.Context, p tandem.Provider, run tandem.BulkRun, until <-chan time.Time) (tandem.BulkRun, error) {
	w := &walk{
		a: a, provider: p, run: run, work: work(ctx, run.Cause()), flying: map[int]bool{},
		fetched: make(chan fetched, rangesAtOnce), taken: make(chan taken, 1),
	}
	w.ranges = append(w.ranges, run.Ranges...)
	if len(w.ranges) == 0 {
		w.ranges = []tandem.Range{{}}
	}
	stop, stopping, over := false, activity.GetWorkerStopChannel(ctx), ctx.Done()
	for w.next(ctx, stop) {
		select {
		case f := <-w.fetched:
			w.land(f)
		case t := <-w.taken:
			w.applying = false
			if w.err = errors.Join(w.err, t.err); t.err == nil {
				w.run = t.run
			}
		case <-stopping:
			stop, stopping = true, nil
		case <-until:
			stop = true
		case <-over:
			w.err, over = errors.Join(w.err, ctx.Err()), nil
		}
	}
	if w.err == nil && w.ended() {
		w.run.Step, w.run.After = w.run.Next(tandem.StepList), ""
		return a.Store.MoveRun(ctx, w.run, nil)
	}
	return w.run, w.err
}

func (w *walk) ended() bool {
	for _, r := range w.run.Ranges {
		if !r.Done {
			return false
		}
	}
	return len(w.run.Ranges) > 0
}

// next begins whatever can be begun, and reports whether there is something to wait for.
func (w *walk) next(ctx context.Context, stop bool) bool {
	for i := range w.ranges {
		if !stop && w.err == nil && !w.ranges[i].Done && !w.flying[i] && len(w.flying) < rangesAtOnce && len(w.buffer) < pagesAtOnce {
			w.flying[i] = true
			go w.fetch(ctx, i, w.ranges[i])
		}
	}
	if !w.applying && len(w.buffer) > 0 && w.err == nil {
		var pages []tandem.WalkedPage
		n := min(len(w.buffer), pagesAtOnce)
		for _, together := range w.buffer[:n] {
			pages = append(pages, together...)
		}
		w.buffer, w.applying = w.buffer[n:], true
		go w.take(ctx, w.run, pages)
	}
	return w.applying || len(w.flying) > 0
}

func (w *walk) fetch(ctx context.Context, i int, r tandem.Range) {
	f := fetched{index: i}
	if f.err = w.a.pace(ctx, w.provider.Name()); f.err == nil {
		begun := time.Now()
		f.page, f.err = w.provider.List(ctx, tandem.ListQuery{CreatedFrom: r.From, CreatedTo: r.To, Cursor: r.Cursor, Limit: 100})
		f.took = time.Since(begun)
		w.a.Metrics.ProviderCall(w.provider.Name(), "list", classOf(f.err), f.took)
	}
	w.fetched <- f
}

// land notes a page. The remote customer behind which a list was to go on may have been deleted: then it goes on at the
// second that one was made in, and what is seen twice is equal the second time.
func (w *walk) land(f fetched) {
	delete(w.flying, f.index)
	r := w.ranges[f.index]
	switch {
	case tandem.CodeOf(f.err) == tandem.CodeCursorGone && r.Cursor != "":
		r.Cursor, r.To = "", r.Last.Add(time.Second)
		w.ranges[f.index] = r
		return
	case f.err != nil:
		w.err = errors.Join(w.err, f.err)
		return
	}
	r.Cursor, r.Done = f.page.Next, f.page.Next == ""
	if n := len(f.page.Items); n > 0 {
		r.Last = f.page.Items[n-1].Created
	}
	pages := []tandem.WalkedPage{{Index: f.index, Range: r, Items: f.page.Items, Asked: 1}}
	idle := !w.applying && len(w.buffer) == 0
	if idle && f.took > slowPage && len(w.flying)+1 < rangesAtOnce && len(w.ranges) < splitsAtMost {
		if newer, older, ok := r.Split(oldestCustomer); ok {
			pages[0].Range = newer
			pages = append(pages, tandem.WalkedPage{Index: len(w.ranges), Range: older})
			w.ranges = append(w.ranges, older)
		}
	}
	w.ranges[f.index] = pages[0].Range
	w.buffer = append(w.buffer, pages)
}

func (w *walk) take(ctx context.Context, run tandem.BulkRun, pages []tandem.WalkedPage) {
	chaos.Point("run.before_page")
	next, err := w.a.Store.ApplyPages(ctx, run, pages, w.work)
	chaos.Point("run.after_page")
	w.taken <- taken{next, err}
}

// pace waits for the next request's turn: a provider limits how often its list may be asked, apart from other calls.
func (a *Activities) pace(ctx context.Context, provider string) error {
	if a.Pace == nil {
		return nil
	}
	if err := a.Pace(ctx, provider); err != nil {
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "stopped while waiting for a turn", Err: err}
	}
	return nil
}
