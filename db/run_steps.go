package db

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// EmailMatches are pairs that only the whole list can tell, behind run.After (a remote id): neither side has been linked,
// and nobody else on either side has the e-mail. A pair of which one was linked once is for a person to make.
func (s *Store) EmailMatches(ctx context.Context, run tandem.BulkRun, limit int) ([]tandem.EmailMatch, error) {
	var rows []struct {
		CustomerID string `db:"customer_id"`
		RemoteID   string `db:"remote_id"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		SELECT s.provider_entity_id AS remote_id, c.id AS customer_id
		FROM reconcile_seen s
		CROSS JOIN LATERAL (
		  SELECT count(*) AS remotes
		  FROM (SELECT 1 FROM reconcile_seen WHERE run_id = $1 AND email = s.email AND email <> '' LIMIT 2) two) o
		CROSS JOIN LATERAL (
		  SELECT count(*) AS customers, min(id) AS id
		  FROM (SELECT e.id FROM (SELECT id, status FROM customers WHERE email = s.email OFFSET 0) e
		        WHERE e.status = 'active' LIMIT 2) two) c
		WHERE s.run_id = $1 AND s.provider_entity_id > $2 AND s.email <> '' AND o.remotes = 1 AND c.customers = 1
		  AND NOT EXISTS (SELECT 1 FROM (SELECT provider_type FROM entity_integration_mappings
		                                 WHERE provider_entity_id = s.provider_entity_id OFFSET 0) m WHERE m.provider_type = $3)
		  AND NOT EXISTS (SELECT 1 FROM (SELECT provider_type, provider_entity_id, claim FROM entity_integration_mappings
		                                 WHERE entity_id = c.id OFFSET 0) m
		                  WHERE m.provider_type = $3 AND (m.provider_entity_id IS NOT NULL OR m.claim IS NOT NULL))
		  AND NOT EXISTS (SELECT 1 FROM remote_tombstones t
		                  WHERE t.provider_type = $3 AND t.entity_type = 'customer' AND t.provider_entity_id = s.provider_entity_id)
		ORDER BY s.provider_entity_id
		LIMIT $4`, run.ID, run.After, run.Provider, limit)
	out := make([]tandem.EmailMatch, 0, len(rows))
	for _, row := range rows {
		out = append(out, tandem.EmailMatch{CustomerID: row.CustomerID, RemoteID: row.RemoteID})
	}
	return out, translate(err)
}

// Absent are linked remote customers that the list did not have, behind run.After (a remote id). What was linked while
// the run went on may be younger than the list. With an OFFSET the look for each one stays a look: the planner would
// otherwise read all that was seen, once per page.
func (s *Store) Absent(ctx context.Context, run tandem.BulkRun, limit int) ([]string, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `
		SELECT m.provider_entity_id FROM entity_integration_mappings m
		WHERE m.archived_at IS NULL AND m.provider_entity_id > $2 AND m.provider_type = $3 AND m.entity_type = 'customer'
		  AND m.created_at < $4
		  AND NOT EXISTS (SELECT 1 FROM reconcile_seen s WHERE s.run_id = $1 AND s.provider_entity_id = m.provider_entity_id OFFSET 0)
		ORDER BY m.provider_entity_id
		LIMIT $5`, run.ID, run.After, run.Provider, run.StartedAt, limit)
	return ids, translate(err)
}

// linkedEstimate counts live mappings as the planner does: good enough for a share, and free. A table that was never
// analysed is small enough to count.
const linkedEstimate = `
	(SELECT CASE WHEN reltuples > 0 THEN reltuples::bigint
	             ELSE (SELECT count(*) FROM entity_integration_mappings WHERE archived_at IS NULL) END
	 FROM pg_class WHERE oid = 'entity_integration_mappings'::regclass)`

// AbsentBrakes reports whether so many deletions are too many for one run: the limits are those of deletes at a provider.
// Those that this run takes in archive customers here, and a key of the wrong account would look like all of them.
func (s *Store) AbsentBrakes(ctx context.Context, _ string, deletions int) (bool, error) {
	if deletions == 0 {
		return false, nil
	}
	var linked int
	err := s.db.GetContext(ctx, &linked, `SELECT`+linkedEstimate)
	return err == nil && s.policy.Brake.Trips(deletions, linked), translate(err)
}

// candidate is a customer that has no live mapping for the provider.
type candidate struct {
	customerRow
	Epoch     int    `db:"epoch"`
	Ended     string `db:"ended"`      // why its last mapping did
	SameEmail bool   `db:"same_email"` // somebody over there, linked to nobody, has it
}

