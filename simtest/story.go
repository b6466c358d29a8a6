package simtest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
)

// Story is one kind of run: the rules, who does what, and how it begins.
type Story struct {
	Name   string
	policy tandem.Policy
	kinds  []string
	skew   time.Duration
	begin  func(*world, Fault)
}

var kinds = []string{
	"lane", "lane", "lane", "lane", "inbound", "inbound", "inbound", "deliver", "deliver", "deliver", "drain", "drain", "local", "remote", "remote", "drop",
}

// Policy is the rules of every story that has none of its own. A real store is opened with the story's.
var Policy = tandem.Policy{Environment: "test", ClockTolerance: time.Second}

func emails(owner tandem.Owner, winner tandem.Winner) tandem.Policy {
	p := Policy
	p.Merge = tandem.MergePolicy{"email": {Owner: owner, Conflict: winner}}
	return p
}

// everything has the same rule for every field.
func everything(rule tandem.FieldPolicy) tandem.Policy {
	p := Policy
	p.Merge = tandem.MergePolicy{"name": rule, "email": rule, "metadata": rule}
	return p
}

// quarrels are what people have to decide.
var quarrels = append(slices.Clone(kinds), "quarrel", "quarrel", "quarrel", "resolve", "resolve", "resolve")

// fromPlatform begins with customers that were just created over the API, and may be linked already.
func fromPlatform(n int, linked bool) func(*world, Fault) {
	return func(w *world, fault Fault) {
		for range n {
			w.create("n", fault)
		}
		if linked {
			w.settle(nil)
		}
	}
}

// fromProvider begins with customers that were just created in the dashboard.
func fromProvider(n int, linked bool) func(*world, Fault) {
	return func(w *world, _ Fault) {
		for range n {
			w.remote.create("", patch("name", "n"))
		}
		if linked {
			w.settle(nil)
		}
	}
}

// Stories lists them all.
func Stories() []Story {
	mischief := func(more ...string) []string { return append(slices.Clone(kinds), more...) }
	var out []Story
	for _, s := range []Story{
		{Name: "platform wins", policy: Policy, kinds: kinds},
		{Name: "provider wins", policy: emails(tandem.OwnedByBoth, tandem.ProviderWins), kinds: kinds},
		{Name: "platform owns", policy: emails(tandem.OwnedByPlatform, ""), kinds: kinds},
		{Name: "provider owns", policy: emails(tandem.OwnedByProvider, ""), kinds: kinds},
		{Name: "held", policy: emails(tandem.OwnedByBoth, tandem.Hold), kinds: mischief("quarrel", "quarrel", "local")},
		{Name: "held and resolved", policy: emails(tandem.OwnedByBoth, tandem.Hold), kinds: quarrels},
		{Name: "all held and resolved", policy: everything(tandem.FieldPolicy{Conflict: tandem.Hold}), kinds: slices.Concat(quarrels, []string{"delete", "archive"})},
		{Name: "provider wins everything", policy: everything(tandem.FieldPolicy{Conflict: tandem.ProviderWins}), kinds: mischief("page", "quarrel", "quarrel", "local")},
		{Name: "deletions", policy: Policy, kinds: mischief("delete")},
		{Name: "archives", policy: Policy, kinds: mischief("archive")},
		{Name: "archives and deletions", policy: Policy, kinds: mischief("archive", "delete")},
		{Name: "reserved metadata", policy: Policy, kinds: mischief("reserved")},
		{Name: "off", policy: emails(tandem.NotSynced, ""), kinds: kinds},
		{Name: "clocks disagree behind", policy: Policy, kinds: kinds, skew: time.Second},
		{Name: "clocks disagree ahead", policy: Policy, kinds: kinds, skew: -time.Second},
	} {
		platform, provider := s, s
		linked := slices.Contains(s.kinds, "quarrel") // who quarrels has met before
		platform.Name, platform.begin = s.Name+", from the platform", fromPlatform(1, linked)
		provider.Name, provider.begin = s.Name+", from the provider", fromProvider(1, linked)
		out = append(out, platform, provider)
	}
	return append(out, Story{Name: "two of each", policy: Policy, kinds: mischief("archive", "delete", "page", "page"), begin: func(w *world, fault Fault) {
		fromPlatform(2, false)(w, fault)
		fromProvider(2, false)(w, fault)
	}})
}

// GoString is how a failed run names its story.
func (s Story) GoString() string { return s.Name }

// Policy is the rules of this story.
func (s Story) Policy() tandem.Policy { return s.policy }

// Run draws a story of at least so many steps and checks what must hold when everybody has stopped. A store beside the
// one in memory has to do the same; nil is none.
func (s Story) Run(t *rapid.T, beside Store, atLeast int) {
	memory := NewMemory(s.policy)
	w := newWorld(t.Context(), s.policy, memory)
	if beside != nil {
		w.store = &both{Memory: memory, real: beside, fail: w.fail}
	}
	w.remote.skew = s.skew
	w.mu.Lock()
	defer w.mu.Unlock()
	s.begin(w, faults().Draw(t, "fault at the beginning"))
	one := steps(s.kinds)
	for _, s := range rapid.OneOf(rapid.SliceOfN(one, atLeast, 40), rapid.SliceOfN(one, 40, 90)).Draw(t, "steps") {
		w.step(s)
		w.stop(t)
	}
	order := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 40).Draw(t, "order")
	for _, stage := range []func(){func() { w.rest(order) }, w.check, w.checkRest, func() { w.rows() }} {
		stage()
		w.stop(t)
	}
}

func (w *world) stop(t *rapid.T) {
	if w.failure != "" {
		t.Fatalf("%s:%s", w.failure, w)
	}
}
