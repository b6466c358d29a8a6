package db

import (
	"cmp"
	"context"
	"maps"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// ApplyChange is the first act of an outbound sync: one transaction that writes the customer, reserves its mappings
// with the claim of the create, and tells the journal. A change that was made already is answered with the customer as
// it is now. Errors: CodeCustomerNotFound, CodeCustomerExists, CodeCustomerArchived, CodeVersionMismatch,
// CodeExternalIDTaken, CodeOwnedByProvider.
func (s *Store) ApplyChange(ctx context.Context, ch tandem.Change, work tandem.Work) (tandem.Customer, error) {
	var out tandem.Customer
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		done, err := changeDone(ctx, tx, ch)
		if err != nil {
			return err
		}
		switch {
		case done:
			out, err = s.oneCustomer(ctx, tx, `SELECT `+customerColumns+` FROM customers c WHERE c.id = $1`, ch.CustomerID)
		case ch.Kind == tandem.ChangeCreate:
			out, err = s.create(ctx, tx, ch, work)
		default:
			out, err = s.update(ctx, tx, ch, work)
		}
		chaos.Point("act.change.before_commit")
		return err
	}, tandem.CodeCustomerExists) // by the same change, made at the same time
	return out, err
}

func changeDone(ctx context.Context, tx *sqlx.Tx, ch tandem.Change) (bool, error) {
	var done bool
	err := tx.GetContext(ctx, &done, `
		SELECT EXISTS (SELECT 1 FROM journal
		               WHERE entity_id = $1 AND cause_id = $2 AND cause = 'api' AND provider_type IS NULL)`,
		ch.CustomerID, ch.ID)
	return done, err
}

func (s *Store) create(ctx context.Context, tx *sqlx.Tx, ch tandem.Change, work tandem.Work) (tandem.Customer, error) {
	c := ch.Apply(tandem.Customer{ID: ch.CustomerID, Status: tandem.Active})
	if err := s.permitted(tandem.Customer{}, c); err != nil {
		return c, err
	}
	batch := newBatch()
	batch.insertCustomer(&c)
	batch.note(tandem.JournalEntry{
		CustomerID: c.ID, Direction: tandem.Outbound, Action: string(ch.Kind), Work: work,
		Changes: diffCustomers(tandem.Customer{}, c),
	})
	if err := batch.flush(ctx, tx); err != nil {
		return c, err
	}
	for _, provider := range s.providers {
		if err := s.reserve(ctx, tx, c, provider); err != nil {
			return c, err
		}
	}
	out, err := s.oneCustomer(ctx, tx, `SELECT `+customerColumns+` FROM customers c WHERE c.id = $1`, c.ID)
	if err == nil && ch.IdempotencyKey != "" {
		err = keepAnswer(ctx, tx, ch.IdempotencyKey, out)
	}
	return out, err
}

// reserve makes the pending mapping of a customer that has no live one for this provider, its create claimed.
func (s *Store) reserve(ctx context.Context, tx *sqlx.Tx, c tandem.Customer, provider string) error {
	var epoch int
	err := tx.GetContext(ctx, &epoch, `
		SELECT COALESCE(max(epoch) + 1, 0) FROM entity_integration_mappings WHERE entity_id = $1 AND provider_type = $2`,
		c.ID, provider)
	if err != nil {
		return err
	}
	r := newReservations()
	r.add(s.policy, c, provider, epoch)
	return r.write(ctx, tx)
}

