package stripetest

import "net/url"

// customerRecord keeps a customer's place in listings and its recent states.
type customerRecord struct {
	pos      int // place in order; kept after deletion, so cursors stay valid
	now      *Customer
	versions []version // for search, which lags behind
}

// origin says who makes a change and how the log and the event name it.
type origin struct {
	entry *Operation
	by    eventRequest
	form  *node
}

// insert creates a customer; the lock is held, the form checked.
func (s *Server) insert(o origin) (*Customer, []*event, *apiError) {
	c := &Customer{
		Created: s.now().Unix(), Metadata: map[string]string{}, PreferredLocales: []string{},
		InvoicePrefix: s.ids.draw("invoice_prefix", 8, hexCap), NextInvoiceSequence: 1, TaxExempt: "none",
	}
	blank := c.clone()
	if err := c.apply(o.form, s.settings.ReplaceAddress); err != nil {
		return nil, nil, err
	}
	c.ID = s.ids.make("cus_", 14)
	blank.ID = c.ID
	rec := s.settle(c)
	rec.index(s.now(), c)
	o.entry.CustomerID, o.entry.Applied, o.entry.Changed = c.ID, true, changedNames(blank, c)
	return c, s.emit(CustomerCreated, c.ID, c, nil, o.by), nil
}

// modify updates a live customer; the lock is held, the form checked.
func (s *Server) modify(id string, o origin) (*Customer, []*event, *apiError) {
	o.entry.CustomerID = id
	rec := s.customers[id]
	if rec == nil || rec.now.Deleted {
		return nil, nil, noSuch("customer", id)
	}
	before, after := rec.now, rec.now.clone()
	if err := after.apply(o.form, s.settings.ReplaceAddress); err != nil {
		return nil, nil, err
	}
	rec.now = after
	rec.index(s.now(), after)
	o.entry.Applied, o.entry.Changed = true, changedNames(before, after)
	return after, s.emitUpdated(before, after, o.by), nil
}

// remove deletes a live customer for good; the lock is held.
func (s *Server) remove(id string, o origin) (*Customer, []*event, *apiError) {
	o.entry.CustomerID = id
	rec := s.customers[id]
	if rec == nil || rec.now.Deleted {
		return nil, nil, noSuch("customer", id)
	}
	last := rec.now
	rec.now = &Customer{ID: id, Created: last.Created, Deleted: true}
	rec.versions = nil // gone from search at once
	o.entry.Applied = true
	return rec.now, s.emitDeleted(last, o.by), nil
}

// CreateCustomer adds a customer as a person in the dashboard would.
func (s *Server) CreateCustomer(form url.Values) (Customer, error) {
	return s.byHand("create", "", form, createParams, s.insert)
}

// EditCustomer changes a customer as a person in the dashboard would. Besides
// the API's parameters it takes delinquent and currency, which Stripe changes
// by itself.
func (s *Server) EditCustomer(id string, form url.Values) (Customer, error) {
	return s.byHand("update", id, form, personParams, func(o origin) (*Customer, []*event, *apiError) { return s.modify(id, o) })
}

// DeleteCustomer deletes a customer as a person in the dashboard would.
func (s *Server) DeleteCustomer(id string) error {
	_, err := s.byHand("delete", id, nil, params{}, func(o origin) (*Customer, []*event, *apiError) { return s.remove(id, o) })
	return err
}

// byHand runs a dashboard edit: no idempotency key, and a request id unless
// DashboardNoReqID is set.
func (s *Server) byHand(op, id string, form url.Values, allowed params, run func(origin) (*Customer, []*event, *apiError)) (Customer, error) {
	tree, err := parseForm(form)
	if err == nil {
		err = check(tree, allowed, "")
	}
	if err != nil {
		return Customer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := origin{form: tree, entry: &Operation{Actor: ActorDashboard, Op: op, CustomerID: id, Form: form, Status: 200}}
	if !s.settings.DashboardNoReqID {
		o.entry.RequestID = s.ids.make("req_", 14)
		o.by.ID = &o.entry.RequestID
	}
	c, events, err := run(o)
	if err != nil {
		return Customer{}, err
	}
	o.entry.EventIDs = eventIDs(events)
	s.record(o.entry)
	return *c.clone(), nil
}

// Customer returns the present state of a customer, deleted or not.
func (s *Server) Customer(id string) (Customer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.customers[id]
	if rec == nil {
		return Customer{}, false
	}
	return *rec.now.clone(), true
}

// Customers returns the live customers in order of creation.
func (s *Server) Customers() []Customer {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Customer{}
	for _, id := range s.order {
		if c := s.customers[id].now; !c.Deleted {
			out = append(out, *c.clone())
		}
	}
	return out
}

func eventIDs(events []*event) []string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.id)
	}
	return ids
}
