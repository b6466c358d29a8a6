package activities

import (
	"context"

	"github.com/tandem-sync/tandem"
)

// runStore is what runs over whole books, and catching up, need of the database. Whatever takes a BulkRun is guarded by
// its version: CodeRunMoved says that somebody else has moved the run meanwhile, and nothing was written.
type runStore interface {
	// BeginRun writes the run down; the same id again is the same run. Errors: CodeRunOpen.
	BeginRun(ctx context.Context, w tandem.RunWish, workflowID string) (tandem.BulkRun, error)
	// BulkRun reads one. Errors: CodeRunNotFound.
	BulkRun(ctx context.Context, id string) (tandem.BulkRun, error)
	// OpenRun reads the one that has not ended. Errors: CodeRunNotFound.
	OpenRun(ctx context.Context, provider string) (tandem.BulkRun, error)
	// SetRunState pauses, resumes or ends a run, whatever its version; one that has ended stays as it is.
	SetRunState(ctx context.Context, id string, state tandem.RunState, failure *tandem.LastError) (tandem.BulkRun, error)
	// ApplyPages takes pages of the list in: what is decided, the report, the counts and the ranges in one transaction.
	ApplyPages(ctx context.Context, run tandem.BulkRun, pages []tandem.WalkedPage, work tandem.Work) (tandem.BulkRun, error)
	// MoveRun writes step, place, ranges and counts of run, and lines of the report. A line about the same customer
	// replaces the one before.
	MoveRun(ctx context.Context, run tandem.BulkRun, findings []tandem.Finding) (tandem.BulkRun, error)
	// EmailMatches are pairs that only the whole list can tell, behind run.After (a remote id).
	EmailMatches(ctx context.Context, run tandem.BulkRun, limit int) ([]tandem.EmailMatch, error)
	// Absent are linked remote customers that the list did not have, behind run.After (a remote id).
	Absent(ctx context.Context, run tandem.BulkRun, limit int) ([]string, error)
	// AbsentBrakes reports whether so many deletions are too many for one run.
	AbsentBrakes(ctx context.Context, provider string, deletions int) (bool, error)
	// ApplyAbsent takes in what the provider said about absent ones, with findings about the others, and moves the run.
	ApplyAbsent(ctx context.Context, run tandem.BulkRun, states []tandem.RemoteState, findings []tandem.Finding, work tandem.Work) (tandem.BulkRun, error)
	// ReserveNext reserves creates for the next customers behind run.After that have no remote customer and of whom no
	// person said that they shall have none, and moves the run behind them. In a plan it only reports. done: that was all.
	ReserveNext(ctx context.Context, run tandem.BulkRun, limit int, work tandem.Work) (next tandem.BulkRun, done bool, err error)
	// PendingNext are customers, in order of id behind after, with something left to do at the provider.
	PendingNext(ctx context.Context, provider, after string, limit int) ([]string, error)
	// StillPending counts those that go on having it; parked ones do not count.
	StillPending(ctx context.Context, provider string, customerIDs []string) (int, error)

	// CatchUp reads how far the provider's list of events has been read; zero when never.
	CatchUp(ctx context.Context, provider string) (tandem.CatchUp, error)
	SaveCatchUp(ctx context.Context, c tandem.CatchUp) error
	// IngestFound writes ledger rows for those events that have none, to be drained, and returns these. No delivery is
	// counted: nobody delivered them.
	IngestFound(ctx context.Context, provider string, events []tandem.Event) ([]tandem.Event, error)
}
