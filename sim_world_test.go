package tandem_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandem-sync/tandem"
)

// simWorld is one customer's two sides, the two workflows between them, and the people who edit. A step is one act of
// one of them; between any two, everybody else may act.
type simWorld struct {
	remote   *simRemote
	store    *simStore
	lane     simLane
	inbound  map[string]*simInbound
	edits    map[string]map[string]string // field → side → the last value a person gave it there
	story    []string
	repeated int
	fetches  int // because an order was in doubt
}

func newSimWorld(policy tandem.Policy) *simWorld {
	remote := newSimRemote()
	return &simWorld{
		remote: remote, store: &simStore{policy: policy, remote: remote, tombstones: map[string]bool{}},
		inbound: map[string]*simInbound{}, edits: map[string]map[string]string{},
	}
}

func (w *simWorld) tell(format string, args ...any) {
	at := w.remote.now.Sub(simEpoch).Seconds()
	line := fmt.Sprintf("%7.3f  ", at) + fmt.Sprintf(format, args...)
	for _, m := range w.store.mappings {
		line += fmt.Sprintf("   [%s v%d as of %s..%s", m.State, m.Version, sec(m.AsOfFrom), sec(m.AsOf))
		if m.Base != nil {
			line += " base " + show(*m.Base)
		}
		if m.Claim != nil {
			line += " claim " + show(tandem.Fields{}.With(m.Claim.Body))
		}
		line += "]"
	}
	w.story = append(w.story, line)
}

func sec(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return fmt.Sprint(t.Sub(simEpoch).Seconds())
}

func show(f tandem.Fields) string {
	return fmt.Sprintf("(%s,%s,%s)", f.Name, f.Email, f.Metadata["k"])
}

func (w *simWorld) String() string { return "\n" + strings.Join(w.story, "\n") }

// simLane is workflows.lane together with the provider call's retries. Each field is what survives a crash.
type simLane struct {
	due    bool
	phase  simPhase
	call   tandem.Call
	begun  time.Time          // of the attempt or fetch under way
	answer simAnswer          // committed over there, not heard of yet
	state  tandem.RemoteState // heard, not recorded yet
	after  int64              // of the fetch under way
}

type simPhase string

const (
	simIdle     simPhase = ""
	simSent     simPhase = "sent"      // on its way to the provider
	simDone     simPhase = "committed" // done there, on its way back
	simHeard    simPhase = "heard"     // answered, to be recorded
	simFetching simPhase = "fetching"  // on its way there
	simLooked   simPhase = "looked"    // on its way back
)

func (l *simLane) active() bool { return l.due || l.phase != simIdle }

// stepLane takes the lane one act further. A fault loses a request, an answer, or the word that an act was done.
func (w *simWorld) stepLane(fault bool) {
	l := &w.lane
	switch l.phase {
	case simIdle:
		if !l.due || len(w.store.customers) == 0 {
			l.due = false
			return
		}
		l.due = false
		w.begin(w.store.plan(w.store.customers[0].ID))
	case simSent:
		if fault {
			l.begun = w.remote.now
			w.tell("lane: the request is lost, sent again")
			return
		}
		w.carryOut()
	case simDone:
		if fault {
			l.phase, l.begun = simSent, w.remote.now
			w.tell("lane: the answer is lost, the call is sent again")
			return
		}
		l.state = w.remote.answer(l.answer, tandem.FromResponse, l.begun)
		l.state.Key, l.state.After = l.call.Key, l.call.MappingVersion
		if l.answer.gone { // proveGone
			l.state = w.remote.answer(w.remote.look(l.call.RemoteID), tandem.FromFetch, l.begun)
			l.state.Key, l.state.After = l.call.Key, l.call.MappingVersion
		}
		l.phase = simHeard
		w.tell("lane: answered %s, replayed %t", show(l.state.Fields), l.state.Replayed)
	case simHeard:
		w.record(fault)
	case simFetching:
		l.answer, l.phase = w.remote.look(l.state.RemoteID), simLooked
		w.tell("lane: fetch sees %s", show(l.answer.fields))
	case simLooked:
		l.state = w.remote.answer(l.answer, tandem.FromFetch, l.begun)
		l.state.Key, l.state.After = l.call.Key, l.after
		l.phase = simHeard
		w.tell("lane: fetched %s", show(l.state.Fields))
	}
}

func (w *simWorld) begin(call tandem.Call) {
	l := &w.lane
	l.call, l.phase = call, simIdle
	if call.Action != tandem.ActNothing {
		l.phase, l.begun = simSent, w.remote.now
	}
	w.tell("lane: plans %q %s", call.Action, show(tandem.Fields{}.With(call.Body)))
}

