package simtest

import (
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/tandem-sync/tandem"
)

// epoch is when every simulation begins. Its clock runs in milliseconds; what the remote says about time is floored
// to whole seconds, as at Stripe.
var epoch = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

// remoteSide is a provider with customers, an event log and a memory of idempotency keys. It knows nothing of Tandem.
type remoteSide struct {
	now    time.Time
	skew   time.Duration // how far the clock that stamps answers is behind the one that stamps events
	rows   map[string]*remoteRow
	order  []string
	events []*event
	memory map[string]answer
	quiet  bool // nobody but a caller with a key has changed anything since the beginning
	writes int  // changes made on behalf of a caller with a key
}

type remoteRow struct {
	created time.Time
	fields  tandem.Fields
	deleted bool
}

type event struct {
	state     tandem.RemoteState
	sent      int // deliveries begun
	underWay  int
	delivered int // deliveries that were answered
	dropped   bool
}

// body is the event as the webhook handler gets it.
func (e *event) body() tandem.Event {
	s := e.state
	return tandem.Event{
		ID: s.EventID, Type: s.EventType, ObjectID: s.RemoteID, Created: s.SeenTo, Key: s.Key,
		Payload: []byte(`{"id": "` + s.EventID + `"}`), State: &s,
	}
}

// answer is the snapshot an answer carries, the first and every replayed one.
type answer struct {
	id       string
	created  time.Time
	fields   tandem.Fields
	deleted  bool
	gone     bool
	replayed bool
}

func newRemote() *remoteSide {
	return &remoteSide{now: epoch, quiet: true, rows: map[string]*remoteRow{}, memory: map[string]answer{}}
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
func (r *remoteSide) create(key string, body tandem.Patch) answer {
	if a, ok := r.memory[key]; ok && key != "" {
		a.replayed = true
		return a
	}
	id := fmt.Sprintf("cus_%d", len(r.rows)+1)
	r.rows[id] = &remoteRow{created: whole(r.now), fields: copyFields(tandem.Fields{}.With(body))}
	r.order = append(r.order, id)
	r.emit(id, "customer.created", key)
	return r.remember(key, id)
}

// update changes a customer. Without a difference there is no event, as at Stripe.
func (r *remoteSide) update(id, key string, body tandem.Patch) answer {
	if a, ok := r.memory[key]; ok && key != "" {
		a.replayed = true
		return a
	}
	row := r.rows[id]
	if row.deleted {
		return answer{id: id, gone: true}
	}
	after := copyFields(row.fields.With(body))
	if !after.Equal(row.fields) {
		row.fields = after
		r.emit(id, "customer.updated", key)
	}
	return r.remember(key, id)
}

// delete takes no key, and one that is gone already is gone.
func (r *remoteSide) delete(id string) answer {
	if row := r.rows[id]; !row.deleted {
		row.deleted = true
		r.emit(id, "customer.deleted", "")
	}
	return r.look(id)
}

func (r *remoteSide) remember(key, id string) answer {
	a := r.look(id)
	if key != "" {
		r.memory[key] = a
		r.writes++
	}
	return a
}

// look is the state as it is at this moment.
func (r *remoteSide) look(id string) answer {
	row := r.rows[id]
	return answer{id: id, created: row.created, fields: copyFields(row.fields), deleted: row.deleted}
}

func (r *remoteSide) emit(id, kind, key string) {
	row := r.rows[id]
	r.events = append(r.events, &event{state: tandem.RemoteState{
		Provider: "stripe", RemoteID: id, Source: tandem.FromEvent, SeenFrom: whole(r.now), SeenTo: whole(r.now),
		Created: row.created, Deleted: kind == "customer.deleted", Fields: copyFields(row.fields), Key: key,
		EventID: fmt.Sprintf("evt_%d", len(r.events)+1), EventType: kind,
	}})
}

// answer turns a snapshot into what the adapter makes of it: true at the Date of the answer at the latest, and not
// earlier than the call took, less one second for machines that disagree.
func (r *remoteSide) answer(a answer, source tandem.Source, begun time.Time) tandem.RemoteState {
	to := whole(r.now.Add(-r.skew))
	took := time.Duration(math.Ceil(r.now.Sub(begun).Seconds())) * time.Second
	return tandem.RemoteState{
		Provider: "stripe", RemoteID: a.id, Source: source, SeenFrom: to.Add(-took - time.Second), SeenTo: to,
		Created: a.created, Deleted: a.deleted, Fields: a.fields, Replayed: a.replayed,
	}
}
