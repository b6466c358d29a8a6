package tandem_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
)

// simStep is one drawn act. Kinds repeat so that plain progress is more likely than mischief.
type simStep struct {
	Kind  string
	Which int
	Value string
	Field string
	Wait  int // milliseconds before it
	Fault bool
}

func simSteps(kinds ...string) *rapid.Generator[simStep] {
	return rapid.Custom(func(t *rapid.T) simStep {
		return simStep{
			Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
			Which: rapid.IntRange(0, 5).Draw(t, "which"),
			Field: rapid.SampledFrom([]string{"name", "email", "k"}).Draw(t, "field"),
			Value: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "value"),
			Wait:  rapid.SampledFrom([]int{0, 10, 100, 300, 700, 1100, 2500}).Draw(t, "wait"),
			Fault: rapid.IntRange(0, 4).Draw(t, "fault") == 4,
		}
	})
}

var simKinds = []string{
	"lane", "lane", "lane", "lane", "inbound", "inbound", "inbound", "deliver", "deliver", "deliver", "local", "remote", "remote", "drop",
}

func simPatch(field, value string) tandem.Patch {
	switch field {
	case "name":
		return tandem.Patch{Name: &value}
	case "email":
		return tandem.Patch{Email: &value}
	}
	return tandem.Patch{Metadata: map[string]string{"k": value}}
}

func simValue(f tandem.Fields, field string) string {
	switch field {
	case "name":
		return f.Name
	case "email":
		return f.Email
	}
	return f.Metadata["k"]
}

func (w *simWorld) step(s simStep) {
	w.remote.now = w.remote.now.Add(time.Duration(s.Wait) * time.Millisecond)
	switch s.Kind {
	case "lane":
		if w.lane.active() {
			w.stepLane(s.Fault)
		}
	case "inbound":
		if ids := w.busyInbound(); len(ids) > 0 {
			w.stepInbound(ids[s.Which%len(ids)], s.Fault)
		}
	case "deliver", "drop":
		w.mail(s)
	case "local":
		w.editLocal(s)
	case "remote":
		if id := w.target(s.Which); id != "" && !w.remote.rows[id].deleted && simValue(w.remote.rows[id].fields, s.Field) != s.Value {
			w.edited(s, "provider")
			w.remote.quiet = false
			w.remote.update(id, "", simPatch(s.Field, s.Value))
			w.tell("person at the provider: %s %s = %q", id, s.Field, s.Value)
		}
	case "reserved":
		// Only once the link is known: before that, the reserved metadata is all there is to recognise a create of ours by.
		if id := w.target(s.Which); id != "" && !w.remote.rows[id].deleted && w.linked(id) && w.remote.rows[id].fields.Reserved[tandem.KeyEnvironment] != "" {
			w.remote.quiet = false
			w.remote.update(id, "", tandem.Patch{Reserved: map[string]string{tandem.KeyCustomerID: s.Value}})
			w.tell("person at the provider: %s %s = %q", id, tandem.KeyCustomerID, s.Value)
		}
	case "delete":
		if id := w.target(s.Which); id != "" {
			w.remote.delete(id)
			w.tell("person at the provider: deletes %s", id)
		}
	}
}

// mail delivers an event, sometimes one that was delivered before, or loses one for ever.
func (w *simWorld) mail(s simStep) {
	var open []*simEvent
	for _, e := range w.remote.events {
		if !e.dropped && (s.Fault || e.delivered == 0) {
			open = append(open, e)
		}
	}
	if len(open) == 0 {
		return
	}
	e := open[s.Which%len(open)]
	if s.Kind == "deliver" {
		w.deliver(e)
	} else if e.delivered == 0 && !e.state.Deleted {
		e.dropped = true
		w.tell("network: %s is never delivered", e.state.EventID)
	}
}

func (w *simWorld) editLocal(s simStep) {
	if len(w.store.customers) == 0 {
		return
	}
	c := w.store.customers[0]
	if c.Status == tandem.Active && w.store.change(c, simPatch(s.Field, s.Value)) {
		w.edited(s, "platform")
		w.lane.due = true
		w.tell("person at the platform: %s = %q", s.Field, s.Value)
	}
}

