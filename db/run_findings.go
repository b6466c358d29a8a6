package db

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// writeFindings writes lines of a run's report. A line about the same customer takes the place of the one before, under
// the id of that one: whoever pages through the report meets it once. Ids rise in the order the lines were found.
func writeFindings(ctx context.Context, tx *sqlx.Tx, runID string, findings []tandem.Finding) error {
	last := make(map[string]int, len(findings)) // one statement cannot write a row twice
	for i, f := range findings {
		last[subject(f)] = i
	}
	cols := newColumns(9).upTo(len(last))
	for i, f := range findings {
		if last[subject(f)] == i {
			cols.add(newID("fnd"), runID, subject(f), string(f.Kind), f.CustomerID, f.RemoteID, strconv.FormatBool(f.Done), f.Reason,
				jsonText(f.Changes, "[]"))
		}
	}
	return cols.exec(ctx, tx, `
		INSERT INTO reconcile_findings (id, run_id, subject, kind, customer_id, remote_id, done, reason, changes)
		SELECT id, run_id, subject, kind, customer_id, remote_id, done::boolean, reason, changes::jsonb
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
		     AS u (id, run_id, subject, kind, customer_id, remote_id, done, reason, changes)
		ON CONFLICT (run_id, subject) DO UPDATE
		SET kind = excluded.kind, customer_id = excluded.customer_id, remote_id = excluded.remote_id, done = excluded.done,
		    reason = excluded.reason, changes = excluded.changes, at = now()`)
}

// subject is whom a line is about.
func subject(f tandem.Finding) string {
	if f.RemoteID != "" {
		return f.RemoteID
	}
	return f.CustomerID
}

// writeSeen remembers which remote customers the list had. Their e-mails are kept only for a run that matches by them.
func writeSeen(ctx context.Context, tx *sqlx.Tx, run tandem.BulkRun, states []tandem.RemoteState) error {
	if run.Mode != tandem.ModeReconcile && !run.MatchEmail {
		return nil
	}
	emails := make(map[string]string, len(states))
	for _, state := range states {
		emails[state.RemoteID] = ""
		if run.MatchEmail {
			emails[state.RemoteID] = state.Fields.Email
		}
	}
	cols := newColumns(2)
	for id, email := range emails {
		cols.add(id, email)
	}
	if cols.rows == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO reconcile_seen AS s (run_id, provider_entity_id, email)
		SELECT $3, u.id, u.email FROM unnest($1::text[], $2::text[]) AS u (id, email)
		ON CONFLICT (run_id, provider_entity_id) DO UPDATE SET email = excluded.email WHERE s.email <> excluded.email`,
		append(cols.args(), run.ID)...)
	return translate(err)
}

// tally counts one customer of a run; a customer that was equal on both sides has no kind.
func tally(c *tandem.Counts, kind tandem.FindingKind) {
	switch kind {
	case tandem.FoundCreated:
		c.Created++
	case tandem.FoundLinked:
		c.Linked++
	case tandem.FoundUpdated:
		c.Updated++
	case tandem.FoundSent:
		c.Sent++
	case tandem.FoundArchived:
		c.Archived++
	case tandem.FoundConflict:
		c.Conflicts++
	case tandem.FoundRejected:
		c.Rejected++
	case tandem.FoundUnlinked:
		c.Unlinked++
	case tandem.FoundReview:
		c.Review++
	case tandem.FoundWaiting:
		c.Waiting++
	default:
		c.Equal++
	}
}

// storable is a text of the provider's as Postgres can hold it.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\uFFFD"), "\uFFFD")
}

type findingRow struct {
	ID         string    `db:"id"`
	RunID      string    `db:"run_id"`
	Kind       string    `db:"kind"`
	CustomerID string    `db:"customer_id"`
	RemoteID   string    `db:"remote_id"`
	Done       bool      `db:"done"`
	Reason     string    `db:"reason"`
	Changes    []byte    `db:"changes"`
	At         time.Time `db:"at"`
}

func (r findingRow) finding() (tandem.Finding, error) {
	f := tandem.Finding{
		ID: r.ID, RunID: r.RunID, Kind: tandem.FindingKind(r.Kind), CustomerID: r.CustomerID, RemoteID: r.RemoteID,
		Done: r.Done, Reason: r.Reason, At: r.At.UTC(),
	}
	return f, readJSON(r.Changes, &f.Changes, "changes of a finding")
}
