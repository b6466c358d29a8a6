package simtest

import (
	"time"

	"pgregory.net/rapid"
)

// step is one drawn act. Kinds repeat so that plain progress is more likely than mischief.
type step struct {
	Kind  string
	Which int
	Value string
	Field string
	Wait  int // milliseconds before it
	Fault bool
	Break Fault // of the transaction, when there is a fault
}

func (s step) fault() Fault {
	if s.Fault {
		return s.Break
	}
	return NoFault
}

func faults() *rapid.Generator[Fault] {
	return rapid.SampledFrom([]Fault{NoFault, NoFault, Undone, Unheard})
}

func steps(kinds []string) *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		return step{
			Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
			Which: rapid.IntRange(0, 5).Draw(t, "which"),
			Field: rapid.SampledFrom([]string{"name", "email", "k"}).Draw(t, "field"),
			Value: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "value"),
			Wait:  rapid.SampledFrom([]int{0, 10, 100, 300, 700, 1100, 2500}).Draw(t, "wait"),
			Fault: rapid.IntRange(0, 4).Draw(t, "fault") == 4,
			Break: faults().Draw(t, "break"),
		}
	})
}

func (w *world) step(s step) {
	w.remote.now = w.remote.now.Add(time.Duration(s.Wait) * time.Millisecond)
	lanes, inbounds := w.ready()
	switch s.Kind {
	case "lane":
		if len(lanes) > 0 {
			w.stepLane(lanes[s.Which%len(lanes)], s)
		}
	case "inbound":
		if len(inbounds) > 0 {
			w.stepInbound(inbounds[s.Which%len(inbounds)], s)
		}
	case "deliver", "drop":
		w.mail(s)
	case "local", "archive":
		w.editLocal(s)
	case "page":
		w.page(s)
	case "drain":
		w.drain(s)
	case "quarrel":
		w.quarrel(s)
	case "resolve":
		w.resolve(s)
	case "remote", "reserved", "delete":
		w.editRemote(s)
	}
}

// left are the acts that are outstanding.
func (w *world) left() []func() {
	var acts []func()
	lanes, inbounds := w.ready()
	for _, p := range w.unanswered() {
		acts = append(acts, func() { w.ask(p, NoFault) })
	}
	for _, c := range w.unheard() {
		acts = append(acts, func() { w.choose(c, NoFault) })
	}
	for _, l := range lanes {
		acts = append(acts, func() { w.stepLane(l, step{}) })
	}
	for _, i := range inbounds {
		acts = append(acts, func() { w.stepInbound(i, step{}) })
	}
	for _, e := range w.remote.events {
		if !e.dropped && e.delivered == 0 && e.underWay == 0 {
			acts = append(acts, func() { w.deliver(e, mailing{}) })
		}
	}
	switch {
	case len(w.batches) > 0:
		acts = append(acts, func() { w.applyBatch(NoFault) })
	case w.sweep:
		acts = append(acts, func() { w.drain(step{}) })
	}
	if len(w.pages) > 0 {
		acts = append(acts, func() { w.applyPage(NoFault) })
	}
	return acts
}

// actsToRest bounds how long it may take until nobody has anything to do.
const actsToRest = 600

// settleStep is how much time passes before each of them.
const settleStep = 300 * time.Millisecond

// settle lets everything outstanding happen, in a drawn order and without faults, until nobody has anything to do.
func (w *world) settle(order []int) {
	for n := range actsToRest {
		acts := w.left()
		if len(acts) == 0 || w.failure != "" {
			return
		}
		pick := 0
		if n < len(order) {
			pick = order[n]
		}
		w.remote.now = w.remote.now.Add(settleStep)
		acts[pick%len(acts)]()
	}
	w.fail("it never comes to rest")
}

// rest lets everything outstanding happen, and has somebody look at what only a look can settle.
func (w *world) rest(order []int) {
	w.tell("-- everybody stops --")
	w.settle(order)
	w.lookAgain()
	w.settle(order)
}

// lookAgain is the reconciliation that finds what was never delivered, and what is on hold without need; else it has
// nothing to find.
func (w *world) lookAgain() {
	dropped, rows := w.dropped(), w.rows()
	for _, id := range w.remote.order {
		if m := rows.linked(id); dropped || m != nil && takenBack(*m) {
			w.reconcile(id)
		}
	}
}