func (w *simWorld) edited(s simStep, side string) {
	if w.edits[s.Field] == nil {
		w.edits[s.Field] = map[string]string{}
	}
	w.edits[s.Field][side] = s.Value
}

func (w *simWorld) target(which int) string {
	if len(w.remote.order) == 0 {
		return ""
	}
	return w.remote.order[which%len(w.remote.order)]
}

func (w *simWorld) linked(id string) bool {
	return slices.ContainsFunc(w.store.mappings, func(m *tandem.Mapping) bool { return m.RemoteID == id })
}

func (w *simWorld) busyInbound() []string {
	var ids []string
	for _, id := range w.remote.order {
		if i := w.inbound[id]; i != nil && i.active() {
			ids = append(ids, id)
		}
	}
	return ids
}

// settle lets everything outstanding happen, in a drawn order and without faults, until nobody has anything to do.
func (w *simWorld) settle(t *rapid.T, order []int) {
	for n := range 400 {
		var acts []func()
		if w.lane.active() {
			acts = append(acts, func() { w.stepLane(false) })
		}
		for _, id := range w.busyInbound() {
			acts = append(acts, func() { w.stepInbound(id, false) })
		}
		for _, e := range w.remote.events {
			if !e.dropped && e.delivered == 0 {
				acts = append(acts, func() { w.deliver(e) })
			}
		}
		if len(acts) == 0 {
			return
		}
		pick := 0
		if n < len(order) {
			pick = order[n]
		}
		w.remote.now = w.remote.now.Add(300 * time.Millisecond)
		acts[pick%len(acts)]()
	}
	t.Fatalf("it never comes to rest:%s", w)
}

func (w *simWorld) dropped() bool {
	return slices.ContainsFunc(w.remote.events, func(e *simEvent) bool { return e.dropped })
}

// simulate runs one drawn story and checks what must hold when everybody has stopped.
func simulate(t *rapid.T, policy tandem.Policy, kinds []string, begin func(*simWorld), skew time.Duration) {
	w := newSimWorld(policy)
	w.remote.skew = skew
	begin(w)
	steps := simSteps(kinds...)
	for _, s := range rapid.OneOf(rapid.SliceOfN(steps, 0, 40), rapid.SliceOfN(steps, 40, 90)).Draw(t, "steps") {
		w.step(s)
	}
	order := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 40).Draw(t, "order")
	w.tell("-- everybody stops --")
	w.settle(t, order)
	if w.dropped() {
		for _, id := range w.remote.order {
			w.reconcile(id)
		}
		w.settle(t, order)
	}
	w.check(t)
	w.checkRest(t)
}

