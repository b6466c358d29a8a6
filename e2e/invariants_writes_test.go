package e2e_test

import (
	"strings"
)

// echoed is invariant 5: each wanted write has happened once, and nothing else was asked of the provider.
func (v *verdict) echoed(f facts, want map[string]*expectation) {
	type count struct{ create, update, remove, read int }
	counts, stray := map[string]*count{}, 0
	for id := range want {
		counts[id] = &count{}
	}
	for _, op := range f.operations {
		if op.Actor != "api" || op.Replayed {
			continue
		}
		n := counts[f.customerOf(op)]
		switch {
		case op.Op == "list" || op.Op == "search" || op.Op == "retrieve":
			if n == nil {
				stray++
			} else {
				n.read++
			}
		case !op.Applied: // refused, lost, or the second delete of the same
		case n == nil:
			v.breaks(5, "%s of %s for nobody", op.Op, op.CustomerID)
		case op.Op == "create":
			n.create++
		case op.Op == "delete":
			n.remove++
		case len(op.Changed) == 0:
			v.breaks(5, "an update of %s changed nothing: %v", op.CustomerID, op.Form)
		default:
			n.update++
		}
	}
	reads := 0
	for id, w := range want {
		n := counts[id]
		if n.create != w.creates || n.update != w.updates || n.remove != w.deletes {
			v.breaks(5, "the provider made %d creates, %d updates, %d deletes for %s; wanted %d, %d, %d",
				n.create, n.update, n.remove, id, w.creates, w.updates, w.deletes)
		}
		reads += w.reads
		stray += n.read
	}
	if stray > reads {
		v.breaks(5, "%d reads at the provider, at most %d were needed", stray, reads)
	}
}

// customerOf finds whom an operation is about: by our key, by our mark, or by the link.
func (f facts) customerOf(op operation) string {
	if parts := strings.Split(op.Key, ":"); len(parts) > 3 && parts[0] == "tandem" {
		return parts[3]
	}
	for _, m := range f.mappings {
		if m.RemoteID != "" && m.RemoteID == op.CustomerID {
			return m.CustomerID
		}
	}
	return ""
}

// unasked is invariant 6: no field is written that nobody changed, on either side.
func (v *verdict) unasked(f facts, want map[string]*expectation) {
	for _, op := range f.operations {
		w := want[f.customerOf(op)]
		if op.Actor != "api" || !op.Applied || w == nil || op.Op != "create" && op.Op != "update" {
			continue
		}
		for name, values := range op.Form {
			field := fieldOf(name)
			switch {
			case strings.HasPrefix(name, "metadata[flexprice_") && (op.Op == "create" || w.repairs):
			case w.wished[field] == nil && values[0] != "":
				v.breaks(6, "%s wrote %s, which nobody changed", op.Op, name)
			case field != "address" && w.wished[field] != nil && !w.wished[field][values[0]]:
				v.breaks(6, "%s wrote a value into %s that nobody gave", op.Op, name)
			}
		}
	}
	for _, row := range f.journal {
		w := want[row.CustomerID]
		if w == nil || row.Direction == "outbound" && row.Provider != "" {
			continue
		}
		for _, ch := range row.changes() {
			if row.Direction == "inbound" && !w.edited[ch.Field] {
				v.breaks(6, "%s took over %s, which nobody changed over there", row.Action, ch.Field)
			}
			if row.Direction == "outbound" && w.wished[ch.Field] == nil {
				v.breaks(6, "%s changed %s, which no caller did", row.Action, ch.Field)
			}
		}
	}
}

// fieldOf is the synced field of a form parameter.
func fieldOf(parameter string) string {
	name, key, nested := strings.Cut(strings.TrimSuffix(parameter, "]"), "[")
	if key == "external_id" {
		return key
	}
	if nested && name == "metadata" {
		return "metadata." + key
	}
	return name
}