func (w *simWorld) carryOut() {
	l := &w.lane
	if l.call.Action == tandem.ActCreate {
		l.answer = w.remote.create(l.call.Key, l.call.Body)
	} else {
		l.answer = w.remote.update(l.call.RemoteID, l.call.Key, l.call.Body)
	}
	l.phase = simDone
	w.tell("provider: %s makes it %s", l.call.Action, show(l.answer.fields))
}

// record is activities.RecordAnswer. With a fault it took effect and nobody heard: it is run again.
func (w *simWorld) record(fault bool) {
	l := &w.lane
	o := w.store.applyRemote(l.state)[0]
	w.tell("lane: records %s: %s %s, fetch %t", show(l.state.Fields), o.State, o.Reason, o.Fetch)
	if fault {
		return
	}
	if o.Fetch {
		w.fetches++
		l.phase, l.begun, l.after = simFetching, w.remote.now, o.MappingVersion
		return
	}
	next := w.store.plan(l.call.CustomerID)
	if next.Action != tandem.ActNothing && next.Key == l.call.Key {
		w.repeated++ // parked: the answer did not end its own claim
		w.lane = simLane{}
		w.tell("lane: parked, the answer does not fit the mapping (%s)", o.Reason)
		return
	}
	w.begin(next)
}

// simInbound is workflows.Inbound of one remote customer.
type simInbound struct {
	due   bool
	phase simPhase
	begun time.Time
	after int64
	rows  []string
	seen  simAnswer
	state tandem.RemoteState
}

func (i *simInbound) active() bool { return i.due || i.phase != simIdle }

func (w *simWorld) stepInbound(id string, fault bool) {
	i := w.inbound[id]
	switch i.phase {
	case simIdle:
		i.due = false
		states := w.store.waiting(id)
		outcomes := w.store.applyRemote(states...)
		i.rows = nil
		for n, o := range outcomes {
			w.tell("inbound: %s %s %s: %s %s, fetch %t", states[n].EventID, states[n].EventType, show(states[n].Fields), o.State, o.Reason, o.Fetch)
			if o.Fetch {
				i.rows, i.after = append(i.rows, states[n].EventRows...), o.MappingVersion
			}
		}
		w.afterInbound(i, fault, id)
	case simFetching:
		i.seen, i.phase = w.remote.look(id), simLooked
		w.tell("inbound: fetch sees %s", show(i.seen.fields))
	case simLooked:
		i.state = w.remote.answer(i.seen, tandem.FromFetch, i.begun)
		i.state.After, i.state.EventRows = i.after, i.rows
		i.phase = simHeard
	case simHeard:
		o := w.store.applyRemote(i.state)[0]
		w.tell("inbound: applies fetched %s: %s %s, fetch %t", show(i.state.Fields), o.State, o.Reason, o.Fetch)
		i.rows = nil
		if o.Fetch {
			i.rows, i.after = i.state.EventRows, o.MappingVersion
			if i.rows == nil {
				i.rows = []string{}
			}
		}
		w.afterInbound(i, fault, id)
	}
}

// afterInbound goes on to the fetch, the poke, or the end. With a fault the act is run again instead.
func (w *simWorld) afterInbound(i *simInbound, fault bool, id string) {
	switch {
	case fault && i.phase == simIdle:
		i.due = true
		return
	case fault:
		return
	case i.rows != nil:
		w.fetches++
		i.phase, i.begun = simFetching, w.remote.now
		return
	}
	i.phase = simIdle
	for _, m := range w.store.mappings {
		if m.RemoteID == id && m.State == tandem.Pending {
			w.lane.due = true
		}
	}
}

// deliver is one delivery of an event to the webhook handler.
func (w *simWorld) deliver(e *simEvent) {
	e.delivered++
	open, said := w.store.ingest(e.state)
	w.tell("webhook: %s %s %s at %s key %t: %s, open %t", e.state.EventID, e.state.EventType, show(e.state.Fields), sec(e.state.SeenTo), e.state.Key != "", said, open)
	if open {
		i := w.inbound[e.state.RemoteID]
		if i == nil {
			i = &simInbound{}
			w.inbound[e.state.RemoteID] = i
		}
		i.due = true
	}
}

// reconcile is a person, or the nightly job, looking once.
func (w *simWorld) reconcile(id string) {
	i := w.inbound[id]
	if i == nil {
		i = &simInbound{}
		w.inbound[id] = i
	}
	for _, m := range w.store.mappings {
		if m.RemoteID == id && m.State != tandem.Ended {
			i.after = m.Version
		}
	}
	i.phase, i.begun, i.rows = simFetching, w.remote.now, []string{}
	w.lane.due = true
	w.tell("reconcile: fetches %s", id)
}
