package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

const runColumns = `
	r.id, r.provider_type, r.mode, r.plan, r.match_email, r.state, r.step, r.ranges, r.after, r.counts, r.last_error,
	r.workflow_id, r.version, r.started_at, r.updated_at, r.ended_at`

type runRow struct {
	ID         string       `db:"id"`
	Provider   string       `db:"provider_type"`
	Mode       string       `db:"mode"`
	Plan       bool         `db:"plan"`
	MatchEmail bool         `db:"match_email"`
	State      string       `db:"state"`
	Step       string       `db:"step"`
	Ranges     []byte       `db:"ranges"`
	After      string       `db:"after"`
	Counts     []byte       `db:"counts"`
	LastError  []byte       `db:"last_error"`
	WorkflowID string       `db:"workflow_id"`
	Version    int64        `db:"version"`
	StartedAt  time.Time    `db:"started_at"`
	UpdatedAt  time.Time    `db:"updated_at"`
	EndedAt    sql.NullTime `db:"ended_at"`
}

func (r runRow) run() (tandem.BulkRun, error) {
	run := tandem.BulkRun{
		RunWish: tandem.RunWish{ID: r.ID, Provider: r.Provider, Mode: tandem.Mode(r.Mode), Plan: r.Plan, MatchEmail: r.MatchEmail},
		State:   tandem.RunState(r.State), Step: tandem.RunStep(r.Step), After: r.After, WorkflowID: r.WorkflowID,
		Version: r.Version, StartedAt: r.StartedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), EndedAt: timePtr(r.EndedAt),
	}
	if err := readJSON(r.Ranges, &run.Ranges, "ranges of a run"); err != nil {
		return run, err
	}
	if err := readJSON(r.Counts, &run.Counts, "counts of a run"); err != nil {
		return run, err
	}
	return run, readJSON(r.LastError, &run.LastError, "last error of a run")
}

// BeginRun writes the run down; the same id again is the same run, also when it has ended. Errors: CodeRunOpen.
func (s *Store) BeginRun(ctx context.Context, w tandem.RunWish, workflowID string) (tandem.BulkRun, error) {
	if w.ID == "" {
		known, err := s.runOf(ctx, workflowID)
		if tandem.CodeOf(err) != tandem.CodeRunNotFound {
			return known, err
		}
		w.ID = newID("run")
	}
	_, err := s.db.ExecContext(ctx, `
		INSERT INTO reconcile_runs (id, provider_type, mode, plan, match_email, workflow_id)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO NOTHING`, w.ID, w.Provider, string(w.Mode), w.Plan, w.MatchEmail, workflowID)
	refused := translate(err)
	if refused != nil && tandem.CodeOf(refused) != tandem.CodeRunOpen {
		return tandem.BulkRun{}, refused
	}
	run, err := s.BulkRun(ctx, w.ID) // the open one may be this very run, begun at the same time
	if refused != nil && tandem.CodeOf(err) == tandem.CodeRunNotFound {
		return tandem.BulkRun{}, refused
	}
	return run, err
}

// runOf reads the run of a workflow that was started without an id for it, as the schedule does: the time of the start is
// part of the workflow's id, so that an act that is made again finds what it did before.
func (s *Store) runOf(ctx context.Context, workflowID string) (tandem.BulkRun, error) {
	return oneRun(ctx, s.db, runMissing,
		`SELECT `+runColumns+` FROM reconcile_runs r WHERE r.workflow_id = $1 ORDER BY r.id DESC LIMIT 1`, workflowID)
}

// BulkRun reads one. Errors: CodeRunNotFound.
func (s *Store) BulkRun(ctx context.Context, id string) (tandem.BulkRun, error) {
	return oneRun(ctx, s.db, runMissing, `SELECT `+runColumns+` FROM reconcile_runs r WHERE r.id = $1`, id)
}

