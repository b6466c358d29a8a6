package edges_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

var (
	walks    = flag.Int("walks", 25, "how many random walks TestWalks makes")
	walkSeed = flag.Uint64("walk-seed", 1, "the first one's seed; the others follow")
)

// TestWalks goes at random through edits of both sides, calls that fail, workers that die with an answer, events in any
// order and a clock that may stand still. In the end both sides agree, or the customer is over on both.
func TestWalks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for seed := *walkSeed; seed < *walkSeed+uint64(*walks); seed++ {
		t.Run(fmt.Sprint("seed_", seed), func(t *testing.T) { // they take turns in one world
			w.t = t
			w.meet(5 * time.Second)
			walk := &walk{world: w, r: rand.New(rand.NewPCG(seed, 0)), id: w.stored(ada())}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(walk.log)
				}
			})
			walk.run()
		})
	}
}

type walk struct {
	*world
	r   *rand.Rand
	id  string
	log []string // what was done, for whoever has to find out
}

func (w *walk) run() {
	w.t.Helper()
	if w.r.IntN(2) == 0 { // everything happens in one second
		now := w.stripe.Now().Truncate(time.Second)
		w.stripe.SetClock(func() time.Time { return now })
	}
	for range 3 + w.r.IntN(9) {
		w.step()
	}
	w.stripe.ResetFaults()
	w.meanwhile("update", nil)
	end := []func(*world, string) error{nil, nil, archiveHere, deleteThere, deleteBoth}[w.r.IntN(5)]
	if end == nil {
		w.agree(w.id)
		return
	}
	if w.mapping(w.id).RemoteID == "" {
		end = archiveHere
	}
	require.NoError(w.t, end(w.world, w.id))
	w.settle(w.id)
	w.requireOver(w.id)
}

func (w *walk) step() {
	w.t.Helper()
	steps := []struct {
		name string
		do   func()
	}{
		{"edit here", w.editHere}, {"edit here", w.editHere}, {"edit there", w.editThere}, {"edit there", w.editThere},
		{"event", w.anyEvent}, {"event", w.anyEvent}, {"call and die", w.callAndDie}, {"fail", w.failSomewhere},
		{"sync", func() { w.outbound(w.id) }}, {"later", func() { w.stripe.AdvanceClock(time.Duration(w.r.IntN(3)) * time.Second) }},
	}
	step := steps[w.r.IntN(len(steps))]
	w.log = append(w.log, step.name)
	step.do()
}

func anyOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func (w *walk) editHere() {
	w.edit(w.id, anyOf(w.r,
		tandem.Patch{Name: ptr(anyOf(w.r, "A", "B", "C"))},
		tandem.Patch{Phone: ptr(anyOf(w.r, "", "+1 555 0001")), Metadata: map[string]string{"k": anyOf(w.r, "", "v")}},
	))
}

// remoteID is the remote customer, also before anybody here knows of it.
func (w *walk) remoteID() string {
	for _, c := range w.of(w.id) {
		return c.ID
	}
	return ""
}

func (w *walk) editThere() {
	if id := w.remoteID(); id != "" {
		w.there(id, anyOf(w.r,
			[]string{"name", anyOf(w.r, "A", "B", "C")},
			[]string{"metadata[k]", anyOf(w.r, "", "v", "w"), "email", anyOf(w.r, "", "x@example.org")},
		)...)
	}
}

func (w *walk) anyEvent() {
	if waiting := w.undelivered(); len(waiting) > 0 {
		w.deliver(anyOf(w.r, waiting...))
	}
}

var troubles = []stripetest.FaultKind{
	stripetest.Error500, stripetest.Error500Done, stripetest.Truncate, stripetest.HTML200, stripetest.Error503, stripetest.RateLimit, stripetest.DropBefore,
}

func (w *walk) callAndDie() {
	call, err := w.store.Plan(w.t.Context(), w.id, "stripe", tandem.Ask{})
	require.NoError(w.t, err)
	if call.Action == tandem.ActNothing {
		return
	}
	fault := w.stripe.AddFault(stripetest.Fault{Kind: anyOf(w.r, troubles...), Op: string(call.Action)})
	_ = w.called(w.id) // nobody hears of it
	w.stripe.RemoveFault(fault)
}

// failSomewhere syncs under trouble; perhaps somebody edits the remote customer while the call is under way, and perhaps
// the event of that comes before the answer.
func (w *walk) failSomewhere() {
	w.stripe.AddFault(stripetest.Fault{
		Kind: anyOf(w.r, troubles...), Op: anyOf(w.r, "create", "update", "retrieve", "list"), Count: 1 + w.r.IntN(2),
	})
	if id, early := w.remoteID(), w.r.IntN(2) == 0; id != "" && w.r.IntN(2) == 0 {
		w.meanwhile("update", func() {
			w.there(id, "name", "During")
			if early {
				w.deliver(w.last(id))
			}
		})
	}
	w.outbound(w.id)
}
