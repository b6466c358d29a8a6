package simtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem"
)

// Memory is package db without SQL: the same rows, the same versions, the same order of acts, one transaction per
// method. What decides is tandem.Decide and tandem.PlanNext, as there. It is not safe for concurrent use.
type Memory struct {
	policy     tandem.Policy
	customers  []*tandem.Customer
	mappings   []*tandem.Mapping // in the order they were made, ended ones too
	ends       []*tandem.Mapping // in the order they ended
	tombstones map[string]bool
	ledger     []*tandem.LedgerRow
	journal    []tandem.JournalEntry
	fault      Fault
	ids        []string // given from outside, to be used before any of its own
	known      map[string]bool
}

// NewMemory returns an empty store.
func NewMemory(policy tandem.Policy) *Memory {
	return &Memory{policy: policy, tombstones: map[string]bool{}, known: map[string]bool{}}
}

// Arm breaks the next transaction.
func (s *Memory) Arm(f Fault) { s.fault = f }

// tx is one transaction: all of act or nothing, and sometimes no word of which. What is refused never gets to its commit.
func (s *Memory) tx(act func() error) error {
	fault, before := s.fault, s.copied()
	s.fault = NoFault
	lost := &tandem.Error{Class: tandem.Ambiguous, Code: tandem.CodeUnavailable, Message: "the connection broke while committing"}
	if err := act(); err != nil {
		return err
	}
	if fault == Undone {
		*s = before
		return lost
	}
	for _, m := range s.mappings { // at the end: what was so for a moment in a transaction never was
		if m.State == tandem.Synced && m.SyncedAt == nil {
			m.SyncedAt = &time.Time{}
		}
	}
	if fault == Unheard {
		return lost
	}
	return nil
}

// copied is the store as it is now, whatever is written afterwards.
func (s *Memory) copied() Memory {
	out := *s
	out.customers, out.mappings, out.ledger = copies(s.customers), copies(s.mappings), copies(s.ledger)
	out.tombstones, out.known = maps.Clone(s.tombstones), maps.Clone(s.known)
	out.ends, out.journal, out.ids, out.fault = slices.Clone(s.ends), slices.Clone(s.journal), slices.Clone(s.ids), NoFault
	return out
}

func copies[T any](rows []*T) []*T {
	out := make([]*T, 0, len(rows))
	for _, row := range rows {
		copied := *row
		out = append(out, &copied)
	}
	return out
}

// adopt has the next new rows be called what they are called elsewhere.
func (s *Memory) adopt(ids []string) {
	s.ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return s.known[id] })
}

func (s *Memory) newID(prefix string) string {
	id := fmt.Sprintf("%s_M%025d", prefix, len(s.known)+1) // no caller makes such a one
	if i := slices.IndexFunc(s.ids, func(id string) bool { return strings.HasPrefix(id, prefix+"_") }); i >= 0 {
		id = s.ids[i]
	}
	s.made(id)
	return id
}

func (s *Memory) made(id string) {
	s.known[id] = true
	s.ids = slices.DeleteFunc(s.ids, func(adopted string) bool { return adopted == id })
}

// IDs lists what was made, in that order.
func (s *Memory) IDs(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(s.known)), nil
}

// Look copies everything.
func (s *Memory) Look(context.Context) (Rows, error) {
	var out Rows
	for _, c := range s.customers {
		out.Customers = append(out.Customers, *c)
	}
	for _, m := range s.mappings {
		out.Mappings = append(out.Mappings, *m)
	}
	for _, e := range s.ledger {
		out.Events = append(out.Events, *e)
	}
	out.Journal, out.Tombstones = slices.Clone(s.journal), slices.Sorted(maps.Keys(s.tombstones))
	return out, nil
}

func (s *Memory) customer(id string) *tandem.Customer {
	for _, c := range s.customers {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (s *Memory) live(customerID string) *tandem.Mapping {
	for _, m := range s.mappings {
		if m.CustomerID == customerID && m.State != tandem.Ended {
			return m
		}
	}
	return nil
}

func (s *Memory) putCustomer(c tandem.Customer) {
	if c.Status == tandem.Archived && c.ArchivedAt == nil {
		c.ArchivedAt = &time.Time{}
	}
	if old := s.customer(c.ID); old != nil {
		*old = c
		return
	}
	s.customers = append(s.customers, &c)
}

// putMapping writes all of a mapping, which is one version more unless the same transaction has written it before.
func (s *Memory) putMapping(m tandem.Mapping, raise bool) {
	if raise {
		m.Version++
	}
	if m.State == tandem.Ended {
		m.ArchivedAt = &time.Time{}
		s.ends = append(s.ends, &m)
	}
	if i := slices.IndexFunc(s.mappings, func(old *tandem.Mapping) bool { return old.ID == m.ID }); i >= 0 {
		*s.mappings[i] = m
		return
	}
	s.mappings = append(s.mappings, &m)
}

func (s *Memory) note(e tandem.JournalEntry, customerID string, work tandem.Work) {
	e.CustomerID, e.Work = customerID, work
	if work.Cause == (tandem.Cause{Kind: tandem.ByWebhook}) { // the mapping knows which event it was
		for _, m := range s.mappings {
			if m.CustomerID == customerID {
				e.Work.Cause.ID = m.Metadata[tandem.MetaLastWebhookID]
			}
		}
	}
	s.journal = append(s.journal, e)
}

// Waiting reads what ApplyEvents takes in: in the order of whole seconds, then of arrival.
func (s *Memory) Waiting(_ context.Context, _ string, remoteIDs []string, limit int) ([]tandem.LedgerRow, error) {
	var out []tandem.LedgerRow
	for _, row := range s.ledger {
		if row.State == tandem.EventReceived && slices.Contains(remoteIDs, row.ObjectID) {
			out = append(out, *row)
		}
	}
	slices.SortStableFunc(out, func(a, b tandem.LedgerRow) int { return a.Created.Compare(b.Created) })
	return out[:min(len(out), limit)], nil
}

// Unfinished names the customers of these remote customers whose mapping has something left to do.
func (s *Memory) Unfinished(_ context.Context, _ string, remoteIDs []string) ([]string, error) {
	var out []string
	for _, m := range s.mappings {
		if slices.Contains(remoteIDs, m.RemoteID) && (m.State == tandem.Pending || m.State == tandem.InConfl) {
			out = append(out, m.CustomerID)
		}
	}
	slices.Sort(out)
	return out, nil
}
