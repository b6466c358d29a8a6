package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type fieldChange struct{ Field, Before, After string }

func (r journalRow) changes() []fieldChange {
	var out []fieldChange
	if err := json.Unmarshal([]byte(r.Changes), &out); err != nil {
		panic(fmt.Sprintf("journal changes %q: %v", r.Changes, err)) // the column is a list by constraint
	}
	return out
}

// untold is invariant 9: the journal tells how each customer came to be what it is, and why, and knows of every write at
// the provider.
func (v *verdict) untold(f facts, want map[string]*expectation) {
	events, told := map[string]bool{}, map[string]map[string]string{}
	for _, op := range f.operations {
		for _, e := range op.Events {
			events[e] = true
		}
	}
	wishes, writes := map[string]int{}, map[string]int{}
	for _, row := range f.journal {
		v.cause(row, events)
		if row.Provider == "" && row.Cause == "api" {
			wishes[row.CustomerID]++
		}
		if row.Direction == "outbound" && row.Provider != "" {
			writes[row.Action+" "+row.CustomerID]++
			continue
		}
		if told[row.CustomerID] == nil {
			told[row.CustomerID] = map[string]string{}
		}
		for _, ch := range row.changes() {
			if now := told[row.CustomerID][ch.Field]; now != ch.Before {
				v.breaks(9, "the journal of %s says that %s was %q before, but it was %q", row.CustomerID, ch.Field, ch.Before, now)
			}
			told[row.CustomerID][ch.Field] = ch.After
		}
	}
	for _, c := range f.customers {
		w := want[c.ID]
		if w == nil {
			continue
		}
		if wishes[c.ID] != w.wishes {
			v.breaks(9, "the journal of %s has %d changes by callers, not %d", c.ID, wishes[c.ID], w.wishes)
		}
		story := told[c.ID]
		maps.DeleteFunc(story, func(_, v string) bool { return v == "" })
		if is := c.told(); !maps.Equal(is, story) {
			v.breaks(9, "customer %s is %v, but its journal tells %v", c.ID, is, story)
		}
		for action, n := range map[string]int{"create": w.creates, "update": w.updates, "delete": w.deletes} {
			if got := writes[action+" "+c.ID]; got != n {
				v.breaks(9, "the journal of %s has %d times %q at the provider, not %d", c.ID, got, action, n)
			}
		}
	}
}

func (v *verdict) cause(row journalRow, events map[string]bool) {
	switch {
	case row.Cause == "webhook" && !events[row.CauseID]:
		v.breaks(9, "%s of %s names event %q, which never was", row.Action, row.CustomerID, row.CauseID)
	case row.Cause == "webhook" && row.Direction == "inbound" && row.WorkflowID+row.RunID == "": // applied as it was stored
	case row.Cause == "" || row.WorkflowID == "" || row.RunID == "":
		v.breaks(9, "%s of %s has no cause or no run", row.Action, row.CustomerID)
	case row.Action == "skip": // said by a signal, which has no id
	case (row.Cause == "api" || row.Cause == "operator") && row.CauseID == "":
		v.breaks(9, "%s of %s does not name the request", row.Action, row.CustomerID)
	}
}

// told is the customer in the words of the journal, which has the address as one line.
func (c customer) told() map[string]string {
	out := map[string]string{"name": c.Name, "email": c.Email, "phone": c.Phone, "external_id": c.ExternalID}
	parts := slices.DeleteFunc([]string{c.Line1, c.Line2, c.City, c.State, c.PostalCode, c.Country}, func(s string) bool { return s == "" })
	out["address"] = strings.Join(parts, ", ")
	for k, v := range c.Metadata {
		out["metadata."+k] = v
	}
	maps.DeleteFunc(out, func(_, v string) bool { return v == "" })
	return out
}
