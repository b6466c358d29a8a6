package api_test

import (
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem"
)

// What the store reads for people, on the same maps and slices as the rest of it.

func (s *fakeStore) JournalPage(_ context.Context, customerID, after string, limit int) ([]tandem.JournalEntry, error) {
	leave, err := s.enter("JournalPage")
	defer leave()
	var out []tandem.JournalEntry
	for _, e := range s.journal {
		if e.CustomerID == customerID && e.ID > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, err
}

func (s *fakeStore) MappingByID(_ context.Context, id string) (tandem.Mapping, error) {
	leave, err := s.enter("MappingByID")
	defer leave()
	if err != nil {
		return tandem.Mapping{}, err
	}
	i, err := s.mappingIndex(id)
	if err != nil {
		return tandem.Mapping{}, err
	}
	return s.mappings[i], nil
}

func (s *fakeStore) mappingIndex(id string) (int, error) {
	i := slices.IndexFunc(s.mappings, func(m tandem.Mapping) bool { return m.ID == id })
	if i < 0 {
		return i, &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeMappingNotFound, Message: "this mapping does not exist"}
	}
	return i, nil
}

func (s *fakeStore) ListMappings(_ context.Context, q tandem.MappingQuery) ([]tandem.Mapping, error) {
	leave, err := s.enter("ListMappings")
	defer leave()
	s.asked = q
	var out []tandem.Mapping
	for _, m := range slices.Backward(s.mappings) {
		wanted := (q.CustomerID == "" || q.CustomerID == m.CustomerID) && (q.Provider == "" || q.Provider == m.Provider) &&
			(q.RemoteID == "" || q.RemoteID == m.RemoteID)
		if wanted && (q.After == "" || m.ID < q.After) && len(out) < q.Limit {
			out = append(out, m)
		}
	}
	return out, err
}

func (s *fakeStore) SetMappingMetadata(_ context.Context, id string, metadata map[string]string) (tandem.Mapping, error) {
	leave, err := s.enter("SetMappingMetadata")
	defer leave()
	if err != nil {
		return tandem.Mapping{}, err
	}
	i, err := s.mappingIndex(id)
	if err != nil {
		return tandem.Mapping{}, err
	}
	s.mappings[i].Metadata = maps.Clone(metadata)
	return s.mappings[i], nil
}

func (s *fakeStore) ListEvents(_ context.Context, q tandem.EventQuery) ([]tandem.LedgerRow, error) {
	leave, err := s.enter("ListEvents")
	defer leave()
	s.asked = q
	var out []tandem.LedgerRow
	for _, r := range slices.Backward(s.rows) {
		if (q.After == "" || r.ID < q.After) && len(out) < q.Limit {
			r.Payload = nil
			out = append(out, r)
		}
	}
	return out, err
}

func (s *fakeStore) Event(_ context.Context, id string) (tandem.LedgerRow, error) {
	leave, err := s.enter("Event")
	defer leave()
	return s.eventLocked(id, err, func(*tandem.LedgerRow) {})
}

func (s *fakeStore) Reopen(_ context.Context, id string) (tandem.LedgerRow, error) {
	leave, err := s.enter("Reopen")
	defer leave()
	return s.eventLocked(id, err, func(r *tandem.LedgerRow) { r.State, r.Reason, r.ProcessedAt = tandem.EventReceived, "replayed", nil })
}

func (s *fakeStore) eventLocked(id string, err error, change func(*tandem.LedgerRow)) (tandem.LedgerRow, error) {
	if err != nil {
		return tandem.LedgerRow{}, err
	}
	for i := range s.rows {
		if s.rows[i].ID == id {
			change(&s.rows[i])
			return s.rows[i], nil
		}
	}
	return tandem.LedgerRow{}, &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeEventNotFound, Message: "this event does not exist"}
}