func (s *Store) update(ctx context.Context, tx *sqlx.Tx, ch tandem.Change, work tandem.Work) (tandem.Customer, error) {
	before, err := s.lockCustomer(ctx, tx, ch.CustomerID)
	if err != nil {
		return before, err
	}
	switch {
	case before.Status == tandem.Archived && ch.Kind == tandem.ChangeArchive:
		return before, nil
	case before.Status == tandem.Archived:
		return before, &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeCustomerArchived, Message: "the customer is archived"}
	case ch.ExpectedVersion != 0 && ch.ExpectedVersion != before.Version:
		return before, &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeVersionMismatch, Message: "the customer has been changed since it was read"}
	}
	if ch.Kind == tandem.ChangeArchive {
		return s.archive(ctx, tx, before, ch, work)
	}
	after := ch.Apply(before)
	if sameCustomer(before, after) {
		return before, nil
	}
	if err := s.permitted(before, after); err != nil {
		return before, err
	}
	batch := newBatch()
	batch.updateCustomer(before, &after)
	batch.note(tandem.JournalEntry{
		CustomerID: after.ID, Direction: tandem.Outbound, Action: string(ch.Kind), Work: work,
		Changes: diffCustomers(before, after),
	})
	if err := batch.flush(ctx, tx); err != nil {
		return after, err
	}
	if err := s.markPending(ctx, tx, after); err != nil {
		return after, err
	}
	return s.oneCustomer(ctx, tx, `SELECT `+customerColumns+` FROM customers c WHERE c.id = $1`, after.ID)
}

// permitted refuses a change of a field that only the provider may change. The API has refused it already by what it
// read; the provider may have changed the field since, and what is set here now would never be reconciled.
func (s *Store) permitted(before, after tandem.Customer) error {
	if s.policy.Merge.Forbidden(before.Fields(), after.Fields()).IsEmpty() {
		return nil
	}
	return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeOwnedByProvider, Message: "a field of the change may only be changed at the provider"}
}

// archive is local first: the customer is archived now, and the mapping knows what is to become of the other side.
func (s *Store) archive(ctx context.Context, tx *sqlx.Tx, c tandem.Customer, ch tandem.Change, work tandem.Work) (tandem.Customer, error) {
	wish := cmp.Or(ch.Remote, s.policy.OnArchive, tandem.DeleteRemote)
	before := c
	c.Status = tandem.Archived
	b := newBatch()
	b.updateCustomer(before, &c)
	b.note(tandem.JournalEntry{
		CustomerID: c.ID, Direction: tandem.Outbound, Action: string(ch.Kind), Work: work, Detail: "provider: " + string(wish),
	})
	if err := b.flush(ctx, tx); err != nil {
		return c, err
	}
	_, err := tx.ExecContext(ctx, `
		UPDATE entity_integration_mappings
		SET on_archive = $2, state = CASE WHEN state = 'synced' THEN 'pending' ELSE state END, updated_at = now()
		WHERE entity_id = $1 AND archived_at IS NULL`, c.ID, string(wish))
	if err != nil {
		return c, err
	}
	return s.oneCustomer(ctx, tx, `SELECT `+customerColumns+` FROM customers c WHERE c.id = $1`, c.ID)
}

// markPending shows that the mappings have something to do, and reserves one for each provider that this customer was
// never linked to (one that was added to the configuration later). A mapping that a person ended stays ended.
func (s *Store) markPending(ctx context.Context, tx *sqlx.Tx, c tandem.Customer) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE entity_integration_mappings SET state = 'pending', updated_at = now()
		WHERE entity_id = $1 AND state = 'synced'`, c.ID)
	if err != nil {
		return err
	}
	var missing []string
	err = tx.SelectContext(ctx, &missing, `
		SELECT p FROM unnest($2::text[]) p
		WHERE NOT EXISTS (SELECT 1 FROM entity_integration_mappings m WHERE m.entity_id = $1 AND m.provider_type = p)`,
		c.ID, pq.Array(s.providers))
	for _, provider := range missing {
		if err == nil {
			err = s.reserve(ctx, tx, c, provider)
		}
	}
	return err
}

func sameCustomer(a, b tandem.Customer) bool {
	return a.ExternalID == b.ExternalID && a.Name == b.Name && a.Email == b.Email && a.Phone == b.Phone &&
		a.Address == b.Address && maps.Equal(a.Metadata, b.Metadata)
}

func diffCustomers(before, after tandem.Customer) []tandem.FieldChange {
	changes := tandem.Diff(before.Fields(), after.Fields())
	if before.ExternalID != after.ExternalID {
		changes = append(changes, tandem.FieldChange{Field: "external_id", Before: before.ExternalID, After: after.ExternalID})
	}
	return changes
}
