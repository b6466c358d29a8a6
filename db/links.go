package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// Link makes a link by hand. state is the remote customer as it was fetched for this purpose. A link that is there
// already is answered with the mapping. Errors: CodeCustomerNotFound, CodeCustomerArchived, CodeRemoteGone,
// CodeCustomerLinked, CodeRemoteLinked.
func (s *Store) Link(ctx context.Context, l tandem.Link, state tandem.RemoteState, work tandem.Work) (tandem.Mapping, error) {
	var out tandem.Mapping
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		w, err := s.load(ctx, tx, []tandem.RemoteState{state}, true, l.CustomerID)
		if err != nil {
			return err
		}
		if w.customers[l.CustomerID] == nil {
			return notFound(tandem.CodeCustomerNotFound, "this customer")
		}
		c, live := *w.customers[l.CustomerID], w.byCustomer[l.CustomerID]
		if live != nil && live.RemoteID == l.RemoteID {
			out = *live
			return nil
		}
		if err := refuseLink(c, live, w, state); err != nil {
			return err
		}
		d := tandem.DecideLink(state, tandem.Pair{Customer: c, Mapping: live}, l.Winner, s.policy)
		b := newBatch()
		w.write(b, &d, work)
		out = *d.Mapping
		err = b.flush(ctx, tx)
		chaos.Point("link.before_commit")
		return err
	})
	return out, err
}

func refuseLink(c tandem.Customer, live *tandem.Mapping, w *world, state tandem.RemoteState) error {
	refuse := func(code, message string) error {
		return &tandem.Error{Class: tandem.Conflict, Code: code, Message: message}
	}
	switch {
	case c.Status == tandem.Archived:
		return refuse(tandem.CodeCustomerArchived, "the customer is archived")
	case state.Deleted || w.tombstones[state.RemoteID]:
		return refuse(tandem.CodeRemoteGone, "the remote customer was deleted")
	case w.byRemote[state.RemoteID] != nil:
		return refuse(tandem.CodeRemoteLinked, "the remote customer is linked to another customer")
	case live != nil:
		return live.RefusesLink()
	}
	return nil
}

// Unlink ends a mapping. Neither side is linked, made or imported again by itself. Ended already is done. Errors:
// CodeMappingNotFound; CodeCustomerLinked while its remote customer is being created, whose answer would find nothing.
func (s *Store) Unlink(ctx context.Context, u tandem.Unlink, work tandem.Work) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		c, err := s.lockCustomer(ctx, tx, u.CustomerID)
		if err != nil {
			return err
		}
		var row mappingRow
		err = tx.GetContext(ctx, &row, `SELECT `+mappingColumns+` FROM entity_integration_mappings m WHERE m.id = $1 AND m.entity_id = $2`, u.MappingID, c.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound(tandem.CodeMappingNotFound, "this mapping")
		}
		if err != nil {
			return err
		}
		m, err := row.mapping()
		switch {
		case err != nil || m.State == tandem.Ended:
			return err
		case m.Claim != nil && m.Claim.Action == tandem.ActCreate:
			return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeCustomerLinked, Message: "its remote customer is being created; wait for it, or until it is parked"}
		}
		b := newBatch()
		m.State, m.ArchivedReason, m.Claim, m.LastError = tandem.Ended, tandem.Unlinked, nil, nil
		b.putMapping(&m)
		b.note(tandem.JournalEntry{
			CustomerID: c.ID, Provider: m.Provider, RemoteID: m.RemoteID, Direction: tandem.Outbound, Action: "unlink", Work: work,
		})
		err = b.flush(ctx, tx)
		chaos.Point("unlink.before_commit")
		return err
	})
}

