package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// What limits the handing over of events. See docs/architecture.md, "When webhooks come faster than workflows".
const (
	startsAtOnce = 32                     // Inbound workflows being started, per process
	startsToTry  = 8                      // the same while it is not known whether there is room again
	startTimeout = 5 * time.Second        // the SDK gives one attempt half of it
	overflowing  = 5 * time.Second        // how long everything goes to the drain after something had to, the first time
	overflowMost = time.Minute            // and when that goes on happening
	drainPause   = 250 * time.Millisecond // between two signals to the drain
	drainBackoff = 5 * time.Second        // the longest pause while Temporal does not take them
)

// handover passes events on after the provider has its 200. What it is given is in the ledger, so nothing here can lose
// an event, only delay it: whatever this process cannot pass on, the scheduled drain finds.
//
// An event normally gets the Inbound workflow of its remote customer. When too many are being started, or Temporal refuses, it
// is left to the provider's drain, and so is everything else for the next seconds: starting workflows one by one is what
// a busy Temporal has to be spared. For that time, the store is asked to apply events as it takes them in.
type handover struct {
	starter tandem.Starter
	log     *slog.Logger
	count   func(provider, way string)
	ctx     context.Context // ends when the process stops
	stop    context.CancelFunc
	all     sync.WaitGroup

	mu       sync.Mutex
	starting int
	drains   map[string]*overflow
}

// overflow is what is known about the drain of one provider.
type overflow struct {
	until time.Time // everything goes to the drain
	lasts time.Duration
	asked bool // something was stored that no signal has told of yet
	runs  bool // somebody is signalling
}

const (
	wayWorkflow = "workflow"
	wayDrain    = "drain"
)

func newHandover(s tandem.Starter, log *slog.Logger, count func(provider, way string)) *handover {
	h := &handover{starter: s, log: log, count: count, drains: map[string]*overflow{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// close gives up on what is under way and returns when nothing runs any more.
func (h *handover) close() {
	h.stop()
	h.all.Wait()
}

// pass never waits.
func (h *handover) pass(provider, remoteID, row string) {
	if h.draining(provider) {
		h.count(provider, wayDrain)
		h.drain(provider, false)
		return
	}
	if !h.begin(provider) {
		h.count(provider, wayDrain)
		h.drain(provider, true)
		return
	}
	h.count(provider, wayWorkflow)
	h.all.Go(func() {
		defer h.end()
		h.start(provider, remoteID, row)
	})
}

// begin takes room for one start, if there is any.
func (h *handover) begin(provider string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	room := startsAtOnce
	if o := h.drains[provider]; o != nil && time.Since(o.until) <= o.lasts {
		room = startsToTry
	}
	if h.starting >= room {
		return false
	}
	h.starting++
	return true
}

func (h *handover) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting--
}

func (h *handover) start(provider, remoteID, row string) {
	ctx, cancel := context.WithTimeout(h.ctx, startTimeout)
	defer cancel()
	if _, err := h.starter.Inbound(ctx, provider, remoteID, []string{row}); err != nil {
		h.log.LogAttrs(ctx, slog.LevelWarn, "inbound.not_started", slog.String("provider", provider), slog.String("remote_id", remoteID),
			slog.Any("error", err))
		h.drain(provider, true)
	}
	chaos.Point("wh.after_start")
}

func (h *handover) draining(provider string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.drains[provider]
	return o != nil && time.Now().Before(o.until)
}

// drain has the drain signalled: by a signal that leaves after this moment, and thus after the event was stored. When
// that is because workflows cannot keep up, everything else goes there too for a while.
func (h *handover) drain(provider string, overflows bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.drains[provider]
	if o == nil {
		o = &overflow{}
		h.drains[provider] = o
	}
	o.asked = true
	if overflows {
		o.extend(time.Now())
	}
	if !o.runs && h.ctx.Err() == nil {
		o.runs = true
		h.all.Go(func() { h.signal(provider, o) })
	}
}

// signal tells the drain for as long as something asks for it. Its end is nothing asked, or the process's.
func (h *handover) signal(provider string, o *overflow) {
	for h.take(o) {
		ctx, cancel := context.WithTimeout(h.ctx, startTimeout)
		err := h.starter.Drain(ctx, provider)
		cancel()
		pause := drainPause
		if err != nil {
			h.log.LogAttrs(h.ctx, slog.LevelError, "drain.not_started", slog.String("provider", provider), slog.Any("error", err))
			h.again(o)
			pause = drainBackoff
		}
		select {
		case <-h.ctx.Done():
		case <-time.After(pause):
		}
	}
}

// take reports whether a signal is due, and that it is on its way now.
func (h *handover) take(o *overflow) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.runs = o.asked && h.ctx.Err() == nil
	o.asked = false
	return o.runs
}

// again: the signal did not arrive.
func (h *handover) again(o *overflow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.asked = true
	o.extend(time.Now())
}

// extend has everything go to the drain from now on. To find out whether that is still needed costs workflows that a busy
// Temporal has no room for, so it is tried with few, and each time that it turns out to be needed, the next try comes
// twice as late.
func (o *overflow) extend(now time.Time) {
	switch calm := now.Sub(o.until); {
	case calm > o.lasts: // the first time is one of these
		o.lasts = overflowing
	case calm > 0:
		o.lasts = min(2*o.lasts, overflowMost)
	}
	o.until = now.Add(o.lasts)
}
