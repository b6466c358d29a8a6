package simtest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem"
)

// ApplyChange writes what a caller wants, once. Of what a change can say, external ids and expected versions are not
// simulated.
func (s *Memory) ApplyChange(_ context.Context, ch tandem.Change, work tandem.Work) (tandem.Customer, error) {
	var out tandem.Customer
	err := s.tx(func() error {
		done := slices.ContainsFunc(s.journal, func(e tandem.JournalEntry) bool {
			return e.CustomerID == ch.CustomerID && e.Work.Cause.ID == ch.ID && e.Work.Cause.Kind == tandem.ByAPI && e.Provider == ""
		})
		var err error
		switch {
		case done:
		case ch.Kind == tandem.ChangeCreate:
			err = s.create(ch, work)
		default:
			err = s.update(ch, work)
		}
		if err == nil {
			out = *s.customer(ch.CustomerID)
		}
		return err
	})
	return out, err
}

// create reserves the mapping with its claim.
func (s *Memory) create(ch tandem.Change, work tandem.Work) error {
	c := ch.Apply(tandem.Customer{ID: ch.CustomerID, Status: tandem.Active, Version: 1})
	if err := s.permitted(tandem.Customer{}, c); err != nil {
		return err
	}
	s.made(c.ID)
	s.putCustomer(c)
	s.note(tandem.JournalEntry{
		Direction: tandem.Outbound, Action: string(ch.Kind), Changes: tandem.Diff(tandem.Fields{}, c.Fields()),
	}, c.ID, work)
	m := tandem.Mapping{
		ID: s.newID("eim"), CustomerID: c.ID, Provider: ProviderName, State: tandem.Pending,
		Metadata: map[string]string{
			tandem.MetaSyncDirection: tandem.PlatformToProvider, tandem.MetaCreatedVia: tandem.ByAPI,
			ProviderName + tandem.MetaCustomerEmail: c.Email, ProviderName + tandem.MetaCustomerName: c.Name,
		},
	}
	maps.DeleteFunc(m.Metadata, func(_, v string) bool { return v == "" })
	action, body := tandem.PlanNext(c, m, s.policy)
	m.Claim = &tandem.Claim{Action: action, Key: tandem.CreateKey(s.policy.Environment, c.ID, m.Epoch), Body: body, Version: 1}
	s.putMapping(m, true)
	return nil
}

// permitted refuses what only the provider may change.
func (s *Memory) permitted(before, after tandem.Customer) error {
	if s.policy.Merge.Forbidden(before.Fields(), after.Fields()).IsEmpty() {
		return nil
	}
	return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeOwnedByProvider, Message: "only the provider may change this"}
}

func (s *Memory) update(ch tandem.Change, work tandem.Work) error {
	c := s.customer(ch.CustomerID)
	switch {
	case c.Status == tandem.Archived && ch.Kind == tandem.ChangeArchive:
		return nil
	case c.Status == tandem.Archived:
		return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeCustomerArchived, Message: "the customer is archived"}
	}
	after, note := ch.Apply(*c), tandem.JournalEntry{Direction: tandem.Outbound, Action: string(ch.Kind)}
	wish := cmp.Or(ch.Remote, s.policy.OnArchive, tandem.DeleteRemote)
	if ch.Kind == tandem.ChangeArchive {
		after.Status, note.Detail = tandem.Archived, "provider: "+string(wish)
	} else if note.Changes = tandem.Diff(c.Fields(), after.Fields()); len(note.Changes) == 0 {
		return nil
	} else if err := s.permitted(*c, after); err != nil {
		return err
	}
	after.Version++
	s.putCustomer(after)
	s.note(note, c.ID, work)
	if m := s.live(c.ID); m != nil {
		if m.State == tandem.Synced {
			m.State = tandem.Pending
		}
		if ch.Kind == tandem.ChangeArchive {
			m.OnArchive = wish
		}
	}
	return nil
}

// Plan finds and freezes what is next. Relinking and the brake are not simulated.
func (s *Memory) Plan(_ context.Context, customerID, provider string, ask tandem.Ask) (tandem.Call, error) {
	call := tandem.Call{Provider: provider, CustomerID: customerID}
	err := s.tx(func() error {
		if live := s.live(customerID); live != nil {
			call = s.planFor(*s.customer(customerID), *live, ask)
		}
		return nil
	})
	return call, err
}

