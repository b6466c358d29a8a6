package tandem_test

import (
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/tandem-sync/tandem"
)

// simEpoch is when every simulation begins. Its clock runs in milliseconds; what the remote says about time is floored
// to whole seconds, as at Stripe.
var simEpoch = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

// simRemote is a provider with customers, an event log and a memory of idempotency keys. It knows nothing of Tandem.
type simRemote struct {
	now    time.Time
	skew   time.Duration // how far the clock that stamps answers is behind the one that stamps events
	rows   map[string]*simRemoteRow
	order  []string
	events []*simEvent
	memory map[string]simAnswer
	quiet  bool // nobody but a caller with a key has changed anything since the beginning
	writes int  // changes made on behalf of a caller with a key
}

type simRemoteRow struct {
	created time.Time
	fields  tandem.Fields
	deleted bool
}

type simEvent struct {
	state     tandem.RemoteState
	delivered int
	dropped   bool
}

// simAnswer is the snapshot an answer carries, the first and every replayed one.
type simAnswer struct {
	id       string
	created  time.Time
	fields   tandem.Fields
	deleted  bool
	gone     bool
	replayed bool
}

func newSimRemote() *simRemote {
	return &simRemote{now: simEpoch, quiet: true, rows: map[string]*simRemoteRow{}, memory: map[string]simAnswer{}}
}

func whole(t time.Time) time.Time { return t.Truncate(time.Second) }

func copyFields(f tandem.Fields) tandem.Fields {
	f.Metadata, f.Reserved = maps.Clone(f.Metadata), maps.Clone(f.Reserved)
	if f.Reserved == nil {
		f.Reserved = map[string]string{}
	}
	return f
}

// create makes a customer; with a key that is remembered it only repeats the first answer.
func (r *simRemote) create(key string, body tandem.Patch) simAnswer {
	if a, ok := r.memory[key]; ok && key != "" {
		a.replayed = true
		return a
	}
	id := fmt.Sprintf("cus_%d", len(r.rows)+1)
	r.rows[id] = &simRemoteRow{created: whole(r.now), fields: copyFields(tandem.Fields{}.With(body))}
	r.order = append(r.order, id)
	r.emit(id, "customer.created", key)
	return r.remember(key, id)
}

// update changes a customer. Without a difference there is no event, as at Stripe.
func (r *simRemote) update(id, key string, body tandem.Patch) simAnswer {
	if a, ok := r.memory[key]; ok && key != "" {
		a.replayed = true
		return a
	}
	row := r.rows[id]
	if row.deleted {
		return simAnswer{id: id, gone: true}
	}
	after := copyFields(row.fields.With(body))
	if !after.Equal(row.fields) {
		row.fields = after
		r.emit(id, "customer.updated", key)
	}
	return r.remember(key, id)
}

func (r *simRemote) delete(id string) {
	if row := r.rows[id]; !row.deleted {
		row.deleted = true
		r.emit(id, "customer.deleted", "")
	}
}

func (r *simRemote) remember(key, id string) simAnswer {
	a := r.look(id)
	if key != "" {
		r.memory[key] = a
		r.writes++
	}
	return a
}

// look is the state as it is at this moment.
func (r *simRemote) look(id string) simAnswer {
	row := r.rows[id]
	return simAnswer{id: id, created: row.created, fields: copyFields(row.fields), deleted: row.deleted}
}

func (r *simRemote) emit(id, kind, key string) {
	row := r.rows[id]
	r.events = append(r.events, &simEvent{state: tandem.RemoteState{
		Provider: "stripe", RemoteID: id, Source: tandem.FromEvent, SeenFrom: whole(r.now), SeenTo: whole(r.now),
		Created: row.created, Deleted: kind == "customer.deleted", Fields: copyFields(row.fields), Key: key,
		EventID: fmt.Sprintf("evt_%d", len(r.events)+1), EventType: kind,
	}})
}

// answer turns a snapshot into what the adapter makes of it: true at the Date of the answer at the latest, and not
// earlier than the call took, less one second for machines that disagree.
func (r *simRemote) answer(a simAnswer, source tandem.Source, begun time.Time) tandem.RemoteState {
	to := whole(r.now.Add(-r.skew))
	took := time.Duration(math.Ceil(r.now.Sub(begun).Seconds())) * time.Second
	return tandem.RemoteState{
		Provider: "stripe", RemoteID: a.id, Source: source, SeenFrom: to.Add(-took - time.Second), SeenTo: to,
		Created: a.created, Deleted: a.deleted, Fields: a.fields, Replayed: a.replayed,
	}
}
