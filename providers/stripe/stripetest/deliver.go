package stripetest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// Delivery is one attempt to hand an event to an endpoint.
type Delivery struct {
	Seq        int           `json:"seq"`
	At         time.Time     `json:"at"` // by the stand-in's clock
	EventID    string        `json:"event_id"`
	EventType  string        `json:"event_type"`
	CustomerID string        `json:"customer_id,omitempty"`
	EndpointID string        `json:"endpoint_id"`
	Attempt    int           `json:"attempt"`
	Manual     bool          `json:"manual,omitempty"`
	Status     int           `json:"status"`          // the receiver's; 0 if there was none
	Error      string        `json:"error,omitempty"` // why there was none
	RetryIn    time.Duration `json:"retry_in_ns"`     // 0: no further attempt
}

// maxDeliveryLog bounds the memory of a long load run.
const maxDeliveryLog = 100_000

var errDisabled = errors.New("endpoint is disabled")

// deliver makes one attempt and decides on the next.
func (s *Server) deliver(d *delivery) {
	status, err := s.attempt(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.ctx.Err() != nil {
		return // cut short by Close: still open, to be made after a restart
	}
	entry := Delivery{
		Seq: s.out.logged + 1, At: s.now(), EventID: d.event.id, EventType: d.event.typ, CustomerID: d.event.customerID,
		EndpointID: d.endpoint, Attempt: d.attempt, Manual: d.manual, Status: status,
	}
	if err != nil {
		entry.Error = err.Error()
	}
	ok := err == nil && status >= 200 && status < 300
	if ok {
		delete(d.event.pending, d.endpoint)
	}
	first := d.attempt == 1 && !d.manual
	if !ok && !d.manual && d.attempt < s.settings.MaxAttempts && !errors.Is(err, errDisabled) {
		entry.RetryIn = s.backoff(d.attempt)
		d.attempt++
		s.schedule(entry.RetryIn, d)
	} else {
		delete(s.out.open, d)
	}
	if first {
		if d.event.firstsLeft--; d.event.firstsLeft == 0 {
			close(d.event.firstsDone)
		}
	}
	s.logDelivery(entry)
}

func (s *Server) backoff(attempt int) time.Duration {
	wait := s.settings.RetryFirst
	for range attempt - 1 {
		if wait *= 2; wait >= s.settings.RetryMax {
			break
		}
	}
	return min(wait, s.settings.RetryMax)
}

func (s *Server) logDelivery(entry Delivery) {
	s.out.logged++
	s.out.log = append(s.out.log, entry)
	if len(s.out.log) > maxDeliveryLog {
		s.out.log = slices.Clone(s.out.log[maxDeliveryLog/10:])
	}
	s.changed()
	s.log.Debug("webhook.attempted", "event_id", entry.EventID, "type", entry.EventType,
		"attempt", entry.Attempt, "status", entry.Status, "error", entry.Error)
}

// attempt renders, signs with a fresh timestamp and posts.
func (s *Server) attempt(d *delivery) (int, error) {
	s.mu.Lock()
	ep := s.endpoint(d.endpoint)
	if ep.Status != "enabled" {
		s.mu.Unlock()
		return 0, errDisabled
	}
	url, now, secrets, timeout := ep.URL, s.now(), ep.signing(s.now()), s.settings.WebhookTimeout
	body := d.event.body(orElse(ep.APIVersion, s.opts.APIVersion))
	s.mu.Unlock()

	payload := render(body)
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", Sign(payload, now, secrets...))
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // for connection reuse; the answer is the status
	return resp.StatusCode, nil
}

// Sign makes a Stripe-Signature header: one v1 per secret, and a v0 that
// receivers must ignore.
func Sign(payload []byte, at time.Time, secrets ...string) string {
	t := fmt.Sprint(at.Unix())
	header := "t=" + t
	for _, secret := range secrets {
		header += ",v1=" + mac(secret, t, payload)
	}
	return header + ",v0=" + mac("a key nobody has", t, payload)
}

func mac(secret, t string, payload []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(t + "."))
	h.Write(payload)
	return hex.EncodeToString(h.Sum(nil))
}

// newWebhookClient follows no redirect and uses no proxy: a 3xx is a failed
// delivery.
func newWebhookClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Deliveries returns the attempts made, oldest first: those of the given
// events, or all.
func (s *Server) Deliveries(eventIDs ...string) []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Delivery{}
	for _, d := range s.out.log {
		if len(eventIDs) == 0 || slices.Contains(eventIDs, d.EventID) {
			out = append(out, d)
		}
	}
	return out
}

// awaitFirsts waits, within bounds, until the first attempts of these events
// are over: their receiver hears of a change before the caller who made it.
func (s *Server) awaitFirsts(events []*event, limit time.Duration) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for _, e := range events {
		select {
		case <-e.firstsDone:
		case <-deadline.C:
			return
		case <-s.ctx.Done():
			return
		}
	}
}
