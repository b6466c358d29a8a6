package simtest

import (
	"cmp"
	"context"
	"time"

	"github.com/tandem-sync/tandem"
)

// lane is workflows.lane of one customer, together with the provider call's retries. Each field is what survives a
// crash.
type lane struct {
	customer string
	due      bool
	busy     bool // an act is under way
	phase    phase
	call     tandem.Call
	begun    time.Time          // of the attempt or fetch under way
	answer   answer             // committed over there, not heard of yet
	state    tandem.RemoteState // heard, not recorded yet
	after    int64              // of the fetch under way
	from     int                // the moment at which what this round knows began to be known
	seen     int                // the moment of the last look or call
	unheard  int                // seen of the first plan that nobody heard of: it may have frozen the call
}

type phase string

const (
	idle     phase = ""
	sent     phase = "sent"      // on its way to the provider
	done     phase = "committed" // done there, on its way back
	heard    phase = "heard"     // answered, to be recorded
	fetching phase = "fetching"  // on its way there
	looked   phase = "looked"    // on its way back
)

// stepLane takes the lane one act further. A fault loses a request, an answer, or the word that an act was done.
func (w *world) stepLane(l *lane, s step) {
	l.busy = true
	defer func() { l.busy = false }()
	w.moment++
	switch l.phase {
	case idle:
		w.plan(l, s.fault())
	case sent:
		if s.Fault {
			l.begun = w.remote.now
			w.tell("lane: the request is lost, sent again")
			return
		}
		w.carryOut(l)
	case done:
		w.hear(l, s.Fault)
	case heard:
		w.record(l, s)
	case fetching:
		l.answer, l.phase, l.seen = w.remote.look(l.state.RemoteID), looked, w.moment
		w.tell("lane: fetch sees %s", show(l.answer.fields))
	case looked:
		l.state = w.remote.answer(l.answer, tandem.FromFetch, l.begun)
		l.state.Key, l.state.After = l.call.Key, l.after
		l.phase = heard
		w.tell("lane: fetched %s", show(l.state.Fields))
	}
}

func (w *world) plan(l *lane, fault Fault) {
	l.due, l.from = false, w.moment
	if call, ok := w.planned(l, tandem.Ask{}, fault); ok {
		w.begin(l, call)
	} else {
		l.due = true
	}
}

func (w *world) planned(l *lane, ask tandem.Ask, fault Fault) (call tandem.Call, ok bool) {
	ok = w.armed(fault, "plan", func(ctx context.Context) (err error) {
		call, err = w.store.Plan(ctx, l.customer, ProviderName, ask)
		return err
	})
	return call, ok
}

func (w *world) begin(l *lane, call tandem.Call) {
	l.call, l.phase = call, idle
	switch call.Action {
	case tandem.ActNothing:
	case tandem.ActLook:
		l.phase, l.begun, l.after = fetching, w.remote.now, call.MappingVersion
		l.state.RemoteID = call.RemoteID
	default:
		l.phase, l.begun = sent, w.remote.now
	}
	w.tell("lane: plans %q %s", call.Action, showBody(call.Body))
}

func (w *world) carryOut(l *lane) {
	w.checkOverwritten(l)
	l.seen = w.moment
	switch l.call.Action {
	case tandem.ActCreate:
		l.answer = w.remote.create(l.call.Key, l.call.Body)
	case tandem.ActDelete:
		l.answer = w.remote.delete(l.call.RemoteID)
	default:
		l.answer = w.remote.update(l.call.RemoteID, l.call.Key, l.call.Body)
	}
	l.phase = done
	w.tell("provider: %s makes it %s", l.call.Action, show(l.answer.fields))
}

func (w *world) hear(l *lane, lost bool) {
	if lost {
		l.phase, l.begun = sent, w.remote.now
		w.tell("lane: the answer is lost, the call is sent again")
		return
	}
	l.state = w.remote.answer(l.answer, tandem.FromResponse, l.begun)
	if l.answer.gone { // proveGone
		l.state = w.remote.answer(w.remote.look(l.call.RemoteID), tandem.FromFetch, l.begun)
	}
	l.state.Key, l.state.After = l.call.Key, l.call.MappingVersion
	l.phase = heard
	w.tell("lane: answered %s, replayed %t", show(l.state.Fields), l.state.Replayed)
}

// record is activities.RecordAnswer: two transactions, either of which can be the one that nobody hears of, and then
// both are done again.
func (w *world) record(l *lane, s step) {
	first, second := s.fault(), NoFault
	if s.Which >= 4 {
		first, second = second, first
	}
	outcomes, ok := w.applied(l.state, first)
	if !ok {
		return
	}
	o := outcomes[0]
	w.tell("lane: records %s: %s %s, fetch %t", show(l.state.Fields), o.State, o.Reason, o.Fetch)
	if o.Fetch {
		w.fetches++
		l.phase, l.begun, l.after = fetching, w.remote.now, o.MappingVersion
		return
	}
	next, ok := w.planned(l, tandem.Ask{Looked: !l.state.Replayed}, second)
	switch {
	case !ok:
		l.unheard = cmp.Or(l.unheard, l.seen)
	case next.Action != tandem.ActNothing && next.Key == l.call.Key:
		w.fail("parked: the answer does not fit the mapping (%s)", o.Reason)
	default:
		l.from, l.unheard = cmp.Or(l.unheard, l.seen), 0
		w.begin(l, next)
	}
}

func (w *world) applied(state tandem.RemoteState, fault Fault) ([]tandem.Outcome, bool) {
	var out []tandem.Outcome
	ok := w.armed(fault, "apply", func(ctx context.Context) (err error) {
		out, err = w.store.ApplyRemote(ctx, []tandem.RemoteState{state}, w.work(tandem.ByWebhook, state.EventID))
		return err
	})
	return out, ok
}
