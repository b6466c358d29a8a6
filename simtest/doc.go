// Package simtest simulates the whole of Tandem for property tests: a provider with its own clock, an event log and a
// memory of keys; people who edit on both sides; a network that loses, repeats, delays and reorders; the two workflows,
// which can be stopped between any two acts; and a store underneath. What must hold when everybody has stopped is
// checked by the simulation itself.
//
// The store is either Memory, which is package db without SQL, or a real one. With a real one beside it, Memory is the
// model: every act is done on both, and both have to answer the same and to end with the same rows.
//
// The provider's clock is simulated and the database's is not. So nothing is simulated that asks the database for an
// age (keys older than KeyLife, the brake's last hour), and times that the database gives are not compared.
package simtest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem"
)

// ProviderName is the one connection of every simulation.
const ProviderName = "stripe"

// Store is the part of db.Store that a sync is made of, and three words for the simulation.
type Store interface {
	ApplyChange(ctx context.Context, ch tandem.Change, work tandem.Work) (tandem.Customer, error)
	Plan(ctx context.Context, customerID, provider string, ask tandem.Ask) (tandem.Call, error)
	Resolve(ctx context.Context, r tandem.Resolve, work tandem.Work) (tandem.Mapping, error)
	ApplyRemote(ctx context.Context, states []tandem.RemoteState, work tandem.Work) ([]tandem.Outcome, error)
	Ingest(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error)
	IngestAndApply(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error)
	Waiting(ctx context.Context, provider string, remoteIDs []string, limit int) ([]tandem.LedgerRow, error)
	Unfinished(ctx context.Context, provider string, remoteIDs []string) ([]string, error)

	// Arm breaks the next transaction, and only that; NoFault takes it back.
	Arm(f Fault)
	// Look reads everything.
	Look(ctx context.Context) (Rows, error)
	// IDs are those of all customers, mappings and ledger rows, in the order they were made.
	IDs(ctx context.Context) ([]string, error)
}

// Fault is what happens to a transaction.
type Fault int

// The two ways for an act to end without an answer.
const (
	NoFault Fault = iota
	Undone        // it never commits
	Unheard       // it commits, and nobody hears of it
)

// Rows is everything a store holds. Ended mappings come in the order they were made, as all others do.
type Rows struct {
	Customers  []tandem.Customer
	Mappings   []tandem.Mapping
	Events     []tandem.LedgerRow
	Journal    []tandem.JournalEntry
	Tombstones []string
}

func (r Rows) customer(id string) *tandem.Customer {
	for i := range r.Customers {
		if r.Customers[i].ID == id {
			return &r.Customers[i]
		}
	}
	return nil
}

// linked is the live mapping of a remote customer, nil when there is none.
func (r Rows) linked(remoteID string) *tandem.Mapping {
	for i := range r.Mappings {
		if m := &r.Mappings[i]; m.RemoteID == remoteID && m.State != tandem.Ended {
			return m
		}
	}
	return nil
}

// timeless leaves out what the database's clock says, and the difference between nothing and empty, which SQL does not
// know. Whether something has a time at all is kept. Customers are sorted, and so are their stories.
func (r Rows) timeless() Rows {
	var out Rows
	for _, c := range r.Customers {
		c.CreatedAt, c.UpdatedAt, c.ArchivedAt = time.Time{}, time.Time{}, some(c.ArchivedAt)
		out.Customers = append(out.Customers, c)
	}
	for _, m := range r.Mappings {
		m.CreatedAt, m.UpdatedAt, m.SyncedAt, m.ArchivedAt = time.Time{}, time.Time{}, some(m.SyncedAt), some(m.ArchivedAt)
		if m.Claim != nil {
			claim := *m.Claim
			claim.At = time.Time{}
			m.Claim = &claim
		}
		if len(m.Conflicts) == 0 {
			m.Conflicts = nil
		}
		out.Mappings = append(out.Mappings, m)
	}
	for _, e := range r.Events {
		e.ReceivedAt, e.ProcessedAt, e.Payload = time.Time{}, some(e.ProcessedAt), nil
		out.Events = append(out.Events, e)
	}
	for _, e := range r.Journal {
		e.ID, e.At = "", time.Time{}
		if len(e.Changes) == 0 {
			e.Changes = nil
		}
		out.Journal = append(out.Journal, e)
	}
	out.Tombstones = r.Tombstones
	slices.SortStableFunc(out.Customers, func(a, b tandem.Customer) int { return strings.Compare(a.ID, b.ID) })
	slices.SortStableFunc(out.Journal, func(a, b tandem.JournalEntry) int { return strings.Compare(a.CustomerID, b.CustomerID) })
	return out
}

func some(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return &time.Time{}
}
