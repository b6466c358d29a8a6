package tandem_test

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem"
)

// simStore is package db without SQL: the same rows, the same versions, the same order of acts, one transaction per
// method. What decides is tandem.Decide and tandem.PlanNext, as there.
type simStore struct {
	policy     tandem.Policy
	remote     *simRemote // for its clock only
	customers  []*tandem.Customer
	mappings   []*tandem.Mapping // in the order they were made, ended ones too
	tombstones map[string]bool
	ledger     []*simLedgerRow
	writes     int // of customers and mappings
}

type simLedgerRow struct {
	state tandem.RemoteState
	end   tandem.EventState
}

func (s *simStore) customer(id string) *tandem.Customer {
	for _, c := range s.customers {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (s *simStore) live(customerID string) *tandem.Mapping {
	for _, m := range s.mappings {
		if m.CustomerID == customerID && m.State != tandem.Ended {
			return m
		}
	}
	return nil
}

func (s *simStore) pair(c *tandem.Customer) *tandem.Pair {
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

func (s *simStore) view(state tandem.RemoteState) tandem.View {
	v := tandem.View{Tombstone: s.tombstones[state.RemoteID]}
	for _, m := range s.mappings {
		switch {
		case m.RemoteID != state.RemoteID:
		case m.State == tandem.Ended:
			v.Ended = m.ArchivedReason
		default:
			v.Linked = s.pair(s.customer(m.CustomerID))
		}
	}
	if v.Linked != nil {
		v.Ended = ""
	}
	v.Named = s.pair(s.customer(state.NamedCustomer(s.policy.Environment)))
	if external := state.Fields.Reserved[tandem.KeyExternalID]; external != "" {
		for _, c := range s.customers {
			if c.ExternalID == external && c.Status == tandem.Active {
				v.External = s.pair(c)
			}
		}
	}
	return v
}

// create is ApplyChange with a customer that does not exist yet: the mapping is reserved with its claim.
func (s *simStore) create(patch tandem.Patch) *tandem.Customer {
	c := tandem.Customer{ID: fmt.Sprintf("cust_%d", len(s.customers)+1), Status: tandem.Active, Version: 1}.With(patch)
	m := &tandem.Mapping{
		ID: "eim_" + c.ID, CustomerID: c.ID, Provider: "stripe", State: tandem.Pending, Version: 1,
		Metadata: map[string]string{tandem.MetaSyncDirection: tandem.PlatformToProvider},
	}
	action, body := tandem.PlanNext(c, *m, s.policy)
	m.Claim = &tandem.Claim{
		Action: action, Key: tandem.CreateKey(s.policy.Environment, c.ID, m.Epoch), Body: body, Version: 1, At: s.remote.now,
	}
	s.customers, s.mappings = append(s.customers, &c), append(s.mappings, m)
	return &c
}

// change is ApplyChange; false when nothing changed.
func (s *simStore) change(c *tandem.Customer, patch tandem.Patch) bool {
	after := c.With(patch)
	if len(tandem.Diff(c.Fields(), after.Fields())) == 0 {
		return false
	}
	after.Version++
	*c = after
	if m := s.live(c.ID); m != nil && m.State == tandem.Synced {
		m.State = tandem.Pending
	}
	return true
}

func (s *simStore) plan(customerID string) tandem.Call {
	c, m := s.customer(customerID), s.live(customerID)
	call := tandem.Call{Provider: "stripe", CustomerID: customerID}
	if m == nil {
		return call
	}
	action, body := tandem.PlanNext(*c, *m, s.policy)
	if action == tandem.ActNothing {
		if m.RemoteID != "" && m.State != tandem.InConfl {
			m.State = tandem.Synced
		}
		return call
	}
	if m.Claim == nil {
		claim := tandem.Claim{Action: action, Body: body, Version: c.Version, At: s.remote.now}
		claim.Key = tandem.UpdateKey(s.policy.Environment, c.ID, m.ID, c.Version, m.Epoch, body)
		m.Claim = &claim
		m.Version++
		if m.State != tandem.InConfl {
			m.State = tandem.Pending
		}
	}
	call.Action, call.MappingID, call.MappingVersion, call.RemoteID = m.Claim.Action, m.ID, m.Version, m.RemoteID
	call.Key, call.Body, call.FrozenAt = m.Claim.Key, m.Claim.Body, m.Claim.At
	return call
}

// ingest is the webhook handler's transaction: what changes nothing is finished at once.
func (s *simStore) ingest(e tandem.RemoteState) (open bool, said string) {
	d := tandem.Decide(e, s.view(e), s.policy)
	said = fmt.Sprintf("%s %s %s", d.Act, d.State, d.Reason)
	end := d.State
	switch {
	case d.Act == tandem.ActNone && d.State != tandem.EventConflict:
	case d.Act == tandem.ActAdvance:
		m := s.live(d.Mapping.CustomerID)
		m.AsOfFrom, m.AsOf = d.Mapping.AsOfFrom, d.Mapping.AsOf
		m.Version++
	default:
		end = tandem.EventReceived
	}
	for _, row := range s.ledger {
		if row.state.EventID == e.EventID {
			return row.end == tandem.EventReceived, "again"
		}
	}
	s.ledger = append(s.ledger, &simLedgerRow{state: e, end: end})
	return end == tandem.EventReceived, said
}

// waiting reads what ApplyEvents takes in: in the order of whole seconds, then of arrival.
func (s *simStore) waiting(remoteID string) []tandem.RemoteState {
	var out []tandem.RemoteState
	for _, row := range s.ledger {
		if row.end == tandem.EventReceived && row.state.RemoteID == remoteID {
			e := row.state
			e.EventRows = []string{e.EventID}
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b tandem.RemoteState) int { return a.SeenTo.Compare(b.SeenTo) })
	return out
}

// applyRemote is the transaction of the same name. Each mapping gets at most one new version in it.
func (s *simStore) applyRemote(states ...tandem.RemoteState) []tandem.Outcome {
	out := make([]tandem.Outcome, len(states))
	raised := map[string]bool{}
	for i, state := range states {
		d := tandem.Decide(state, s.view(state), s.policy)
		out[i] = tandem.Outcome{State: d.State, Reason: d.Reason, RemoteID: state.RemoteID, Poke: d.Poke, Fetch: d.Act == tandem.ActFetch}
		if d.Mapping != nil {
			out[i].CustomerID, out[i].MappingID = d.Mapping.CustomerID, d.Mapping.ID
		}
		if out[i].Fetch {
			continue
		}
		if state.Deleted {
			s.tombstones[state.RemoteID] = true
		}
		s.write(&d, raised)
		if d.Mapping != nil {
			out[i].CustomerID, out[i].MappingID = d.Mapping.CustomerID, d.Mapping.ID
		}
		s.end(state.EventRows, d.State)
	}
	for i := range out {
		if m := s.live(out[i].CustomerID); m != nil && m.ID == out[i].MappingID {
			out[i].MappingVersion = m.Version
		}
	}
	return out
}

func (s *simStore) write(d *tandem.Decision, raised map[string]bool) {
	if c := d.Customer; c != nil {
		s.writes++
		c.Version++
		if c.ID == "" {
			c.ID = fmt.Sprintf("cust_%d", len(s.customers)+1)
			s.customers = append(s.customers, c)
		} else {
			*s.customer(c.ID) = *c
		}
		if d.Mapping != nil {
			d.Mapping.CustomerID = c.ID
		}
	}
	m := d.Mapping
	switch {
	case m == nil:
	case m.ID == "":
		m.ID, m.Version = fmt.Sprintf("eim_%d", len(s.mappings)+1), 1
		s.mappings = append(s.mappings, m)
		raised[m.ID] = true
	default:
		i := slices.IndexFunc(s.mappings, func(old *tandem.Mapping) bool { return old.ID == m.ID })
		if !raised[m.ID] {
			m.Version++
			raised[m.ID] = true
		}
		*s.mappings[i] = *m
	}
	if m != nil && d.Act != tandem.ActAdvance {
		s.writes++
	}
}

func (s *simStore) end(rows []string, state tandem.EventState) {
	for _, id := range rows {
		for _, row := range s.ledger {
			if row.state.EventID == id && row.end == tandem.EventReceived {
				row.end = state
			}
		}
	}
}
