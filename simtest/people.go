package simtest

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem"
)

// person calls the API about one customer: one wish after the other, and the same one again until it is answered.
type person struct {
	busy bool
	wish *tandem.Change
}

func patch(field, value string) tandem.Patch {
	switch field {
	case "name":
		return tandem.Patch{Name: &value}
	case "email":
		return tandem.Patch{Email: &value}
	}
	return tandem.Patch{Metadata: map[string]string{"k": value}}
}

func valueOf(f tandem.Fields, field string) string {
	switch field {
	case "name":
		return f.Name
	case "email":
		return f.Email
	}
	return f.Metadata["k"]
}

// edited remembers who said what last.
func (w *world) edited(id, field, side, value string) {
	if w.edits[id] == nil {
		w.edits[id] = map[string]map[string]string{}
	}
	if w.edits[id][field] == nil {
		w.edits[id][field] = map[string]string{}
	}
	delete(w.chosen, id+" "+field)
	w.edits[id][field][side] = value
}

func (w *world) create(name string, fault Fault) {
	w.changes++
	id := fmt.Sprintf("cust_%026d", w.changes)
	w.people[id] = &person{wish: &tandem.Change{ID: fmt.Sprintf("chg_%d", w.changes), Kind: tandem.ChangeCreate, CustomerID: id, Patch: patch("name", name)}}
	w.tell("person at the platform: creates %s", id)
	w.ask(w.people[id], fault)
}

// editLocal is a person who wants something else, unless there is still an answer to wait for.
func (w *world) editLocal(s step) {
	if waiting := w.unanswered(); len(waiting) > 0 {
		w.ask(waiting[s.Which%len(waiting)], s.fault())
		return
	}
	customers := w.rows().Customers
	if len(customers) == 0 {
		return
	}
	c := customers[s.Which%len(customers)]
	p := w.people[c.ID]
	if p == nil {
		p = &person{}
		w.people[c.ID] = p
	}
	switch {
	case p.busy:
		return
	case c.Status == tandem.Archived || s.Kind == "local" && valueOf(c.Fields(), s.Field) == s.Value:
		return
	}
	p.wish = w.wish(c.ID, s)
	w.ask(p, s.fault())
}

func (w *world) wish(id string, s step) *tandem.Change {
	w.changes++
	ch := tandem.Change{ID: fmt.Sprintf("chg_%d", w.changes), CustomerID: id}
	if s.Kind == "archive" {
		ch.Kind, ch.Remote = tandem.ChangeArchive, tandem.DeleteRemote
		if s.Wait >= 700 {
			ch.Remote, w.keep[id] = tandem.KeepRemote, true
		}
		w.tell("person at the platform: archives %s, provider: %s", id, ch.Remote)
		return &ch
	}
	ch.Kind, ch.Patch = tandem.ChangeUpdate, patch(s.Field, s.Value)
	w.edited(id, s.Field, "platform", s.Value)
	w.tell("person at the platform: %s %s = %q", id, s.Field, s.Value)
	return &ch
}

func (w *world) ask(p *person, fault Fault) {
	p.busy = true
	defer func() { p.busy = false }()
	ch := *p.wish
	l := w.laneOf(ch.CustomerID)
	if w.armed(fault, "change", func(ctx context.Context) error {
		_, err := w.store.ApplyChange(ctx, ch, w.work(tandem.ByAPI, ch.ID))
		switch tandem.CodeOf(err) {
		case tandem.CodeCustomerArchived, tandem.CodeOwnedByProvider:
			return nil // an answer: the other side was quicker, or it is for the other side to say
		}
		return err
	}) {
		p.wish = nil
		l.due = true
	}
}

// unanswered are those who ask again.
func (w *world) unanswered() []*person {
	var out []*person
	for _, id := range w.order {
		if p := w.people[id]; p != nil && p.wish != nil && !p.busy {
			out = append(out, p)
		}
	}
	return out
}

func (w *world) editRemote(s step) {
	if len(w.remote.order) == 0 {
		return
	}
	id := w.remote.order[s.Which%len(w.remote.order)]
	row := w.remote.rows[id]
	switch {
	case s.Kind == "delete":
		w.remote.delete(id)
		w.tell("person at the provider: deletes %s", id)
	case row.deleted:
	case s.Kind == "reserved":
		// Only once the link is known: before that, the reserved metadata is all there is to recognise a create of ours by.
		if row.fields.Reserved[tandem.KeyEnvironment] != "" && w.rows().linked(id) != nil {
			w.remote.quiet = false
			w.remote.update(id, "", tandem.Patch{Reserved: map[string]string{tandem.KeyCustomerID: s.Value}})
			w.tell("person at the provider: %s %s = %q", id, tandem.KeyCustomerID, s.Value)
		}
	case valueOf(row.fields, s.Field) != s.Value:
		w.edited(id, s.Field, "provider", s.Value)
		if m := w.rows().linked(id); m != nil {
			delete(w.chosen, m.CustomerID+" "+s.Field)
		}
		w.moment++
		w.touched[id+" "+s.Field] = w.moment
		w.remote.quiet = false
		w.remote.update(id, "", patch(s.Field, s.Value))
		w.tell("person at the provider: %s %s = %q", id, s.Field, s.Value)
	}
}

// mail delivers an event, sometimes one that was delivered before, or loses one for ever.
func (w *world) mail(s step) {
	var open []*event
	for _, e := range w.remote.events {
		if !e.dropped && (s.Which >= 4 || e.delivered == 0) {
			open = append(open, e)
		}
	}
	if len(open) == 0 {
		return
	}
	e := open[s.Which%len(open)]
	if s.Kind == "deliver" {
		w.deliver(e, mailing{fault: s.fault(), unwoken: s.Fault && s.Break == NoFault, busy: s.Field == "k"})
	} else if e.sent == 0 && !e.state.Deleted {
		e.dropped = true
		w.tell("network: %s is never delivered", e.state.EventID)
	}
}

func (w *world) dropped() bool {
	return slices.ContainsFunc(w.remote.events, func(e *event) bool { return e.dropped })
}
