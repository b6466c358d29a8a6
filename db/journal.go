package db

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem"
)

// Journal reads a customer's story from its beginning, at most limit lines.
func (s *Store) Journal(ctx context.Context, customerID string, limit int) ([]tandem.JournalEntry, error) {
	return s.JournalPage(ctx, customerID, "", limit)
}

// JournalPage reads a customer's story from its beginning, or from behind the line with the id after.
func (s *Store) JournalPage(ctx context.Context, customerID, after string, limit int) ([]tandem.JournalEntry, error) {
	var rows []journalRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT id, at, entity_id, COALESCE(provider_type, '') AS provider_type,
		       COALESCE(provider_entity_id, '') AS provider_entity_id, direction, action, cause, cause_id, workflow_id,
		       run_id, changes, detail
		FROM journal
		WHERE entity_id = $1 AND id > $2
		ORDER BY id
		LIMIT $3`, customerID, after, limit)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, journalRow.entry)
}

type journalRow struct {
	ID         string    `db:"id"`
	At         time.Time `db:"at"`
	EntityID   string    `db:"entity_id"`
	Provider   string    `db:"provider_type"`
	RemoteID   string    `db:"provider_entity_id"`
	Direction  string    `db:"direction"`
	Action     string    `db:"action"`
	Cause      string    `db:"cause"`
	CauseID    string    `db:"cause_id"`
	WorkflowID string    `db:"workflow_id"`
	RunID      string    `db:"run_id"`
	Changes    []byte    `db:"changes"`
	Detail     string    `db:"detail"`
}

func (r journalRow) entry() (tandem.JournalEntry, error) {
	e := tandem.JournalEntry{
		ID: r.ID, At: r.At.UTC(), CustomerID: r.EntityID, Provider: r.Provider, RemoteID: r.RemoteID,
		Direction: tandem.Direction(r.Direction), Action: r.Action, Detail: r.Detail,
		Work: tandem.Work{Cause: tandem.Cause{Kind: r.Cause, ID: r.CauseID}, WorkflowID: r.WorkflowID, RunID: r.RunID},
	}
	return e, readJSON(r.Changes, &e.Changes, "journal changes")
}
