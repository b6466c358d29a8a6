package tandem

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Provider is a named connection to a payment provider: everything Tandem needs from one, and all it knows of one.
// Adding a provider means implementing this and passing providertest.Exercise.
//
// Every method returns *Error with a class. A method makes at most one attempt: Temporal is the only retry layer.
// Implementations are safe for concurrent use.
type Provider interface {
	// Name is the connection's name, lower case, e.g. "stripe"; it stands in workflow ids, URLs and the mapping.
	Name() string

	// Create makes a remote customer with exactly the fields of the body. The same key and body again return the
	// first customer, for as long as the provider remembers keys. Errors: any class but Gone.
	Create(ctx context.Context, key string, body Patch) (RemoteState, error)

	// Update changes exactly the fields of the body. Errors: Gone when the remote customer does not exist any more.
	Update(ctx context.Context, remoteID, key string, body Patch) (RemoteState, error)

	// Fetch reads one remote customer. One that was deleted is no error: its state says Deleted. Gone means the
	// provider has never heard of it, as with a key of another account.
	Fetch(ctx context.Context, remoteID string) (RemoteState, error)

	// Delete removes the remote customer; one that is gone already is success. Its state says Deleted.
	Delete(ctx context.Context, remoteID string) (RemoteState, error)

	// List reads one page, newest first. Errors: Invalid with CodeCursorGone when the customer the cursor stands for has
	// been deleted since.
	List(ctx context.Context, q ListQuery) (Page, error)

	// Account names the account that the key leads to, as the provider does. Errors: Auth also where the key may not ask.
	Account(ctx context.Context) (string, error)

	// Events reads one page of what happened to customers, newest first, as far back as the provider remembers.
	Events(ctx context.Context, q EventsQuery) (EventsPage, error)

	// VerifyWebhook checks the signature over the raw body, then parses it. Errors: Invalid with
	// CodeSignatureInvalid, or with CodeEventInvalid when the signed body is no event with an id.
	VerifyWebhook(header http.Header, body []byte, now time.Time) (Event, error)

	// ParseEvent reads a body that was verified earlier, as the ledger keeps it.
	ParseEvent(body []byte) (Event, error)

	// Check names what the provider would refuse in these fields, in the words of the HTTP API; nil is fine.
	Check(f Fields) []FieldError
}

// ListQuery selects remote customers. Zero values select everything.
type ListQuery struct {
	Email       string    // exact, as the provider compares
	CreatedFrom time.Time // inclusive
	CreatedTo   time.Time // exclusive
	Cursor      string    // Page.Next of the page before
	Limit       int       // 1 to 100; 0 is 100
}

// Page is one page of remote customers. Next is empty on the last one.
type Page struct {
	Items []RemoteState
	Next  string
}

// EventsQuery selects events about customers.
type EventsQuery struct {
	From   time.Time // inclusive
	Cursor string    // EventsPage.Next of the page before
	Limit  int       // 1 to 100; 0 is 100
}

// EventsPage is one page of events as webhooks would have brought them. Next is empty on the last one. SeenAt is when
// the provider answered, on its own clock.
type EventsPage struct {
	Items  []Event
	Next   string
	SeenAt time.Time
}

// Source says where a remote state was seen; it decides how far its time can be trusted.
type Source string

// The four ways to see a remote customer.
const (
	FromEvent    Source = "event"    // a snapshot made at Event.Created, delivered any time later
	FromResponse Source = "response" // the answer to our own create, update or delete
	FromFetch    Source = "fetch"
	FromList     Source = "list"
)

// RemoteState is one look at one remote customer. Everything that comes from a provider, by whatever way, becomes one
// of these and goes through Decide.
//
// The look was taken between SeenFrom and SeenTo on the provider's own clock, both in whole seconds. For an event both
// are its creation time. For an answer SeenTo is the Date header, and SeenFrom lies earlier by what the call took; an
// answer that the provider replayed from memory may be as old as the first attempt, which Decide allows for.
type RemoteState struct {
	Provider string    `json:"provider"`
	RemoteID string    `json:"remote_id"`
	Source   Source    `json:"source"`
	SeenFrom time.Time `json:"seen_from"`
	SeenTo   time.Time `json:"seen_to"`
	Created  time.Time `json:"created,omitzero"` // of the remote customer
	Deleted  bool      `json:"deleted,omitempty"`
	Fields   Fields    `json:"fields"`
	Absent   []string  `json:"absent,omitempty"`  // fields this payload does not carry at all: unknown, not empty
	Livemode bool      `json:"livemode"`          // real money or test
	Account  string    `json:"account,omitempty"` // a connected account's event; empty is our own account

	Key       string `json:"key,omitempty"`      // idempotency key of the call that caused this state
	Replayed  bool   `json:"replayed,omitempty"` // the provider answered from memory
	RequestID string `json:"request_id,omitempty"`

	// After is the mapping version that was read before this look began, zero when unknown. While the mapping still has
	// that version, the look is newer than the base by causality alone, whatever any clock says.
	After int64 `json:"after,omitempty"`

	EventRows []string `json:"event_rows,omitempty"` // ledger rows this look settles
	EventID   string   `json:"event_id,omitempty"`
	EventType string   `json:"event_type,omitempty"`
}

// TaskQueue is the queue on which a provider's calls are made. It is its own, so that the server can limit the rate
// of all workers together and one provider's outage fills no other provider's slots.
func TaskQueue(provider string) string { return "tandem-" + provider }

// Providers is the set of connections of this installation, in the order of configuration.
type Providers []Provider

// Get returns the connection with that name, or CodeProviderUnknown.
func (ps Providers) Get(name string) (Provider, error) {
	for _, p := range ps {
		if p.Name() == name {
			return p, nil
		}
	}
	return nil, &Error{Class: Invalid, Code: CodeProviderUnknown, Message: fmt.Sprintf("no provider is called %q here", name)}
}

// Names lists the connections.
func (ps Providers) Names() []string {
	names := make([]string, len(ps))
	for i, p := range ps {
		names[i] = p.Name()
	}
	return names
}
