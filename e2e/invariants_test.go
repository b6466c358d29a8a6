package e2e_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// facts are everything that can be known about an installation at rest: what its API shows, what its database holds,
// and what really happened at the provider. Nothing but this installation has used that provider's account.
type facts struct {
	customers  []customer
	mappings   []mapping
	journal    []journalRow
	ledger     []event
	tombstones []string
	remotes    map[string]remote // deleted ones too
	operations []operation
}

// expectation is what ought to have become of one customer.
type expectation struct {
	fields   fields // on both sides
	archived bool
	linked   bool // to a live remote customer
	stranger bool // there is a live remote customer that it is deliberately not linked to

	wishes  int                        // acknowledged requests that changed it
	wished  map[string]map[string]bool // field → values that callers gave it
	edited  map[string]bool            // fields that people changed over there
	creates int                        // writes at the provider, each once
	updates int
	deletes int
	reads   int  // reads at the provider, at most
	repairs bool // our own marks over there may be written again
}

// violations holds an installation at rest against invariants 1 to 6 and 9 of the design, and names what breaks them.
func violations(f facts, want map[string]*expectation) []string {
	var v verdict
	v.lost(f, want)
	v.twice(f, want)
	v.apart(f)
	v.risen(f)
	v.echoed(f, want)
	v.unasked(f, want)
	v.untold(f, want)
	return v.found
}

// restless names what has changed between two looks although nothing has happened.
func restless(before, after facts) []string {
	var v verdict
	for _, op := range after.operations[len(before.operations):] {
		v.breaks(5, "%s of %q was called although nothing had changed", op.Op, op.CustomerID)
	}
	for _, row := range after.journal[min(len(before.journal), len(after.journal)):] {
		v.breaks(3, "the journal of %s has grown by %q although nothing had changed", row.CustomerID, row.Action)
	}
	if !reflect.DeepEqual(before.customers, after.customers) {
		v.breaks(4, "customers changed although nothing had: %v, then %v", before.customers, after.customers)
	}
	if !reflect.DeepEqual(before.remotes, after.remotes) {
		v.breaks(4, "remote customers changed although nothing had: %v, then %v", before.remotes, after.remotes)
	}
	return v.found
}

type verdict struct{ found []string }

func (v *verdict) breaks(invariant int, format string, args ...any) {
	v.found = append(v.found, fmt.Sprintf("%d: ", invariant)+fmt.Sprintf(format, args...))
}

// lost is invariant 1: what was acknowledged is there, once, and every event has been taken in.
func (v *verdict) lost(f facts, want map[string]*expectation) {
	seen := map[string]bool{}
	for _, c := range f.customers {
		seen[c.ID] = true
		w := want[c.ID]
		if w == nil {
			v.breaks(1, "nobody asked for customer %s", c.ID)
			continue
		}
		if !maps.Equal(c.fields(), w.fields) {
			v.breaks(1, "customer %s is %v, not %v", c.ID, c.fields(), w.fields)
		}
		if (c.Status == "archived") != w.archived {
			v.breaks(1, "customer %s is %s", c.ID, c.Status)
		}
	}
	for id := range want {
		if !seen[id] {
			v.breaks(1, "customer %s is gone", id)
		}
	}
	states := map[string]string{}
	for _, e := range f.ledger {
		states[e.EventID] = e.State
	}
	for _, op := range f.operations {
		for _, e := range op.Events {
			if s := states[e]; s == "" || s == "received" {
				v.breaks(1, "event %s of %s %s is not taken in: %q", e, op.Op, op.CustomerID, s)
			}
		}
	}
}

// twice is invariant 2.
func (v *verdict) twice(f facts, want map[string]*expectation) {
	ofCustomer, ofRemote := map[string]int{}, map[string]int{}
	for _, m := range f.mappings {
		if m.State == "archived" {
			continue
		}
		ofCustomer[m.CustomerID]++
		if m.RemoteID != "" {
			ofRemote[m.RemoteID]++
		}
		if r, ok := f.remotes[m.RemoteID]; m.RemoteID != "" && (!ok || r.Deleted) {
			v.breaks(2, "customer %s is linked to %s, which is not there", m.CustomerID, m.RemoteID)
		}
	}
	named := map[string]int{}
	for _, r := range f.remotes {
		if r.Deleted {
			continue
		}
		named[r.Metadata["flexprice_customer_id"]]++
		if ofRemote[r.ID] > 1 {
			v.breaks(2, "remote customer %s is linked %d times", r.ID, ofRemote[r.ID])
		}
	}
	strangers := 0
	for id, w := range want {
		links := 0
		if w.linked {
			links = 1
		}
		if ofCustomer[id] != links {
			v.breaks(2, "customer %s has %d live mappings, not %d", id, ofCustomer[id], links)
		}
		if named[id] > 1 {
			v.breaks(2, "%d remote customers say they are %s", named[id], id)
		}
		if w.stranger {
			strangers++
		}
	}
	live := slices.Collect(maps.Values(f.remotes))
	live = slices.DeleteFunc(live, func(r remote) bool { return r.Deleted || ofRemote[r.ID] > 0 })
	if len(live) != strangers {
		v.breaks(2, "%d remote customers are linked to nobody, not %d", len(live), strangers)
	}
}

// apart is invariant 3: both sides are equal, and nothing is left to do.
func (v *verdict) apart(f facts) {
	byID := map[string]customer{}
	for _, c := range f.customers {
		byID[c.ID] = c
	}
	for _, m := range f.mappings {
		switch {
		case m.State == "archived":
		case m.State != "synced" || m.Claim != "":
			v.breaks(3, "the mapping of %s is %s with claim %q", m.CustomerID, m.State, m.Claim)
		case !maps.Equal(byID[m.CustomerID].fields(), f.remotes[m.RemoteID].fields()):
			v.breaks(3, "customer %s is %v here and %v there", m.CustomerID, byID[m.CustomerID].fields(), f.remotes[m.RemoteID].fields())
		}
	}
}

// risen is the half of invariant 4 that a look at the end can see: deleted stays deleted. The other half, that old news
// overwrites nothing, shows in invariant 1 after all events were delivered again.
func (v *verdict) risen(f facts) {
	deletedAt := map[string]int{}
	for _, op := range f.operations {
		if op.Op == "delete" && op.Applied && deletedAt[op.CustomerID] == 0 {
			deletedAt[op.CustomerID] = op.Seq
		}
	}
	for id := range deletedAt {
		if !slices.Contains(f.tombstones, id) {
			v.breaks(4, "remote customer %s was deleted and has no tombstone", id)
		}
	}
	for _, c := range f.customers {
		if id := c.stripe().RemoteID; deletedAt[id] > 0 && c.Status != "archived" {
			v.breaks(4, "customer %s of the deleted %s is %s", c.ID, id, c.Status)
		}
	}
	for _, op := range f.operations {
		named := op.Form.Get("metadata[flexprice_customer_id]")
		for _, c := range f.customers {
			if at := deletedAt[c.stripe().RemoteID]; op.Op == "create" && op.Applied && c.ID == named && at > 0 && op.Seq > at {
				v.breaks(4, "customer %s was made again after its end", c.ID)
			}
		}
	}
}
