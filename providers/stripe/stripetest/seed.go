package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Seed puts a customer there as if it had always been: with the id and time of
// creation it says, without an event and without a line in the log. raw is a
// customer object as Stripe writes it; of it, the mapped fields are taken. A
// customer that is there already gets these fields.
func (s *Server) Seed(raw json.RawMessage) error {
	var in struct {
		ID          string             `json:"id"`
		Created     int64              `json:"created"`
		Name        *string            `json:"name"`
		Email       *string            `json:"email"`
		Phone       *string            `json:"phone"`
		Description *string            `json:"description"`
		Address     map[string]*string `json:"address"`
		Metadata    map[string]string  `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return fmt.Errorf("stripetest: seed: %w", err)
	}
	if in.ID == "" || in.Created <= 0 {
		return errors.New("stripetest: seed: a customer object with id and created is wanted")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Customer{
		ID: in.ID, Created: in.Created, Metadata: map[string]string{}, PreferredLocales: []string{},
		InvoicePrefix: s.ids.draw("invoice_prefix", 8, hexCap), NextInvoiceSequence: 1, TaxExempt: "none",
		Name: valueOf(in.Name), Email: valueOf(in.Email), Phone: valueOf(in.Phone), Description: valueOf(in.Description),
	}
	for part, value := range in.Address {
		if value != nil {
			if c.Address == nil {
				c.Address = Address{}
			}
			c.Address[part] = *value
		}
	}
	for k, v := range in.Metadata {
		c.Metadata[k] = v
	}
	rec := s.customers[c.ID]
	if rec == nil {
		rec = s.settle(c)
	}
	moved := rec.now.Created != c.Created
	rec.now = c
	rec.index(s.now(), c)
	if moved {
		s.sortOrder()
	}
	s.changed()
	return nil
}

// Crowd is a number of customers to seed together.
type Crowd struct {
	Size  int
	From  time.Time     // when the oldest was made
	Apart time.Duration // from one to the next: below a second, several share one

	// Each gives the i-th, oldest first, its fields; the id and the time of
	// creation may be changed too. Nil leaves everybody without any.
	Each func(i int, c *Customer)

	Events bool // with a customer.created for each, now
}

// SeedCrowd puts customers there as if they had always been: without a line in
// the log, and without events unless asked. It returns their ids, oldest first.
func (s *Server) SeedCrowd(crowd Crowd) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, crowd.Size)
	defer s.sortOrder() // also of a crowd that was broken off
	for i := range crowd.Size {
		c := &Customer{
			ID: s.ids.make("cus_", 14), Created: crowd.From.Add(time.Duration(i) * crowd.Apart).Unix(),
			Metadata: map[string]string{}, PreferredLocales: []string{},
			InvoicePrefix: s.ids.draw("invoice_prefix", 8, hexCap), NextInvoiceSequence: 1, TaxExempt: "none",
		}
		if crowd.Each != nil {
			crowd.Each(i, c)
		}
		if s.customers[c.ID] != nil || c.ID == "" || c.Created <= 0 || c.Deleted {
			return ids, fmt.Errorf("stripetest: seed: customer %d (%q) is there already, or has no id or time, or is deleted", i, c.ID)
		}
		s.append(c).index(s.now(), c)
		ids = append(ids, c.ID)
		if crowd.Events {
			s.emit(CustomerCreated, c.ID, c, nil, eventRequest{})
		}
	}
	s.changed()
	return ids, nil
}

func valueOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// SetWebhook makes the endpoint of Options.WebhookURL, or moves it: for callers
// that learn their own address only after the stand-in is up.
func (s *Server) SetWebhook(url string, secrets ...string) {
	s.configureEndpoint(url, secrets)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed()
}