// OpenRun reads the one that has not ended. Errors: CodeRunNotFound.
func (s *Store) OpenRun(ctx context.Context, provider string) (tandem.BulkRun, error) {
	return oneRun(ctx, s.db, runMissing,
		`SELECT `+runColumns+` FROM reconcile_runs r WHERE r.provider_type = $1 AND r.ended_at IS NULL`, provider)
}

func runMissing() error { return notFound(tandem.CodeRunNotFound, "this run") }

func runMoved() error {
	return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeRunMoved, Message: "the run has been moved by somebody else, or has ended"}
}

// oneRun reads the run that a query is about; none says what it means that there is no such row.
func oneRun(ctx context.Context, q sqlx.QueryerContext, none func() error, query string, args ...any) (tandem.BulkRun, error) {
	var row runRow
	err := sqlx.GetContext(ctx, q, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return tandem.BulkRun{}, none()
	}
	if err != nil {
		return tandem.BulkRun{}, translate(err)
	}
	return row.run()
}

// SetRunState pauses, resumes or ends a run; one that has ended stays as it is. The version does not rise with it: it
// guards what pages move, and a page that is on its way when somebody pauses the run is a page well taken. With the end
// goes what the run has seen, which is the largest thing it wrote and of use to nobody else.
func (s *Store) SetRunState(ctx context.Context, id string, state tandem.RunState, failure *tandem.LastError) (tandem.BulkRun, error) {
	var out tandem.BulkRun
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		var err error
		out, err = oneRun(ctx, tx, runMissing, `SELECT `+runColumns+` FROM reconcile_runs r WHERE r.id = $1 FOR NO KEY UPDATE`, id)
		if err != nil || out.State.Ended() {
			return err
		}
		out, err = oneRun(ctx, tx, runMissing, `
			UPDATE reconcile_runs r
			SET state = $2, last_error = NULLIF($3, '')::jsonb, updated_at = now(), ended_at = CASE WHEN $4::boolean THEN now() END
			WHERE r.id = $1
			RETURNING `+runColumns, id, string(state), jsonText(failure, ""), state.Ended())
		if err == nil && state.Ended() {
			_, err = tx.ExecContext(ctx, `DELETE FROM reconcile_seen WHERE run_id = $1`, id)
		}
		return err
	})
	return out, err
}

// MoveRun writes step, place, ranges and counts of run, and lines of the report. Errors: CodeRunMoved.
func (s *Store) MoveRun(ctx context.Context, run tandem.BulkRun, findings []tandem.Finding) (tandem.BulkRun, error) {
	var out tandem.BulkRun
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		var err error
		if out, err = moveRun(ctx, tx, run); err != nil {
			return err
		}
		return writeFindings(ctx, tx, run.ID, findings)
	})
	return out, err
}

// holdRun has transactions that move a run take turns, and ends at once the one that comes late: a page that was taken
// in while its activity was thought dead is brought again.
func holdRun(ctx context.Context, tx *sqlx.Tx, run tandem.BulkRun) error {
	_, err := oneRun(ctx, tx, runMoved, `
		SELECT `+runColumns+` FROM reconcile_runs r
		WHERE r.id = $1 AND r.version = $2 AND r.ended_at IS NULL
		FOR NO KEY UPDATE`, run.ID, run.Version)
	return err
}

// moveRun is the only statement that moves a run, so that what it counts, and where it is, are never apart.
func moveRun(ctx context.Context, tx *sqlx.Tx, run tandem.BulkRun) (tandem.BulkRun, error) {
	return oneRun(ctx, tx, runMoved, `
		UPDATE reconcile_runs r
		SET step = $3, ranges = $4, after = $5, counts = $6, version = r.version + 1, updated_at = now()
		WHERE r.id = $1 AND r.version = $2 AND r.ended_at IS NULL
		RETURNING `+runColumns,
		run.ID, run.Version, string(run.Step), jsonText(run.Ranges, "[]"), run.After, jsonText(run.Counts, "{}"))
}
