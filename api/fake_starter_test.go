package api_test

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tandem-sync/tandem"
)

// fakeStarter makes the change at once, as the workflow's first act would.
type fakeStarter struct {
	store   *fakeStore
	mu      sync.Mutex
	changes []tandem.Change
	inbound []string
	wishes  []any // links and the like as they came, syncs and nudges in words
	err     error
	settle  func(ctx context.Context, id string) error
	drains  int
	awayErr error         // what Drain answers
	busy    chan struct{} // Inbound hangs until it is closed; nil hangs nowhere
}

func (s *fakeStarter) Change(_ context.Context, ch tandem.Change) (tandem.Customer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, ch)
	if s.err != nil {
		return tandem.Customer{}, s.err
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	before, known := s.store.customers[ch.CustomerID]
	if known && ch.Kind == tandem.ChangeCreate {
		return before, nil
	}
	before.ID = ch.CustomerID
	if ch.Kind == tandem.ChangeArchive {
		before.Status, before.ArchivedAt = tandem.Archived, &s.store.clock
	}
	c := s.store.putLocked(ch.Apply(before))
	if r, ok := s.store.keys[ch.IdempotencyKey]; ok {
		r.Answer = &c
		s.store.keys[ch.IdempotencyKey] = r
	}
	return c, nil
}

func (s *fakeStarter) wish(w any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wishes = append(s.wishes, w)
	return s.err
}

var outbound = tandem.Run{WorkflowID: "outbound/" + idA, RunID: "run_1"}

func (s *fakeStarter) Sync(_ context.Context, customerID string, cause tandem.Cause) (tandem.Run, error) {
	return outbound, s.wish(fmt.Sprint("sync ", customerID, " ", cause.Kind, " ", cause.ID))
}

func (s *fakeStarter) Nudge(_ context.Context, customerID, provider string, word tandem.Word) (tandem.Run, error) {
	return outbound, s.wish(fmt.Sprintf("%s %s %q", word, customerID, provider))
}

// Link answers as a workflow does: without the times that only the database knows.
func (s *fakeStarter) Link(_ context.Context, l tandem.Link) (tandem.Mapping, error) {
	return tandem.Mapping{ID: eimA, CustomerID: l.CustomerID, Provider: l.Provider, RemoteID: l.RemoteID, State: tandem.Pending, Version: 1}, s.wish(l)
}

func (s *fakeStarter) Unlink(_ context.Context, u tandem.Unlink) error { return s.wish(u) }

func (s *fakeStarter) Resolve(_ context.Context, r tandem.Resolve) (tandem.Mapping, error) {
	return tandem.Mapping{ID: eimA, CustomerID: r.CustomerID, Provider: r.Provider, State: tandem.Pending, Version: 1}, s.wish(r)
}

func (s *fakeStarter) Settle(ctx context.Context, id string) error {
	if s.settle == nil {
		return nil
	}
	return s.settle(ctx, id)
}

func (s *fakeStarter) Inbound(ctx context.Context, provider, remoteID string, rows []string) (tandem.Run, error) {
	s.mu.Lock()
	s.inbound = append(s.inbound, fmt.Sprint(provider, " ", remoteID, " ", rows))
	err := s.err
	s.mu.Unlock()
	if s.busy != nil {
		select {
		case <-s.busy:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return tandem.Run{WorkflowID: "inbound/" + provider + "/" + remoteID, RunID: "run_2"}, err
}

func (s *fakeStarter) Wake(context.Context, string, string) error { return nil }

func (s *fakeStarter) Drain(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drains++
	return s.awayErr
}

func (s *fakeStarter) drained() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drains
}

func (s *fakeStarter) inbounds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.inbound)
}

// started is how often anything was asked of the starter.
func (s *fakeStarter) started() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.changes) + len(s.inbound) + len(s.wishes)
}
