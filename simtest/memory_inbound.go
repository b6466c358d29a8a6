package simtest

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem"
)

// Ingest is the webhook handler's transaction: what changes nothing is finished at once.
func (s *Memory) Ingest(_ context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	return s.ingest(provider, e, func(d *tandem.Decision) bool {
		if d.Act != tandem.ActAdvance {
			return false
		}
		m := s.live(d.Mapping.CustomerID)
		m.AsOfFrom, m.AsOf = d.Mapping.AsOfFrom, d.Mapping.AsOf
		m.Version++
		return true
	})
}

// IngestAndApply is the same while workflows cannot keep up.
func (s *Memory) IngestAndApply(_ context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	return s.ingest(provider, e, func(d *tandem.Decision) bool {
		waits := slices.ContainsFunc(s.ledger, func(row *tandem.LedgerRow) bool {
			return row.ObjectID == e.ObjectID && row.State == tandem.EventReceived
		})
		open := d.Mapping != nil && d.Mapping.State != tandem.Synced && d.Mapping.State != tandem.Ended
		if waits || d.State == tandem.EventConflict || d.Act == tandem.ActFetch || d.Act != tandem.ActAdvance && (d.Poke || open) {
			return false
		}
		if e.State.Deleted {
			s.tombstones[e.State.RemoteID] = true
		}
		s.write(d, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook, ID: e.ID}}, map[string]bool{})
		return true
	})
}

// ingest stores a new event, whose end it is if it changes nothing, or if done sees to it.
func (s *Memory) ingest(provider string, e tandem.Event, done func(d *tandem.Decision) bool) (tandem.Ingested, error) {
	var out tandem.Ingested
	err := s.tx(func() error {
		i := slices.IndexFunc(s.ledger, func(row *tandem.LedgerRow) bool { return row.EventID == e.ID })
		if i < 0 {
			d := tandem.Decide(*e.State, s.view(*e.State), s.policy)
			if (d.Act != tandem.ActNone || d.State == tandem.EventConflict) && !done(&d) {
				d = tandem.Decision{State: tandem.EventReceived}
			}
			s.newRow(provider, e, d)
			i = len(s.ledger) - 1
		} else {
			s.ledger[i].Deliveries++
		}
		row := s.ledger[i]
		out = tandem.Ingested{Row: row.ID, State: row.State, Open: row.State == tandem.EventReceived}
		return nil
	})
	return out, err
}

func (s *Memory) newRow(provider string, e tandem.Event, d tandem.Decision) {
	row := &tandem.LedgerRow{
		ID: s.newID("pev"), Provider: provider, EventID: e.ID, Type: e.Type, ObjectID: e.ObjectID, Created: e.Created,
		Key: e.Key, Payload: e.Payload, Deliveries: 1,
	}
	end(row, d)
	s.ledger = append(s.ledger, row)
}

func end(row *tandem.LedgerRow, d tandem.Decision) {
	row.State, row.Reason = d.State, d.Reason
	if d.State != tandem.EventReceived {
		row.ProcessedAt = &row.Created
	}
}

func (s *Memory) view(state tandem.RemoteState) tandem.View {
	v := tandem.View{Tombstone: s.tombstones[state.RemoteID]}
	for _, m := range s.ends {
		if m.RemoteID == state.RemoteID {
			v.Ended = m.ArchivedReason
		}
	}
	for _, m := range s.mappings {
		if m.RemoteID == state.RemoteID && m.State != tandem.Ended {
			v.Linked, v.Ended = s.pair(s.customer(m.CustomerID)), ""
		}
	}
	v.Named = s.pair(s.customer(state.NamedCustomer(s.policy.Environment)))
	return v
}

func (s *Memory) pair(c *tandem.Customer) *tandem.Pair {
	if c == nil {
		return nil
	}
	p := &tandem.Pair{Customer: *c}
	if m := s.live(c.ID); m != nil {
		copied := *m
		p.Mapping = &copied
	}
	return p
}

// ApplyRemote is the transaction of the same name. A customer and a mapping get at most one new version in it.
func (s *Memory) ApplyRemote(_ context.Context, states []tandem.RemoteState, work tandem.Work) ([]tandem.Outcome, error) {
	var out []tandem.Outcome
	err := s.tx(func() error {
		raised := map[string]bool{}
		for _, state := range states {
			out = append(out, s.apply(state, work, raised))
		}
		for i := range out {
			if m := s.live(out[i].CustomerID); m != nil && m.ID == out[i].MappingID {
				out[i].MappingVersion = m.Version
			}
		}
		return nil
	})
	return out, err
}

func (s *Memory) apply(state tandem.RemoteState, work tandem.Work, raised map[string]bool) tandem.Outcome {
	if state.Source == tandem.FromEvent && state.EventID != "" {
		work.Cause.ID = state.EventID
	}
	d := tandem.Decide(state, s.view(state), s.policy)
	out := tandem.Outcome{State: d.State, Reason: d.Reason, RemoteID: state.RemoteID, Poke: d.Poke, Fetch: d.Act == tandem.ActFetch}
	if !out.Fetch {
		if state.Deleted {
			s.tombstones[state.RemoteID] = true
		}
		s.write(&d, work, raised)
		for _, id := range state.EventRows {
			s.endRow(id, d)
		}
	}
	if d.Mapping != nil {
		out.CustomerID, out.MappingID = d.Mapping.CustomerID, d.Mapping.ID
	}
	return out
}

func (s *Memory) endRow(id string, d tandem.Decision) {
	for _, row := range s.ledger {
		if row.ID == id && row.State == tandem.EventReceived {
			end(row, d)
		}
	}
}

func (s *Memory) write(d *tandem.Decision, work tandem.Work, raised map[string]bool) {
	customerID := ""
	if c := d.Customer; c != nil {
		if c.ID == "" {
			c.ID = s.newID("cust")
		}
		if !raised[c.ID] {
			c.Version++
			raised[c.ID] = true
		}
		s.putCustomer(*c)
		if d.Mapping != nil {
			d.Mapping.CustomerID = c.ID
		}
	}
	if m := d.Mapping; m != nil {
		if m.ID == "" {
			m.ID = s.newID("eim")
		}
		s.putMapping(*m, !raised[m.ID])
		raised[m.ID] = true
		customerID = m.CustomerID
	}
	for _, e := range d.Journal {
		s.note(e, customerID, work)
	}
}
