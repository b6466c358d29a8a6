package db

import (
	"context"

	"github.com/tandem-sync/tandem"
)

// Runs reads one page of runs, newest first.
func (s *Store) Runs(ctx context.Context, q tandem.RunQuery) ([]tandem.BulkRun, error) {
	var rows []runRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+runColumns+`
		FROM reconcile_runs r
		WHERE ($1 = '' OR r.provider_type = $1)
		  AND ($2 = '' OR r.state = $2)
		  AND ($3 = '' OR r.id < $3)
		ORDER BY r.id DESC
		LIMIT $4`, q.Provider, string(q.State), q.After, q.Limit)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, runRow.run)
}

// Findings reads one page of a run's report, in the order the lines were found.
func (s *Store) Findings(ctx context.Context, q tandem.FindingQuery) ([]tandem.Finding, error) {
	var rows []findingRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT id, run_id, kind, customer_id, remote_id, done, reason, changes, at
		FROM reconcile_findings
		WHERE run_id = $1 AND ($2 = '' OR kind = $2) AND id > $3
		ORDER BY id
		LIMIT $4`, q.RunID, string(q.Kind), q.After, q.Limit)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, findingRow.finding)
}
