package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// Plan finds what is to be done next at the provider for this customer and freezes it: the claim, with key and body,
// is committed before anybody calls the provider. Run again, it answers with the same claim.
func (s *Store) Plan(ctx context.Context, customerID, provider string, ask tandem.Ask) (tandem.Call, error) {
	call := tandem.Call{Provider: provider, CustomerID: customerID}
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		c, err := s.lockCustomer(ctx, tx, customerID)
		if err != nil {
			return err
		}
		if ask.Relink && c.Status == tandem.Active {
			if err := s.relink(ctx, tx, c, provider); err != nil {
				return err
			}
		}
		m, err := liveMapping(ctx, tx, customerID, provider)
		if err != nil || m == nil {
			return err
		}
		call, err = s.planFor(ctx, tx, c, m, ask)
		chaos.Point("plan.before_commit")
		return err
	})
	return call, err
}

func (s *Store) planFor(ctx context.Context, tx *sqlx.Tx, c tandem.Customer, m *tandem.Mapping, ask tandem.Ask) (tandem.Call, error) {
	call := tandem.Call{Provider: m.Provider, CustomerID: c.ID, MappingID: m.ID, RemoteID: m.RemoteID}
	if err := keepHeld(ctx, tx, c, m); err != nil {
		return call, err
	}
	action, body := tandem.PlanNext(c, *m, s.policy)
	frozen := m.Claim != nil && m.Claim.Action == action
	switch {
	case action == tandem.ActNothing && c.Status == tandem.Archived:
		return call, endMapping(ctx, tx, m, tandem.DeletedLocal)
	case action == tandem.ActNothing && ask.Look && m.RemoteID != "":
		call.Action, call.MappingVersion, call.Wished = tandem.ActLook, m.Version, true
		return call, nil
	case action == tandem.ActNothing:
		return call, settle(ctx, tx, m)
	case action == tandem.ActDelete && !frozen && !ask.Force:
		blocked, err := s.braked(ctx, tx, m)
		if blocked != nil || err != nil {
			call.Blocked = blocked
			return call, err
		}
	case action == tandem.ActUpdate && !frozen && !ask.Looked && s.policy.Merge.LooksFirst(*m.Base, body):
		call.Action, call.MappingVersion = tandem.ActLook, m.Version
		return call, nil
	}
	if !frozen {
		if err := s.freeze(ctx, tx, c, m, action, body); err != nil {
			return call, err
		}
	} else if err := resume(ctx, tx, m); err != nil {
		return call, err
	}
	call.Action, call.Key, call.Body, call.FrozenAt = m.Claim.Action, m.Claim.Key, m.Claim.Body, m.Claim.At
	call.MappingVersion = m.Version
	return call, nil
}

// keepHeld keeps what is shown of fields on hold true while their customer is edited here.
func keepHeld(ctx context.Context, tx *sqlx.Tx, c tandem.Customer, m *tandem.Mapping) error {
	held, changed := m.Held(c)
	if !changed {
		return nil
	}
	*m = held
	b := newBatch()
	b.putMapping(m)
	return b.flush(ctx, tx)
}

// freeze writes the claim.
func (s *Store) freeze(ctx context.Context, tx *sqlx.Tx, c tandem.Customer, m *tandem.Mapping, action tandem.Action, body tandem.Patch) error {
	claim := tandem.Claim{Action: action, Body: body, Version: c.Version}
	switch action {
	case tandem.ActCreate:
		claim.Key = tandem.CreateKey(s.policy.Environment, c.ID, m.Epoch)
	case tandem.ActDelete:
		claim.Key = tandem.DeleteKey(s.policy.Environment, c.ID, m.ID, m.Epoch)
	default:
		claim.Key = tandem.UpdateKey(s.policy.Environment, c.ID, m.ID, c.Version, m.Epoch, body)
	}
	if err := tx.GetContext(ctx, &claim.At, `SELECT now()`); err != nil {
		return err
	}
	m.Claim = &claim
	if m.State != tandem.InConfl {
		m.State, m.LastError = tandem.Pending, nil
	}
	b := newBatch()
	b.putMapping(m)
	return b.flush(ctx, tx)
}

