package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
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
		rec = &customerRecord{pos: len(s.order)}
		s.order = append(s.order, c.ID)
		s.customers[c.ID] = rec
	}
	rec.now = c
	rec.index(s.now(), c)
	s.changed()
	return nil
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
