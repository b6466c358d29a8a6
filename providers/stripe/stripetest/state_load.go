package stripetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// load fills an empty stand-in from StateFile; no file is an empty account.
func (s *Server) load() error {
	if s.opts.StateFile == "" {
		return nil
	}
	raw, err := os.ReadFile(s.opts.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var im image
	if err == nil {
		im, err = readImage(raw)
	}
	if err == nil {
		err = s.restore(im)
	}
	if err != nil {
		return fmt.Errorf("stripetest: state file %s: %w; delete the file to start with an empty account", s.opts.StateFile, err)
	}
	return nil
}

// readImage looks at the format before it asks for the shapes of this one.
func readImage(raw []byte) (image, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return image{}, fmt.Errorf("not readable: %w", err)
	}
	if head.Format != stateFormat {
		return image{}, fmt.Errorf("format %d, but this stand-in reads only format %d", head.Format, stateFormat)
	}
	var im image
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&im); err != nil {
		return image{}, fmt.Errorf("not readable: %w", err)
	}
	return im, nil
}

// restore runs before any goroutine or request.
func (s *Server) restore(im image) error {
	s.offset, s.out.logged = im.ClockOffset, im.DeliveriesMade
	for prefix, n := range im.IDs {
		s.ids.next[prefix] = n
	}
	for _, e := range im.Endpoints {
		s.endpoints = append(s.endpoints, e.restore())
	}
	for _, k := range im.Keys {
		entry := &saved{key: k.Key, at: k.At, requestID: k.RequestID, customerID: k.CustomerID, status: k.Status, body: k.Body}
		copy(entry.mark[:], k.Mark)
		s.keys[k.Key] = entry
		s.keyAges = append(s.keyAges, entry)
	}
	for i := range im.Operations {
		s.ops = append(s.ops, &im.Operations[i])
	}
	if len(s.ops) > 0 {
		s.opsGone = s.ops[0].Seq - 1
	}
	if err := s.restoreCustomers(im); err != nil {
		return err
	}
	s.restoreEvents(im)
	return s.requeue(im.Deliveries)
}

// restoreCustomers gives each one version of no age: search has caught up.
func (s *Server) restoreCustomers(im image) error {
	for i, c := range im.Customers {
		if c == nil || c.ID == "" {
			return fmt.Errorf("customer %d has no id", i)
		}
		rec := s.append((*Customer)(c))
		if c.Deleted {
			s.deletions++
		} else {
			rec.versions = []version{{state: rec.now}}
		}
	}
	s.sortOrder()
	return nil
}

func (s *Server) restoreEvents(im image) {
	s.eventCount = im.EventCount
	for i, v := range im.Events {
		e := &event{
			pos: im.EventCount - len(im.Events) + i, id: v.ID, typ: v.Type, created: v.Created, customerID: v.CustomerID,
			object: v.Object.any, previous: v.Previous, request: v.Request, pending: map[string]bool{}, firstsDone: make(chan struct{}),
		}
		for _, endpoint := range v.Pending {
			e.pending[endpoint] = true
		}
		s.events = append(s.events, e)
		s.eventByID[e.id] = e
	}
}

func (im endpointImage) restore() *endpoint {
	e := &endpoint{Endpoint: im.Endpoint, configured: im.Default}
	for _, v := range im.Secrets {
		e.secrets = append(e.secrets, secret{v.Value, v.Expires})
	}
	return e
}

// requeue makes deliveries due at once, their attempts counted from one again:
// the receiver may come up later than the stand-in.
func (s *Server) requeue(list []deliveryImage) error {
	for _, v := range list {
		e := s.eventByID[v.Event]
		if e == nil || s.endpoint(v.Endpoint) == nil {
			return fmt.Errorf("a delivery names event %q and endpoint %q, which are not both there", v.Event, v.Endpoint)
		}
		d := &delivery{event: e, endpoint: v.Endpoint, attempt: 1, manual: v.Manual}
		s.open(d)
		s.schedule(0, d)
	}
	return nil
}