// settle shows that nothing is left to do, also when a person has taken back the change that was refused. A conflict
// goes on waiting.
func settle(ctx context.Context, tx *sqlx.Tx, m *tandem.Mapping) error {
	if m.RemoteID == "" || m.State == tandem.Synced || m.State == tandem.InConfl {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		UPDATE entity_integration_mappings
		SET state = CASE WHEN conflicts = '[]' THEN 'synced' ELSE 'conflict' END, last_error = NULL, synced_at = now(), updated_at = now()
		WHERE id = $1`, m.ID)
	return err
}

func endMapping(ctx context.Context, tx *sqlx.Tx, m *tandem.Mapping, reason tandem.ArchivedReason) error {
	m.State, m.ArchivedReason, m.Claim, m.LastError = tandem.Ended, reason, nil, nil
	b := newBatch()
	b.putMapping(m)
	return b.flush(ctx, tx)
}

// relink reserves a new mapping for a customer whose last one a person took apart.
func (s *Store) relink(ctx context.Context, tx *sqlx.Tx, c tandem.Customer, provider string) error {
	var live bool
	err := tx.GetContext(ctx, &live, `
		SELECT EXISTS (SELECT 1 FROM entity_integration_mappings
		               WHERE entity_id = $1 AND provider_type = $2 AND archived_at IS NULL)`, c.ID, provider)
	if err != nil || live {
		return err
	}
	return s.reserve(ctx, tx, c, provider)
}

// braked parks a delete when there have been too many in the last hour. The planner's estimate is good enough for the
// number of links, and costs nothing.
func (s *Store) braked(ctx context.Context, tx *sqlx.Tx, m *tandem.Mapping) (*tandem.LastError, error) {
	var seen struct {
		LastHour int `db:"last_hour"`
		Linked   int `db:"linked"`
	}
	err := tx.GetContext(ctx, &seen, `
		SELECT (SELECT count(*) FROM entity_integration_mappings
		        WHERE archived_reason = 'deleted_local' AND on_archive = 'delete' AND provider_entity_id IS NOT NULL
		          AND archived_at > now() - interval '1 hour') AS last_hour,
		       `+linkedEstimate+` AS linked`)
	if err != nil || !s.policy.Brake.Trips(seen.LastHour, seen.Linked) {
		return nil, err
	}
	last := &tandem.LastError{
		Class: tandem.Conflict, Code: tandem.CodeDeleteBrake, At: time.Now().UTC(), Attempt: 1,
		Message: fmt.Sprintf("%d remote customers were deleted within the last hour; a person has to allow more (retry)", seen.LastHour),
	}
	if m.State == tandem.Parked && m.LastError.Code == last.Code && m.LastError.SkippedAt == nil {
		return m.LastError, nil
	}
	m.State, m.LastError, m.Claim = tandem.Parked, last, nil
	b := newBatch()
	b.putMapping(m)
	return last, b.flush(ctx, tx)
}

// NoteAttempt shows that a provider call failed and will be made again. It does not touch the mapping's version: the
// story of attempts is not news about the customer. A look has no key, and no claim stands beside it. Code CodeClaimEnded: there is nothing to make again, because the
// call was found to have happened (its event came, its answer did not) or the link has ended.
func (s *Store) NoteAttempt(ctx context.Context, call tandem.Call, failure error, attempt int) error {
	last := tandem.NewLastError(failure, time.Now().UTC(), attempt)
	var stands bool
	err := s.db.GetContext(ctx, &stands, `
		WITH noted AS (
		  UPDATE entity_integration_mappings
		  SET state = 'retrying', last_error = $3, updated_at = now()
		  WHERE id = $1 AND COALESCE(claim ->> 'key', '') = $2 AND archived_at IS NULL AND state <> 'conflict'
		    AND last_error -> 'skipped_at' IS NULL) -- a person has given up on this attempt
		SELECT EXISTS (SELECT 1 FROM entity_integration_mappings
		               WHERE id = $1 AND COALESCE(claim ->> 'key', '') = $2 AND archived_at IS NULL)`,
		call.MappingID, call.Key, jsonText(last, ""))
	if err == nil && !stands {
		return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeClaimEnded, Message: "the call was ended by something else", Err: failure}
	}
	return translate(err)
}

// Park ends a call that no retry can help. An invalid request made nothing at the provider: its claim is released and
// the epoch raised, because the provider may remember the refusal under the old key, so that the next change of the
// customer freezes a new body. After any other failure the claim stays, because the call may yet turn out to have
// happened. Parking the same call twice is one parking.
func (s *Store) Park(ctx context.Context, call tandem.Call, failure tandem.LastError, work tandem.Work) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := s.lockCustomer(ctx, tx, call.CustomerID); err != nil {
			return err
		}
		m, err := liveMapping(ctx, tx, call.CustomerID, call.Provider)
		if err != nil || m == nil || m.ID != call.MappingID || claimKey(m) != call.Key {
			return err
		}
		if m.State == tandem.Parked && m.LastError.At.Equal(failure.At) {
			return nil
		}
		m.State, m.LastError = tandem.Parked, &failure
		if failure.Class == tandem.Invalid {
			m.Claim = nil
			m.Epoch++
		}
		b := newBatch()
		b.putMapping(m)
		b.note(tandem.JournalEntry{
			CustomerID: m.CustomerID, Provider: m.Provider, RemoteID: m.RemoteID, Direction: tandem.Outbound,
			Action: "park", Work: work, Detail: string(failure.Class) + "/" + failure.Code + " " + failure.RequestID,
		})
		err = b.flush(ctx, tx)
		chaos.Point("park.before_commit")
		return err
	})
}

// claimKey is the key of the call that is decided on, empty when there is none.
func claimKey(m *tandem.Mapping) string {
	if m.Claim == nil {
		return ""
	}
	return m.Claim.Key
}
