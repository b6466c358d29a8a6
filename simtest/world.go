package simtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem"
)

// world is both sides, the workflows between them, and the people who edit. A step is one act of one of them; between
// any two, everybody else may act.
//
// mu is held by whoever acts, and let go while the store works: with one actor that changes nothing, with several their
// transactions meet.
type world struct {
	mu      sync.Mutex
	ctx     context.Context
	policy  tandem.Policy
	remote  *remoteSide
	store   Store
	strict  bool // nobody breaks anything, so every error is one too many
	lanes   map[string]*lane
	inbound map[string]*inbound
	order   []string // of lanes
	people  map[string]*person
	edits   map[string]map[string]map[string]string // customer or remote customer → field → side → the last value
	keep    map[string]bool                         // customers that were archived without their remote customers
	choices []*choice
	moment  int               // counts what happens
	chosen  map[string]string // customer and field → what a person chose, and nobody has edited since
	touched map[string]int    // remote customer and field → the moment at which a person last edited it there
	changes int
	story   []string
	failure string
	fetches int                    // because an order was in doubt
	pages   [][]tandem.RemoteState // listed, not applied yet
	batches []batch                // read, not applied yet
	taken   int                    // counts who takes events in
	sweep   bool                   // there are events that nobody was told of

	underWay int        // acts
	changed  *sync.Cond // an act has ended
}

func newWorld(ctx context.Context, policy tandem.Policy, store Store) *world {
	return &world{
		ctx: ctx, policy: policy, remote: newRemote(), store: store, lanes: map[string]*lane{}, inbound: map[string]*inbound{},
		people: map[string]*person{}, edits: map[string]map[string]map[string]string{}, keep: map[string]bool{},
		touched: map[string]int{}, chosen: map[string]string{},
	}
}

// fail keeps the first thing that went wrong; whoever runs the world stops at it.
func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

func (w *world) String() string { return "\n" + strings.Join(w.story, "\n") }

func (w *world) tell(format string, args ...any) {
	line := fmt.Sprintf("%7.3f  ", w.remote.now.Sub(epoch).Seconds()) + fmt.Sprintf(format, args...)
	if teller, ok := w.store.(interface{ picture() string }); ok {
		line += teller.picture()
	}
	w.story = append(w.story, line)
}

// act runs one transaction, or the reads before one. It says whether the answer was heard; an act whose answer was not
// is to be done again.
func (w *world) act(what string, f func(ctx context.Context) error) bool {
	w.underWay++
	w.mu.Unlock()
	err := f(w.ctx)
	w.mu.Lock()
	w.underWay--
	if err == nil {
		return true
	}
	class := tandem.ClassOf(err)
	if w.strict || class != tandem.Transient && class != tandem.Ambiguous {
		w.fail("%s: %v", what, err)
	}
	w.tell("%s: %v", what, err)
	return false
}

// armed is act with a fault in its transaction.
func (w *world) armed(fault Fault, what string, f func(ctx context.Context) error) bool {
	if fault == NoFault {
		return w.act(what, f)
	}
	w.store.Arm(fault)
	defer w.store.Arm(NoFault)
	return w.act(what, f)
}

func (w *world) rows() Rows {
	rows, err := w.store.Look(w.ctx)
	if err != nil {
		w.fail("look: %v", err)
	}
	return rows
}

func (w *world) work(kind, id string) tandem.Work {
	return tandem.Work{Cause: tandem.Cause{Kind: kind, ID: id}, WorkflowID: "simulated"}
}

func (w *world) laneOf(customerID string) *lane {
	l := w.lanes[customerID]
	if l == nil {
		l = &lane{customer: customerID}
		w.lanes[customerID] = l
		w.order = append(w.order, customerID)
	}
	return l
}

func (w *world) inboundOf(remoteID string) *inbound {
	i := w.inbound[remoteID]
	if i == nil {
		i = &inbound{remote: remoteID}
		w.inbound[remoteID] = i
	}
	return i
}

// ready are the lanes and inbounds that have something to do and are not doing it.
func (w *world) ready() (lanes []*lane, inbounds []*inbound) {
	for _, id := range w.order {
		if l := w.lanes[id]; !l.busy && (l.due || l.phase != idle) {
			lanes = append(lanes, l)
		}
	}
	for _, id := range w.remote.order {
		if i := w.inbound[id]; i != nil && !i.busy && (i.due || i.phase != idle) {
			inbounds = append(inbounds, i)
		}
	}
	return lanes, inbounds
}

func sec(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return fmt.Sprint(t.Sub(epoch).Seconds())
}

func show(f tandem.Fields) string {
	return fmt.Sprintf("(%s,%s,%s)", f.Name, f.Email, f.Metadata["k"])
}

func showBody(p tandem.Patch) string { return show(tandem.Fields{}.With(p)) }

// picture shows the mappings to whoever reads the story of a failed run.
func (s *Memory) picture() string {
	var out strings.Builder
	for _, m := range s.mappings {
		fmt.Fprintf(&out, "   [%s v%d as of %s..%s", m.State, m.Version, sec(m.AsOfFrom), sec(m.AsOf))
		if m.Base != nil {
			out.WriteString(" base " + show(*m.Base))
		}
		if m.Claim != nil {
			out.WriteString(" claim " + showBody(m.Claim.Body))
		}
		for _, held := range m.Conflicts {
			fmt.Fprintf(&out, " on hold %s %q or %q", held.Field, held.Platform, held.Provider)
		}
		out.WriteString("]")
	}
	return out.String()
}