func (s *Memory) planFor(c tandem.Customer, m tandem.Mapping, ask tandem.Ask) tandem.Call {
	call := tandem.Call{Provider: m.Provider, CustomerID: c.ID, MappingID: m.ID, RemoteID: m.RemoteID}
	if held, changed := m.Held(c); changed {
		s.putMapping(held, true)
		m = *s.live(c.ID)
	}
	action, body := tandem.PlanNext(c, m, s.policy)
	frozen := m.Claim != nil && m.Claim.Action == action
	switch {
	case action == tandem.ActNothing && c.Status == tandem.Archived:
		m.State, m.ArchivedReason, m.Claim, m.LastError = tandem.Ended, tandem.DeletedLocal, nil, nil
		s.putMapping(m, true)
		return call
	case action == tandem.ActNothing:
		if m.RemoteID != "" && m.State != tandem.InConfl {
			m.State = tandem.Synced
			if len(m.Conflicts) > 0 {
				m.State = tandem.InConfl
			}
			s.putMapping(m, false)
		}
		return call
	case action == tandem.ActUpdate && !frozen && !ask.Looked && s.policy.Merge.LooksFirst(*m.Base, body):
		call.Action, call.MappingVersion = tandem.ActLook, m.Version
		return call
	case !frozen:
		m.Claim = &tandem.Claim{Action: action, Body: body, Version: c.Version, Key: s.key(c, m, action, body)}
		if m.State != tandem.InConfl {
			m.State = tandem.Pending
		}
		s.putMapping(m, true)
		m.Version++
	}
	call.Action, call.Key, call.Body, call.MappingVersion = m.Claim.Action, m.Claim.Key, m.Claim.Body, m.Version
	return call
}

func (s *Memory) key(c tandem.Customer, m tandem.Mapping, action tandem.Action, body tandem.Patch) string {
	switch action {
	case tandem.ActCreate:
		return tandem.CreateKey(s.policy.Environment, c.ID, m.Epoch)
	case tandem.ActDelete:
		return tandem.DeleteKey(s.policy.Environment, c.ID, m.ID, m.Epoch)
	default:
		return tandem.UpdateKey(s.policy.Environment, c.ID, m.ID, c.Version, m.Epoch, body)
	}
}

// Resolve decides fields on hold as a person chose, once.
func (s *Memory) Resolve(_ context.Context, r tandem.Resolve, work tandem.Work) (tandem.Mapping, error) {
	var out tandem.Mapping
	err := s.tx(func() error {
		c, m := s.customer(r.CustomerID), s.live(r.CustomerID)
		if m == nil || m.Base == nil {
			return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeMappingNotFound, Message: "this link does not exist"}
		}
		done := slices.ContainsFunc(s.journal, func(e tandem.JournalEntry) bool {
			return e.CustomerID == c.ID && e.Work.Cause.ID == r.ID && e.Action == "resolve"
		})
		var err error
		if !done {
			err = s.resolve(*c, *m, r, work)
		}
		out = *s.live(c.ID)
		return err
	})
	return out, err
}

func (s *Memory) resolve(c tandem.Customer, m tandem.Mapping, r tandem.Resolve, work tandem.Work) error {
	settled, after, unknown := m.Settle(c, r.Winners)
	switch {
	case c.Status == tandem.Archived:
		return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeCustomerArchived, Message: "the customer is archived"}
	case unknown != "":
		return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeInvalidRequest, Message: unknown + " is not on hold"}
	}
	settled.State, settled.LastError = tandem.Pending, nil
	if len(settled.Conflicts) > 0 {
		settled.State = tandem.InConfl
	}
	changes := tandem.Diff(c.Fields(), after.Fields())
	if len(changes) > 0 {
		after.Version++
		s.putCustomer(after)
	}
	s.putMapping(settled, true)
	s.note(tandem.JournalEntry{
		Provider: m.Provider, RemoteID: m.RemoteID, Direction: tandem.Inbound, Action: "resolve", Changes: changes,
	}, c.ID, work)
	return nil
}
