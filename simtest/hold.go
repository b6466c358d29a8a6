package simtest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem"
)

// choice is a person's, for fields on hold, said again until it is answered.
type choice struct {
	busy bool
	wish tandem.Resolve
}

// quarrel is two people who change the same field, each on their side and each to something else.
func (w *world) quarrel(s step) {
	here, there := s, s
	here.Kind, there.Kind, there.Value = "local", "remote", s.Value+"'"
	w.editLocal(here)
	w.editRemote(there)
}

// resolve is a person who chooses for what is on hold, all of it or the first field, unless there is still an answer to
// wait for.
func (w *world) resolve(s step) {
	if waiting := w.unheard(); len(waiting) > 0 {
		w.choose(waiting[s.Which%len(waiting)], s.fault())
		return
	}
	held := slices.DeleteFunc(w.rows().Mappings, func(m tandem.Mapping) bool { return m.State == tandem.Ended || len(m.Conflicts) == 0 })
	if len(held) == 0 {
		return
	}
	m, winner := held[s.Which%len(held)], []tandem.Winner{tandem.PlatformWins, tandem.ProviderWins}[s.Which%2]
	w.changes++
	c := &choice{wish: tandem.Resolve{
		ID: fmt.Sprintf("chg_%d", w.changes), CustomerID: m.CustomerID, Provider: ProviderName, Winners: map[string]tandem.Winner{},
	}}
	for _, h := range m.Conflicts {
		if s.Value != "" || len(c.wish.Winners) == 0 {
			c.wish.Winners[h.Field] = winner
		}
	}
	w.choices = append(w.choices, c)
	w.expect(c.wish, m)
	w.tell("person: the %s wins %v of %s", winner, c.wish.Winners, m.CustomerID)
	w.choose(c, s.fault())
}

func (w *world) choose(c *choice, fault Fault) {
	c.busy = true
	defer func() { c.busy = false }()
	refused := false
	if !w.armed(fault, "resolve", func(ctx context.Context) error {
		_, err := w.store.Resolve(ctx, c.wish, w.work(tandem.ByOperator, c.wish.ID))
		switch tandem.CodeOf(err) {
		case tandem.CodeInvalidRequest, tandem.CodeMappingNotFound, tandem.CodeCustomerArchived:
			refused = true // an answer: it is on hold no longer
			return nil
		}
		return err
	}) {
		return
	}
	if refused {
		for field := range c.wish.Winners {
			delete(w.chosen, c.wish.CustomerID+" "+short(field))
		}
	}
	w.choices = slices.DeleteFunc(w.choices, func(other *choice) bool { return other == c })
	w.laneOf(c.wish.CustomerID).due = true
}

// expect remembers what was chosen, until somebody edits that once more. A value that is there already, and was not
// shown, is such an edit, and so is one that was asked for and not answered yet.
func (w *world) expect(r tandem.Resolve, m tandem.Mapping) {
	if p := w.people[m.CustomerID]; p != nil && p.wish != nil {
		return
	}
	local, remote := w.rows().customer(m.CustomerID).Fields(), w.remote.rows[m.RemoteID].fields
	for _, h := range m.Conflicts {
		field, value := short(h.Field), h.Platform
		if r.Winners[h.Field] == tandem.ProviderWins {
			value = h.Provider
		}
		if r.Winners[h.Field] != "" && h.Platform == valueOf(local, field) && h.Provider == valueOf(remote, field) {
			w.chosen[m.CustomerID+" "+field] = value
		}
	}
}

// checkChosen says that what a person chose is so, and asked no more.
func (w *world) checkChosen(local tandem.Fields, m tandem.Mapping) {
	for _, field := range []string{"name", "email", "k"} {
		value, chosen := w.chosen[m.CustomerID+" "+field]
		again := slices.ContainsFunc(m.Conflicts, func(h tandem.FieldConflict) bool { return short(h.Field) == field })
		if chosen && (again || value != valueOf(local, field)) {
			w.fail("a person chose %q for %s of %s, and it is %q, on hold: %t", value, field, m.CustomerID, valueOf(local, field), again)
		}
	}
}

// unheard are the choices that nobody has answered and nobody is about to.
func (w *world) unheard() []*choice {
	return slices.DeleteFunc(slices.Clone(w.choices), func(c *choice) bool { return c.busy })
}

// checkOverwritten finds values at the provider that a call is about to overwrite although a policy protects them, and
// although they were there to be seen when the lane began. What somebody does after the last look nobody can see.
func (w *world) checkOverwritten(l *lane) {
	row := w.remote.rows[l.call.RemoteID]
	if _, done := w.remote.memory[l.call.Key]; row == nil || row.deleted || done {
		return
	}
	for _, d := range tandem.Diff(row.fields, row.fields.With(l.call.Body)) {
		at, edited := w.touched[l.call.RemoteID+" "+short(d.Field)]
		if !edited || at >= l.from || !w.protected(d.Field) {
			continue
		}
		if m := w.rows().linked(l.call.RemoteID); m != nil && d.Before != valueOf(*m.Base, short(d.Field)) {
			w.fail("overwritten at the provider, although it was there to be seen: %s %s %q", l.call.RemoteID, d.Field, d.Before)
		}
	}
}

// protected fields are those of which the platform's value does not simply win.
func (w *world) protected(field string) bool {
	winner := w.policyOf(field).Conflict
	return winner == tandem.Hold || winner == tandem.ProviderWins
}

// policyOf is the rule of a field by its full name.
func (w *world) policyOf(field string) tandem.FieldPolicy {
	group, _, _ := strings.Cut(field, ".")
	return w.policy.Merge[group]
}

// short is what the simulation calls a field.
func short(field string) string { return strings.TrimPrefix(field, tandem.FieldMetadata+".") }

// takenBack reports whether an edit here that led to a conflict was taken back. That is open until the next look.
func takenBack(m tandem.Mapping) bool {
	return slices.ContainsFunc(m.Conflicts, func(h tandem.FieldConflict) bool { return h.Platform == valueOf(*m.Base, short(h.Field)) })
}

// agreed takes what is on hold out of a comparison. It must show what either side has at this moment.
func (w *world) agreed(local tandem.Fields, m tandem.Mapping, row *remoteRow) (tandem.Fields, tandem.MappingState) {
	want := tandem.Synced
	for _, held := range m.Conflicts {
		if held.Platform != valueOf(local, short(held.Field)) || held.Provider != valueOf(row.fields, short(held.Field)) {
			w.fail("on hold is %+v, but the platform has %s and the provider %s", held, show(local), show(row.fields))
		}
		if w.policyOf(held.Field).Conflict != tandem.Hold {
			w.fail("nobody wants %s on hold", held.Field)
		}
		local, want = local.With(patch(short(held.Field), held.Provider)), tandem.InConfl
	}
	return local, want
}
