package stripetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// FaultKind names what goes wrong.
type FaultKind string

// The faults, by the gate at which they strike.
const (
	// In front of everything but the key check: nothing is executed or saved.
	DropBefore   FaultKind = "drop_before"     // the connection breaks, nothing happened
	HTML502      FaultKind = "html_502"        // a proxy's page
	Error503     FaultKind = "error_503"       // JSON api_error
	RateLimit    FaultKind = "rate_limit"      // 429 with Stripe-Rate-Limited-Reason (Reason)
	LockTimeout  FaultKind = "lock_timeout"    // 429 without it
	KeyInUse     FaultKind = "key_in_use"      // 409
	Unauthorized FaultKind = "unauthorized"    // 401
	Forbidden    FaultKind = "forbidden"       // 403 more_permissions_required
	Custom       FaultKind = "custom"          // Status, Type, Code, Param, Message, or Body as it is
	BadRequest   FaultKind = "bad_request"     // Custom with 400
	Slow         FaultKind = "slow"            // waits Delay before execution, key in flight
	Hold         FaultKind = "hold"            // waits until the fault is removed, key in flight
	Error500     FaultKind = "error_500"       // nothing executed, the 500 is saved under the key
	Error500Done FaultKind = "error_500_done"  // executed, yet the 500 is saved under the key
	ApplyDrop    FaultKind = "apply_then_drop" // executed, the connection breaks
	ApplyHang    FaultKind = "apply_then_hang" // executed, no answer before the client gives up (at most Delay, default 1m)
	Truncate     FaultKind = "truncate"        // executed, the body breaks off
	HTML200      FaultKind = "html_200"        // executed, 200 with a page for a body
	SlowBody     FaultKind = "slow_body"       // executed, the body takes Delay, a little at a time
)

// Fault is trouble waiting for requests that match. It strikes Count times,
// after letting Skip matching requests pass. One fault per gate strikes a
// request: the oldest that matches.
type Fault struct {
	ID       string    `json:"id"`
	Kind     FaultKind `json:"kind"`
	Method   string    `json:"method,omitempty"`   // GET, POST, DELETE; any if empty
	Op       string    `json:"op,omitempty"`       // create, update, retrieve, delete, list, search, events, event, account, webhook_endpoints; any if empty
	Contains string    `json:"contains,omitempty"` // in the customer id of the path or the idempotency key
	Skip     int       `json:"skip"`
	Count    int       `json:"count"` // 0 is once, negative is until removed

	Delay   time.Duration `json:"delay_ns,omitempty"`
	Reason  string        `json:"reason,omitempty"` // of RateLimit; default endpoint-rate
	Status  int           `json:"status,omitempty"`
	Type    string        `json:"type,omitempty"`
	Code    string        `json:"code,omitempty"`
	Param   string        `json:"param,omitempty"`
	Message string        `json:"message,omitempty"`
	Body    string        `json:"body,omitempty"` // instead of an error object; sent as text/html unless it starts with {

	Seen int `json:"seen"` // requests that matched
	Hits int `json:"hits"` // requests struck

	gone chan struct{} // closed on removal, which ends Hold
}

type gate int

const (
	atFront gate = iota
	atWait
	atRun
	atAnswer
)

var gates = map[FaultKind]gate{
	DropBefore: atFront, HTML502: atFront, Error503: atFront, RateLimit: atFront, LockTimeout: atFront, KeyInUse: atFront,
	Unauthorized: atFront, Forbidden: atFront, Custom: atFront, BadRequest: atFront,
	Slow: atWait, Hold: atWait,
	Error500: atRun, Error500Done: atRun,
	ApplyDrop: atAnswer, ApplyHang: atAnswer, Truncate: atAnswer, HTML200: atAnswer, SlowBody: atAnswer,
}

// FaultKinds lists every kind.
func FaultKinds() []FaultKind { return slices.Sorted(maps.Keys(gates)) }

// AddFault arms a fault and returns its id. An unknown kind is an error of the
// test and panics; the control API checks first.
func (s *Server) AddFault(f Fault) string {
	if _, ok := gates[f.Kind]; !ok {
		panic(fmt.Sprintf("stripetest: unknown fault kind %q", f.Kind))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faultCount++
	f.ID = fmt.Sprintf("fault_%d", s.faultCount)
	if f.Count == 0 {
		f.Count = 1
	}
	f.Seen, f.Hits, f.gone = 0, 0, make(chan struct{})
	s.faults = append(s.faults, &f)
	s.changed()
	return f.ID
}

// Faults returns the armed and the spent faults with their counts.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Fault{}
	for _, f := range s.faults {
		out = append(out, *f)
	}
	return out
}

// RemoveFault disarms one fault and lets go whom it holds.
func (s *Server) RemoveFault(id string) bool {
	return s.removeFaults(func(f *Fault) bool { return f.ID == id }) > 0
}

// ResetFaults disarms all faults.
func (s *Server) ResetFaults() { s.removeFaults(func(*Fault) bool { return true }) }

func (s *Server) removeFaults(match func(*Fault) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *Fault) bool {
		if match(f) {
			close(f.gone)
			return true
		}
		return false
	})
	s.changed()
	return before - len(s.faults)
}

// takeFault counts the request against the faults of a gate and returns the
// one that strikes, if any.
func (s *Server) takeFault(c *call, at gate) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var struck *Fault
	for _, f := range s.faults {
		if gates[f.Kind] != at || !f.matches(c) {
			continue
		}
		f.Seen++
		if struck == nil && f.Seen > f.Skip && (f.Count < 0 || f.Hits < f.Count) {
			f.Hits++
			struck = f
			c.entry.addFaultName(f.Kind)
			s.changed()
		}
	}
	return struck
}

func (f *Fault) matches(c *call) bool {
	return (f.Method == "" || strings.EqualFold(f.Method, c.method)) && (f.Op == "" || f.Op == c.op) &&
		(f.Contains == "" || strings.Contains(c.id, f.Contains) || strings.Contains(c.key, f.Contains))
}