// Resolve decides fields on hold as a person chose. Deciding twice is deciding once. Errors: CodeMappingNotFound,
// CodeInvalidRequest for a field that is not on hold, or for which no side was chosen.
func (s *Store) Resolve(ctx context.Context, r tandem.Resolve, work tandem.Work) (tandem.Mapping, error) {
	var out tandem.Mapping
	if err := refuseWinners(r.Winners); err != nil {
		return out, err
	}
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		c, err := s.lockCustomer(ctx, tx, r.CustomerID)
		if err != nil {
			return err
		}
		live, err := liveMapping(ctx, tx, r.CustomerID, r.Provider)
		if err != nil {
			return err
		}
		if live == nil || live.Base == nil {
			return notFound(tandem.CodeMappingNotFound, "a link to "+r.Provider)
		}
		out = *live
		if done, err := s.resolved(ctx, tx, r); done || err != nil {
			return err
		}
		if c.Status == tandem.Archived {
			return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeCustomerArchived, Message: "the customer is archived"}
		}
		m, after, unknown := live.Settle(c, r.Winners)
		if unknown != "" {
			return badWinner("winner."+unknown, "not_on_hold", "this field is not on hold")
		}
		m.State, m.LastError = tandem.Pending, nil
		if len(m.Conflicts) > 0 {
			m.State = tandem.InConfl
		}
		b := newBatch()
		if !sameCustomer(c, after) {
			b.updateCustomer(c, &after)
		}
		b.putMapping(&m)
		b.note(tandem.JournalEntry{
			CustomerID: c.ID, Provider: m.Provider, RemoteID: m.RemoteID, Direction: tandem.Inbound, Action: "resolve", Work: work,
			Changes: tandem.Diff(c.Fields(), after.Fields()),
		})
		out = m
		err = b.flush(ctx, tx)
		chaos.Point("resolve.before_commit")
		return err
	})
	return out, err
}

// refuseWinners wants a side for every field that is named. The API checks that too, but people can send a choice to the
// workflow without it, and what is no provider must not count as the platform.
func refuseWinners(winners map[string]tandem.Winner) error {
	if len(winners) == 0 {
		return badWinner("winner", "required", "no field is named")
	}
	for field, winner := range winners {
		switch {
		case field == "":
			return badWinner("winner", "required", "a winner without a field is named")
		case winner != tandem.PlatformWins && winner != tandem.ProviderWins:
			return badWinner("winner."+field, "invalid", "must be platform or provider")
		}
	}
	return nil
}

func badWinner(field, code, message string) error {
	return &tandem.Error{
		Class: tandem.Invalid, Code: tandem.CodeInvalidRequest, Message: field + ": " + message,
		Fields: []tandem.FieldError{{Field: field, Code: code, Message: message}},
	}
}

func (s *Store) resolved(ctx context.Context, tx *sqlx.Tx, r tandem.Resolve) (bool, error) {
	var done bool
	err := tx.GetContext(ctx, &done, `
		SELECT EXISTS (SELECT 1 FROM journal WHERE entity_id = $1 AND cause_id = $2 AND action = 'resolve')`, r.CustomerID, r.ID)
	return done, err
}

// Renew gives up a claim whose call was proved not to have happened: the next plan freezes anew, under a new key.
func (s *Store) Renew(ctx context.Context, call tandem.Call, work tandem.Work) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := s.lockCustomer(ctx, tx, call.CustomerID); err != nil {
			return err
		}
		m, err := liveMapping(ctx, tx, call.CustomerID, call.Provider)
		if err != nil || m == nil || m.Claim == nil || m.Claim.Key != call.Key {
			return err
		}
		m.Claim, m.LastError, m.State = nil, nil, tandem.Pending
		if len(m.Conflicts) > 0 {
			m.State = tandem.InConfl
		}
		m.Epoch++
		b := newBatch()
		b.putMapping(m)
		b.note(tandem.JournalEntry{
			CustomerID: m.CustomerID, Provider: m.Provider, RemoteID: m.RemoteID, Direction: tandem.Outbound, Action: "renew",
			Work: work, Detail: string(call.Action) + " was proved not to have happened",
		})
		err = b.flush(ctx, tx)
		chaos.Point("renew.before_commit")
		return err
	})
}