func (w *simWorld) check(t *rapid.T) {
	if len(w.store.customers) == 0 && w.remote.rows["cus_1"].deleted && w.store.tombstones["cus_1"] {
		return // deleted before anybody here heard of it
	}
	if len(w.store.customers) != 1 || len(w.remote.order) != 1 {
		t.Fatalf("%d customers and %d remote customers:%s", len(w.store.customers), len(w.remote.order), w)
	}
	if w.repeated > 0 {
		t.Fatalf("a call was parked:%s", w)
	}
	c, m, row := w.store.customers[0], w.store.mappings[0], w.remote.rows[w.remote.order[0]]
	if row.deleted {
		if c.Status != tandem.Archived || m.State != tandem.Ended || !w.store.tombstones["cus_1"] {
			t.Fatalf("deleted over there, but the customer is %s and the mapping %s:%s", c.Status, m.State, w)
		}
		return
	}
	local := c.Fields()
	if m.Metadata[tandem.MetaSyncDirection] == tandem.PlatformToProvider {
		local.Reserved = c.ReservedFor(w.store.policy.Environment)
	}
	if w.store.policy.Merge["email"].Owner == tandem.NotSynced {
		local.Email = row.fields.Email
	}
	if !local.Equal(row.fields) {
		t.Fatalf("platform %s and provider %s differ (%v):%s", show(local), show(row.fields), tandem.Diff(local, row.fields), w)
	}
	if m.State != tandem.Synced || m.Claim != nil {
		t.Fatalf("the mapping is %s, its claim %v, its base %s:%s", m.State, m.Claim, show(*m.Base), w)
	}
	again := slices.ContainsFunc(w.remote.events, func(e *simEvent) bool { return e.delivered > 1 || e.dropped })
	if w.remote.quiet && !again && w.fetches > 0 {
		t.Fatalf("nobody changed anything at the provider but Tandem, and it fetched %d times:%s", w.fetches, w)
	}
	for field, by := range w.edits {
		for side, value := range by {
			owner := w.store.policy.Merge[field].Owner
			mayEdit := owner == "" || owner == tandem.OwnedByBoth || string(owner) == side
			if len(by) == 1 && mayEdit && simValue(local, field) != value {
				t.Fatalf("lost update: only the %s edited %s, last to %q, and it is %q:%s", side, field, value, simValue(local, field), w)
			}
		}
	}
	for _, row := range w.store.ledger {
		if row.end == tandem.EventReceived {
			t.Fatalf("event %s has no end:%s", row.state.EventID, w)
		}
	}
}

// checkRest looks once more, twice delivers every event, and expects that nobody writes anything.
func (w *simWorld) checkRest(t *rapid.T) {
	picture := func() string {
		var all []tandem.Customer
		for _, c := range w.store.customers {
			all = append(all, *c)
		}
		return fmt.Sprint(all)
	}
	writes, written, before := w.remote.writes, w.store.writes, picture()
	for _, id := range w.remote.order {
		w.reconcile(id)
	}
	for _, e := range w.remote.events {
		if !e.dropped {
			w.deliver(e)
		}
	}
	w.settle(t, nil)
	if w.remote.writes != writes || w.store.writes != written || picture() != before {
		t.Fatalf("a second look writes: provider %d more, store %d more:%s", w.remote.writes-writes, w.store.writes-written, w)
	}
}

var simPolicy = tandem.Policy{Environment: "test", ClockTolerance: time.Second}

// fromPlatform begins with a customer that was just created over the API.
func fromPlatform(w *simWorld) {
	name := "n"
	w.store.create(tandem.Patch{Name: &name})
	w.lane.due = true
}

// fromProvider begins with a customer that was just created in the dashboard.
func fromProvider(w *simWorld) {
	name := "n"
	w.remote.create("", tandem.Patch{Name: &name})
}

var simBeginnings = map[string]func(*simWorld){"from the platform": fromPlatform, "from the provider": fromProvider}

func TestSimulation(t *testing.T) {
	t.Parallel()
	mischief := func(more ...string) []string { return append(slices.Clone(simKinds), more...) }
	owned := func(owner tandem.Owner, winner tandem.Winner) tandem.Policy {
		p := simPolicy
		p.Merge = tandem.MergePolicy{"email": {Owner: owner, Conflict: winner}}
		return p
	}
	for name, tt := range map[string]struct {
		policy tandem.Policy
		kinds  []string
		skew   time.Duration
	}{
		"platform wins":          {simPolicy, simKinds, 0},
		"provider wins":          {owned(tandem.OwnedByBoth, tandem.ProviderWins), simKinds, 0},
		"platform owns":          {owned(tandem.OwnedByPlatform, ""), simKinds, 0},
		"deletions":              {simPolicy, mischief("delete"), 0},
		"reserved metadata":      {simPolicy, mischief("reserved"), 0},
		"off":                    {owned(tandem.NotSynced, ""), simKinds, 0},
		"clocks disagree behind": {simPolicy, simKinds, time.Second},
		"clocks disagree ahead":  {simPolicy, simKinds, -time.Second},
	} {
		for where, begin := range simBeginnings {
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) { simulate(t, tt.policy, tt.kinds, begin, tt.skew) })
			})
		}
	}
}
