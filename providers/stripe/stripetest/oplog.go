package stripetest

import (
	"maps"
	"net/url"
	"slices"
	"time"
)

// Actors of an operation.
const (
	ActorAPI       = "api"       // a request with a key
	ActorDashboard = "dashboard" // a person, through EditCustomer and friends or the control API
)

// Operation is one line of the log: one request answered or one edit made.
// The log is append-only and in commit order: an entry gets its number under
// the lock that guards the change it describes.
type Operation struct {
	Seq            int        `json:"seq"`
	At             time.Time  `json:"at"` // by the stand-in's clock
	Actor          string     `json:"actor"`
	Method         string     `json:"method,omitempty"`
	Path           string     `json:"path,omitempty"`
	Op             string     `json:"op"` // create, update, delete, retrieve, list, search, …
	CustomerID     string     `json:"customer_id,omitempty"`
	IdempotencyKey string     `json:"idempotency_key,omitempty"`
	RequestID      string     `json:"request_id,omitempty"`
	Status         int        `json:"status"`           // as sent, or as it would have been; 0 if dropped before a status existed
	Replayed       bool       `json:"replayed"`         // answered from the idempotency store
	Applied        bool       `json:"applied"`          // a write that was committed, even if it changed nothing
	Changed        []string   `json:"changed"`          // fields whose stored value differs now: name, metadata[plan]
	Form           url.Values `json:"form,omitempty"`   // parameters as sent, from body and query
	Fault          string     `json:"fault,omitempty"`  // kinds of the faults that struck, joined by +
	EventIDs       []string   `json:"events,omitempty"` // events this operation caused
}

// maxOperations bounds the log: some 100 MB of it.
const maxOperations = 250_000

// Operations returns the log, oldest first: the last 250,000 entries at least.
// After a restart with a StateFile it begins with the last 10,000 of before.
func (s *Server) Operations() []Operation { return s.OperationsSince(0) }

// OperationsSince returns the entries with a Seq above seq.
func (s *Server) OperationsSince(seq int) []Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := min(max(seq-s.opsGone, 0), len(s.ops))
	out := make([]Operation, 0, len(s.ops)-from)
	for _, op := range s.ops[from:] {
		entry := *op
		entry.Changed, entry.EventIDs = slices.Clone(op.Changed), slices.Clone(op.EventIDs)
		out = append(out, entry)
	}
	return out
}

// record appends an entry; the lock is held.
func (s *Server) record(op *Operation) {
	op.Seq = s.opsGone + len(s.ops) + 1
	op.At = s.now()
	s.ops = append(s.ops, op)
	s.counts[op.Op]++
	if len(s.ops) >= 2*s.opsKept { // seldom, as it copies
		gone := len(s.ops) - s.opsKept
		s.ops = slices.Clone(s.ops[gone:])
		s.opsGone += gone
	}
	s.changed()
}

// Counts says how often each Op was asked for or done by hand since the start,
// whatever came of it: list, retrieve, create, …. It costs nothing, where
// Operations copies the log.
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// addFaultName notes a fault on an entry; the lock is held.
func (op *Operation) addFaultName(kind FaultKind) {
	if op.Fault != "" {
		op.Fault += "+"
	}
	op.Fault += string(kind)
}
