package stripetest

import (
	"encoding/json"
	"fmt"
	"time"
)

// eventLife is how long Stripe lists an event.
const eventLife = 30 * 24 * time.Hour

// Event types the stand-in emits by itself.
const (
	CustomerCreated = "customer.created"
	CustomerUpdated = "customer.updated"
	CustomerDeleted = "customer.deleted"
)

// Event is an event as GET /v1/events shows it. A webhook body differs in
// api_version, which is its endpoint's, and in pending_webhooks.
type Event struct {
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Created         int64           `json:"created"`
	CustomerID      string          `json:"customer_id,omitempty"`
	RequestID       string          `json:"request_id,omitempty"`
	IdempotencyKey  string          `json:"idempotency_key,omitempty"`
	PendingWebhooks int             `json:"pending_webhooks"`
	Body            json.RawMessage `json:"body"` // pretty-printed, as on the wire
}

type event struct {
	pos        int // place in the order of creation, never reused
	id         string
	typ        string
	created    int64
	customerID string
	object     any // *Customer or raw JSON; never changed once stored
	previous   map[string]any
	request    eventRequest
	pending    map[string]bool // endpoints that have not accepted it yet

	firstsLeft int           // first attempts still to finish
	firstsDone chan struct{} // closed when none is left
}

type eventBody struct {
	ID              string       `json:"id"`
	Object          string       `json:"object"`
	APIVersion      string       `json:"api_version"`
	Created         int64        `json:"created"`
	Data            eventData    `json:"data"`
	Livemode        bool         `json:"livemode"`
	PendingWebhooks int          `json:"pending_webhooks"`
	Request         eventRequest `json:"request"`
	Type            string       `json:"type"`
}

type eventData struct {
	Object   any            `json:"object"`
	Previous map[string]any `json:"previous_attributes,omitempty"`
}

type eventRequest struct {
	ID             *string `json:"id"`
	IdempotencyKey *string `json:"idempotency_key"`
}

func (e *event) body(apiVersion string) eventBody {
	return eventBody{
		ID: e.id, Object: "event", APIVersion: apiVersion, Created: e.created, Type: e.typ,
		Data: eventData{Object: e.object, Previous: e.previous}, PendingWebhooks: len(e.pending), Request: e.request,
	}
}

// emit stores an event and plans its deliveries; the lock is held. It returns
// nothing for an event that is lost before it is generated.
func (s *Server) emit(typ, customerID string, object any, previous map[string]any, by eventRequest) []*event {
	if s.settings.LoseEvents > 0 {
		s.settings.LoseEvents--
		return nil
	}
	copies := 1
	if s.settings.TwinEvents {
		copies = 2
	}
	var made []*event
	for range copies {
		e := &event{
			pos: s.eventCount, id: s.ids.make("evt_", 24), typ: typ, created: s.now().Unix(), customerID: customerID,
			object: object, previous: previous, request: by, pending: map[string]bool{}, firstsDone: make(chan struct{}),
		}
		s.eventCount++
		s.events = append(s.events, e)
		s.eventByID[e.id] = e
		s.plan(e)
		made = append(made, e)
	}
	s.pruneEvents()
	s.changed()
	return made
}

// emitUpdated emits customer.updated, or nothing for an update without effect.
func (s *Server) emitUpdated(before, after *Customer, by eventRequest) []*event {
	prev := previousAttributes(before, after)
	if len(prev) == 0 && !s.settings.EmitNoopEvents {
		return nil
	}
	return s.emit(CustomerUpdated, after.ID, after, prev, by)
}

// emitDeleted shows the deleted customer in one of the two shapes seen in the
// wild; only its id can be relied upon.
func (s *Server) emitDeleted(last *Customer, by eventRequest) []*event {
	stub := s.settings.DeletedObject == "stub"
	if s.settings.DeletedObject == "alternate" {
		stub = s.deletions%2 == 1
	}
	s.deletions++
	if stub {
		last = &Customer{ID: last.ID, Deleted: true}
	}
	return s.emit(CustomerDeleted, last.ID, last, nil, by)
}

// pruneEvents forgets what Stripe would no longer list; the lock is held.
func (s *Server) pruneEvents() {
	oldest := s.now().Add(-eventLife).Unix()
	for len(s.events) > 0 && s.events[0].created < oldest {
		delete(s.eventByID, s.events[0].id)
		s.events = s.events[1:]
	}
}

// Emit sends an event of any type and object as something Stripe did by
// itself: request.id and request.idempotency_key are null.
func (s *Server) Emit(typ string, object json.RawMessage) ([]Event, error) {
	var ref struct {
		ID string `json:"id"` // an object without one is fine
	}
	if err := json.Unmarshal(object, &ref); err != nil {
		return nil, fmt.Errorf("event object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.views(s.emit(typ, ref.ID, object, nil, eventRequest{})), nil
}

// Events returns every event of the last 30 days, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruneEvents()
	return s.views(s.events)
}

func (s *Server) views(events []*event) []Event {
	out := make([]Event, 0, len(events))
	for _, e := range events {
		out = append(out, Event{
			ID: e.id, Type: e.typ, Created: e.created, CustomerID: e.customerID, PendingWebhooks: len(e.pending),
			RequestID: deref(e.request.ID), IdempotencyKey: deref(e.request.IdempotencyKey),
			Body: render(e.body(s.opts.APIVersion)),
		})
	}
	return out
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
