package stripetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// stateFormat goes up with every change of the shapes below, Customer and
// Operation included.
const stateFormat = 1

// keptOperations bounds the log in the file: it is written whole at every save.
const keptOperations = 10_000

// image is the account as StateFile keeps it. What is not here starts anew:
// settings, faults, API keys, the delivery log, the past that search lags into.
// Nor is the seed of the ids: a random one must not repeat ids that were given
// out after the last save before a kill.
type image struct {
	Format         int               `json:"format"`
	ClockOffset    time.Duration     `json:"clock_offset_ns"` // from Options.Clock
	IDs            map[string]uint64 `json:"ids"`             // drawn so far, by prefix
	Customers      []*customerImage  `json:"customers"`       // every one ever made, in order of creation
	EventCount     int               `json:"event_count"`     // ever made
	Events         []eventImage      `json:"events"`          // the latest of them
	Endpoints      []endpointImage   `json:"endpoints"`
	Deliveries     []deliveryImage   `json:"deliveries"` // not finished, in order of due time
	DeliveriesMade int               `json:"deliveries_made"`
	Keys           []keyImage        `json:"keys"` // oldest first
	Operations     []Operation       `json:"operations"`
}

// customerImage is a Customer field by field, without its API rendering.
type customerImage Customer

type eventImage struct {
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	Created    int64          `json:"created"`
	CustomerID string         `json:"customer_id,omitempty"`
	Object     objectImage    `json:"object"`
	Previous   map[string]any `json:"previous,omitempty"`
	Request    eventRequest   `json:"request"`
	Pending    []string       `json:"pending,omitempty"`
}

// objectImage is written as it renders and read back raw, so that an event
// looks the same for ever.
type objectImage struct{ any }

func (o objectImage) MarshalJSON() ([]byte, error) { return render(o.any), nil }

func (o *objectImage) UnmarshalJSON(raw []byte) error {
	o.any = json.RawMessage(bytes.Clone(raw))
	return nil
}

type endpointImage struct {
	Endpoint
	Secrets []secretImage `json:"secrets"` // in place of those of Endpoint
	Default bool          `json:"default,omitempty"`
}

type secretImage struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires,omitzero"`
}

type deliveryImage struct {
	Event    string `json:"event"`
	Endpoint string `json:"endpoint"`
	Manual   bool   `json:"manual,omitempty"`
}

type keyImage struct {
	Key        string    `json:"key"`
	Mark       []byte    `json:"mark"`
	At         time.Time `json:"at"`
	RequestID  string    `json:"request_id"`
	CustomerID string    `json:"customer_id,omitempty"`
	Status     int       `json:"status"`
	Body       []byte    `json:"body"`
}

// image copies what may still change and shares the rest; the lock is held.
func (s *Server) image() image {
	s.pruneEvents()
	s.pruneKeys()
	im := image{
		Format: stateFormat, ClockOffset: s.now().Sub(s.opts.Clock()).Round(time.Millisecond),
		IDs: maps.Clone(s.ids.next), EventCount: s.eventCount, DeliveriesMade: s.out.logged,
		Customers: make([]*customerImage, 0, len(s.order)), Events: make([]eventImage, 0, len(s.events)),
	}
	for _, id := range s.order {
		im.Customers = append(im.Customers, (*customerImage)(s.customers[id].now))
	}
	for _, e := range s.events {
		im.Events = append(im.Events, eventImage{
			ID: e.id, Type: e.typ, Created: e.created, CustomerID: e.customerID, Object: objectImage{e.object},
			Previous: e.previous, Request: e.request, Pending: slices.Sorted(maps.Keys(e.pending)),
		})
	}
	for _, e := range s.endpoints {
		im.Endpoints = append(im.Endpoints, e.image())
	}
	im.Deliveries = s.unfinished()
	im.Keys = s.keyImages()
	for _, op := range s.ops[max(0, len(s.ops)-keptOperations):] {
		im.Operations = append(im.Operations, *op)
	}
	return im
}

func (e *endpoint) image() endpointImage {
	im := endpointImage{Endpoint: e.Endpoint, Default: e.configured}
	for _, v := range e.secrets {
		im.Secrets = append(im.Secrets, secretImage{v.value, v.expires})
	}
	return im
}

// unfinished leaves out deliveries whose event is forgotten.
func (s *Server) unfinished() []deliveryImage {
	open := slices.SortedFunc(maps.Keys(s.out.open), func(a, b *delivery) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq))
	})
	var out []deliveryImage
	for _, d := range open {
		if s.eventByID[d.event.id] != nil {
			out = append(out, deliveryImage{d.event.id, d.endpoint, d.manual})
		}
	}
	return out
}

// keyImages leaves out keys whose request has not run yet.
func (s *Server) keyImages() []keyImage {
	var out []keyImage
	for _, k := range s.keys {
		if k.status != 0 {
			out = append(out, keyImage{k.key, bytes.Clone(k.mark[:]), k.at, k.requestID, k.customerID, k.status, k.body})
		}
	}
	slices.SortFunc(out, func(a, b keyImage) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key, b.Key)) })
	return out
}
