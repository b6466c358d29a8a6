package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tandem-sync/tandem"
)

// fakeStore keeps everything in maps. err fails every method; calls counts them by name.
type fakeStore struct {
	mu        sync.Mutex
	clock     time.Time
	customers map[string]tandem.Customer
	mappings  []tandem.Mapping
	keys      map[string]reservation
	events    map[string]tandem.Event
	open      bool
	err       error
	calls     map[string]int
	query     tandem.CustomerQuery
	journal   []tandem.JournalEntry
	rows      []tandem.LedgerRow
	asked     any // the query of the last list of mappings, events, runs or findings
	fakeRuns
}

type reservation struct {
	body string
	tandem.Reservation
}

func newFakeStore(clock time.Time) *fakeStore {
	return &fakeStore{
		clock: clock, customers: map[string]tandem.Customer{}, keys: map[string]reservation{},
		events: map[string]tandem.Event{}, open: true, calls: map[string]int{},
	}
}

func (s *fakeStore) enter(method string) (func(), error) {
	s.mu.Lock()
	s.calls[method]++
	return s.mu.Unlock, s.err
}

func (s *fakeStore) called(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// written is how often the store was asked to write.
func (s *fakeStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls["Reserve"] + s.calls["Ingest"] + s.calls["SetMappingMetadata"] + s.calls["Reopen"]
}

func (s *fakeStore) Customer(_ context.Context, id string) (tandem.Customer, error) {
	leave, err := s.enter("Customer")
	defer leave()
	c, ok := s.customers[id]
	if err == nil && !ok {
		err = errNotFound
	}
	return c, err
}

var errNotFound = &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeCustomerNotFound, Message: "this customer does not exist"}

func (s *fakeStore) CustomerByExternalID(_ context.Context, externalID string) (tandem.Customer, error) {
	leave, err := s.enter("CustomerByExternalID")
	defer leave()
	if err != nil {
		return tandem.Customer{}, err
	}
	for _, c := range s.customers {
		if c.ExternalID == externalID && c.Status == tandem.Active {
			return c, nil
		}
	}
	return tandem.Customer{}, errNotFound
}

func (s *fakeStore) Customers(_ context.Context, q tandem.CustomerQuery) ([]tandem.Customer, error) {
	leave, err := s.enter("Customers")
	defer leave()
	s.query = q
	var out []tandem.Customer
	for _, c := range s.customers {
		if q.After == "" || c.ID < q.After {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b tandem.Customer) int { return -cmpID(a, b) })
	return out[:min(q.Limit, len(out))], err
}

func cmpID(a, b tandem.Customer) int {
	if a.ID < b.ID {
		return -1
	}
	return 1
}

func (s *fakeStore) Mappings(_ context.Context, ids []string) ([]tandem.Mapping, error) {
	leave, err := s.enter("Mappings")
	defer leave()
	var out []tandem.Mapping
	for _, m := range s.mappings {
		if slices.Contains(ids, m.CustomerID) {
			out = append(out, m)
		}
	}
	return out, err
}

func (s *fakeStore) Reserve(_ context.Context, keyHash, bodyHash, customerID string) (tandem.Reservation, error) {
	leave, err := s.enter("Reserve")
	defer leave()
	r, ok := s.keys[keyHash]
	if !ok {
		r = reservation{body: bodyHash, Reservation: tandem.Reservation{CustomerID: customerID}}
		s.keys[keyHash] = r
	}
	if r.body != bodyHash {
		return tandem.Reservation{}, &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeIdempotencyReused, Message: "used before"}
	}
	return r.Reservation, err
}

func (s *fakeStore) Ingest(_ context.Context, _ string, e tandem.Event) (tandem.Ingested, error) {
	leave, err := s.enter("Ingest")
	defer leave()
	s.events[e.ID] = e
	if !s.open {
		return tandem.Ingested{Row: "pev_1", State: tandem.EventEcho}, err
	}
	return tandem.Ingested{Row: "pev_1", State: tandem.EventReceived, Open: true}, err
}

// IngestAndApply is Ingest to a store that decides nothing.
func (s *fakeStore) IngestAndApply(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	s.mu.Lock()
	s.calls["IngestAndApply"]++
	s.mu.Unlock()
	return s.Ingest(ctx, provider, e)
}

// put stores a customer with everything a test leaves out.
func (s *fakeStore) put(c tandem.Customer) tandem.Customer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putLocked(c)
}

func (s *fakeStore) putLocked(c tandem.Customer) tandem.Customer {
	if c.Status == "" {
		c.Status = tandem.Active
	}
	c.Version++
	c.CreatedAt, c.UpdatedAt = s.clock, s.clock
	s.customers[c.ID] = c
	return c
}

// fakeProvider knows webhooks signed over time and body, and two limits.
type fakeProvider struct{ tandem.Provider }

const webhookSecret = "whsec_canary_91c2"

func (fakeProvider) Name() string { return "stripe" }

func (p fakeProvider) VerifyWebhook(h http.Header, body []byte, now time.Time) (tandem.Event, error) {
	at, err := strconv.ParseInt(h.Get("Test-Time"), 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > 5*time.Minute || h.Get("Test-Signature") != signature(at, body) {
		return tandem.Event{}, &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeSignatureInvalid, Message: "bad signature"}
	}
	return p.ParseEvent(body)
}

// ParseEvent believes what it reads.
func (fakeProvider) ParseEvent(body []byte) (tandem.Event, error) {
	var e struct{ ID, Type, Customer string }
	if json.Unmarshal(body, &e) != nil || e.ID == "" {
		return tandem.Event{}, &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeEventInvalid, Message: "not an event"}
	}
	out := tandem.Event{ID: e.ID, Type: e.Type, ObjectID: e.Customer, Payload: body}
	if e.Customer != "" {
		out.State = &tandem.RemoteState{RemoteID: e.Customer}
	}
	return out, nil
}

func signature(at int64, body []byte) string {
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at, body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (fakeProvider) Check(f tandem.Fields) []tandem.FieldError {
	var out []tandem.FieldError
	if utf8.RuneCountInString(f.Name) > 256 {
		out = append(out, tandem.FieldError{Field: "name", Code: "too_long", Message: "at most 256"})
	}
	if utf8.RuneCountInString(f.Phone) > 20 {
		out = append(out, tandem.FieldError{Field: "phone", Code: "too_long", Message: "at most 20"})
	}
	if len(f.Metadata) > 47 {
		out = append(out, tandem.FieldError{Field: "metadata", Code: "too_many", Message: "at most 47"})
	}
	return out
}
