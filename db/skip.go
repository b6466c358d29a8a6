package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// Skip shows that a person gave up waiting: the mapping is parked, and says when beside why. The claim stays, since its
// call may have happened, or may even be under way: the next plan goes on from it. failure is for a mapping that does
// not know itself what it waits for; one that waits for nothing any more is left alone. Skipping twice is skipping once.
func (s *Store) Skip(ctx context.Context, customerID, provider string, failure *tandem.LastError, work tandem.Work) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := s.lockCustomer(ctx, tx, customerID); err != nil {
			return err
		}
		m, err := liveMapping(ctx, tx, customerID, provider)
		if err != nil || m == nil || m.Claim == nil && m.State != tandem.Parked {
			return err
		}
		last := waitsFor(m, failure)
		if m.State == tandem.Parked && last.SkippedAt != nil {
			return nil
		}
		now := time.Now().UTC()
		last.SkippedAt = &now
		m.State, m.LastError = tandem.Parked, &last
		b := newBatch()
		b.putMapping(m)
		b.note(tandem.JournalEntry{
			CustomerID: m.CustomerID, Provider: m.Provider, RemoteID: m.RemoteID, Direction: tandem.Outbound,
			Action: "skip", Work: work, Detail: string(last.Class) + "/" + last.Code + " " + last.RequestID,
		})
		return b.flush(ctx, tx)
	})
}

// waitsFor is why a mapping waits. A call that has not failed yet is under way, and may happen.
func waitsFor(m *tandem.Mapping, failure *tandem.LastError) tandem.LastError {
	switch {
	case m.LastError != nil:
		return *m.LastError
	case failure != nil:
		return *failure
	}
	return tandem.LastError{
		Class: tandem.Ambiguous, Code: tandem.CodeUnanswered, Message: "the call had no answer yet", At: time.Now().UTC(), Attempt: 1,
	}
}

// resume ends a skip: whoever plans tries again, and what the coming attempts show is news.
func resume(ctx context.Context, tx *sqlx.Tx, m *tandem.Mapping) error {
	if m.LastError == nil || m.LastError.SkippedAt == nil {
		return nil
	}
	m.State, m.LastError = tandem.Pending, nil
	if len(m.Conflicts) > 0 {
		m.State = tandem.InConfl
	}
	b := newBatch()
	b.putMapping(m)
	return b.flush(ctx, tx)
}
