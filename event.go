package tandem

import "time"

// Event is one verified provider event. Payload is the body as it was signed; State is what it says about one remote
// customer, nil when the event is about something else.
type Event struct {
	ID         string
	Type       string
	ObjectID   string // the object's id at the provider; a remote customer's when State is set
	Created    time.Time
	APIVersion string
	Livemode   bool
	Key        string // idempotency key of the causing request
	Payload    []byte
	State      *RemoteState
}

// EventState is what became of a ledger row. All but received are ends; conflict and parked wait for a person.
type EventState string

// The states of a ledger row.
const (
	EventReceived EventState = "received" // stored, not decided on yet
	EventApplied  EventState = "applied"  // it changed something
	EventEcho     EventState = "echo"     // it said what we knew already, most often our own write coming back
	EventStale    EventState = "stale"    // older than what we know
	EventIgnored  EventState = "ignored"  // not ours to act on; the reason says why
	EventConflict EventState = "conflict" // two truths; a person chooses
	EventParked   EventState = "parked"   // could not be processed; a person looks
)

// LedgerRow is one event as the ledger keeps it.
type LedgerRow struct {
	ID          string
	Provider    string
	EventID     string
	Type        string
	ObjectID    string
	Created     time.Time
	ReceivedAt  time.Time
	APIVersion  string
	Livemode    bool
	Key         string
	Payload     []byte
	Deliveries  int
	State       EventState
	Reason      string
	ProcessedAt *time.Time
}

// EventQuery selects ledger rows, newest first. Empty values select everything.
type EventQuery struct {
	Provider string
	EventID  string
	ObjectID string
	Type     string
	State    EventState
	After    string // the last row id of the page before
	Limit    int    // 1 to 100
}

// Ingested says what the ledger made of a delivery. Open means that somebody still has to process the row: it is new,
// or an earlier delivery was stored and never finished.
type Ingested struct {
	Row   string
	State EventState
	Open  bool
}