// ReserveNext reserves creates for the next customers behind run.After that have no remote customer, at most limit, and
// moves the run behind them. Whom a person unlinked, and whose remote customer was deleted, is reported and left alone;
// so is, where e-mails match, a customer whose e-mail somebody over there has: he may be the one. In a plan it only
// reports. done: that was all. Errors: CodeRunMoved.
func (s *Store) ReserveNext(ctx context.Context, run tandem.BulkRun, limit int, _ tandem.Work) (tandem.BulkRun, bool, error) {
	var out tandem.BulkRun
	done := false
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		if err := holdRun(ctx, tx, run); err != nil {
			return err
		}
		rows, err := s.candidates(ctx, tx, run, limit)
		if err != nil {
			return err
		}
		next := run
		findings, err := s.reserveCandidates(ctx, tx, run, rows)
		if err != nil {
			return err
		}
		for _, f := range findings {
			tally(&next.Counts, f.Kind)
			next.After = f.CustomerID
		}
		if err := writeFindings(ctx, tx, run.ID, findings); err != nil {
			return err
		}
		done = len(rows) < limit
		out, err = moveRun(ctx, tx, next)
		return err
	})
	return out, done, err
}

// candidates are held, so that nobody links or archives one before its create is reserved. A mapping that is made at this
// very moment breaks a rule of the table, and all starts over.
func (s *Store) candidates(ctx context.Context, tx *sqlx.Tx, run tandem.BulkRun, limit int) ([]candidate, error) {
	query := `
		SELECT ` + customerColumns + `, COALESCE(m.epoch + 1, 0) AS epoch, COALESCE(m.ended, '') AS ended,
		       $4::boolean AND c.email IS NOT NULL AND EXISTS (
		         SELECT 1 FROM reconcile_seen r
		         WHERE r.run_id = $3 AND r.email = c.email AND r.email <> ''
		           AND NOT EXISTS (SELECT 1 FROM (SELECT provider_type, archived_at FROM entity_integration_mappings
		                                          WHERE provider_entity_id = r.provider_entity_id OFFSET 0) l
		                           WHERE l.provider_type = $1 AND l.archived_at IS NULL)
		         OFFSET 0) AS same_email
		FROM customers c
		CROSS JOIN LATERAL (
		  SELECT max(a.epoch) AS epoch, bool_or(a.archived_at IS NULL) AS live,
		         (array_agg(a.archived_reason ORDER BY a.archived_at DESC))[1] AS ended
		  FROM (SELECT provider_type, epoch, archived_at, archived_reason FROM entity_integration_mappings
		        WHERE entity_id = c.id OFFSET 0) a
		  WHERE a.provider_type = $1) m -- one look into an index each: see loadMappings
		WHERE c.id > $2 AND c.status = 'active' AND m.live IS NOT TRUE
		ORDER BY c.id
		LIMIT $5`
	if !run.Plan {
		query += ` FOR UPDATE OF c`
	}
	var rows []candidate
	err := tx.SelectContext(ctx, &rows, query, run.Provider, run.After, run.ID, run.MatchEmail, limit)
	return rows, translate(err)
}

func (s *Store) reserveCandidates(ctx context.Context, tx *sqlx.Tx, run tandem.BulkRun, rows []candidate) ([]tandem.Finding, error) {
	findings := make([]tandem.Finding, 0, len(rows))
	creates := newReservations()
	for _, row := range rows {
		c, err := row.customer()
		if err != nil {
			return nil, err
		}
		f := tandem.Finding{Kind: tandem.FoundUnlinked, CustomerID: c.ID}
		switch {
		case row.Ended == string(tandem.Unlinked):
			f.Reason = tandem.ReasonUnlinkedHere
		case row.Ended == string(tandem.DeletedRemote):
			f.Reason = tandem.ReasonDeleted
		case row.SameEmail:
			f.Kind, f.Reason = tandem.FoundReview, tandem.ReasonSameEmail
		default:
			f.Kind, f.Reason, f.Done = tandem.FoundCreated, tandem.ReasonNoRemote, !run.Plan
			creates.add(s.policy, c, run.Provider, row.Epoch)
		}
		findings = append(findings, f)
	}
	if run.Plan {
		return findings, nil
	}
	return findings, creates.write(ctx, tx)
}

// PendingNext are customers, in order of id behind after, with something left to do at the provider.
func (s *Store) PendingNext(ctx context.Context, provider, after string, limit int) ([]string, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `
		SELECT entity_id FROM entity_integration_mappings
		WHERE state = 'pending' AND entity_id > $2 AND provider_type = $1 AND entity_type = 'customer'
		ORDER BY entity_id
		LIMIT $3`, provider, after, limit)
	return ids, translate(err)
}

// StillPending counts those that go on having it. Those that are parked, or being retried, wait for something else.
func (s *Store) StillPending(ctx context.Context, provider string, customerIDs []string) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `
		SELECT count(*) FROM (SELECT DISTINCT unnest($2::text[]) AS id) c
		CROSS JOIN LATERAL (SELECT provider_type, state FROM entity_integration_mappings WHERE entity_id = c.id OFFSET 0) m
		WHERE m.provider_type = $1 AND m.state = 'pending'`, provider, pq.Array(customerIDs))
	return n, translate(err)
}
