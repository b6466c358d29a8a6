package activities

import (
	"cmp"
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
)

// runStore is what runs over whole books, and catching up, need of the database. Whatever takes a BulkRun is guarded by
// its version: CodeRunMoved says that somebody else has moved the run meanwhile, and nothing was written.
type runStore interface {
	// BeginRun writes the run down; the same id again is the same run, and so is the same workflow where there is none.
	// Errors: CodeRunOpen.
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

// slice is how long one act goes on before it tells the workflow how far it is.
const slice = 5 * time.Second

// BeginRun writes a run down. One whose workflow has ended without saying so, because a person terminated it, is ended
// first: it would stand in the way for ever.
func (a *Activities) BeginRun(ctx context.Context, w tandem.RunWish) (tandem.BulkRun, error) {
	if _, err := a.Providers.Get(w.Provider); err != nil {
		return tandem.BulkRun{}, failed(ctx, err)
	}
	id := activity.GetInfo(ctx).WorkflowExecution.ID
	run, err := a.Store.BeginRun(ctx, w, id)
	if tandem.CodeOf(err) == tandem.CodeRunOpen {
		if ended, endErr := a.endOrphan(ctx, w.Provider); ended || endErr != nil {
			if err = endErr; err == nil {
				run, err = a.Store.BeginRun(ctx, w, id)
			}
		}
	}
	return run, failedAs(ctx, err, true)
}

func (a *Activities) endOrphan(ctx context.Context, provider string) (bool, error) {
	open, err := a.Store.OpenRun(ctx, provider)
	if tandem.CodeOf(err) == tandem.CodeRunNotFound {
		return true, nil // it has just ended
	}
	if err != nil {
		return false, err
	}
	alive, err := a.Starter.Runs(ctx, open.WorkflowID)
	if err != nil || alive {
		return false, err
	}
	_, err = a.Store.SetRunState(ctx, open.ID, tandem.RunCancelled, &tandem.LastError{
		Class: tandem.Bug, Code: tandem.CodeRunEnded, Message: "its workflow ended without it", At: time.Now().UTC(), Attempt: 1,
	})
	return true, err
}

// RunStateInput says what a run is to be.
type RunStateInput struct {
	ID      string            `json:"id"`
	State   tandem.RunState   `json:"state"`
	Failure *tandem.LastError `json:"failure,omitempty"`
}

// SetRunState pauses, resumes or ends a run. Whole books that were held against each other fill the gap that events
// left which the provider had forgotten.
func (a *Activities) SetRunState(ctx context.Context, in RunStateInput) (tandem.BulkRun, error) {
	run, err := a.Store.SetRunState(ctx, in.ID, in.State, in.Failure)
	if err == nil && run.State == tandem.RunDone && !run.Plan && run.Mode != tandem.ModeExport {
		err = a.fillGap(ctx, run)
	}
	return run, failed(ctx, err)
}

func (a *Activities) fillGap(ctx context.Context, run tandem.BulkRun) error {
	c, err := a.Store.CatchUp(ctx, run.Provider)
	if err != nil || c.GapSince == nil || c.UpTo.IsZero() {
		return err
	}
	c.GapSince = nil
	return a.Store.SaveCatchUp(ctx, c)
}

// RunSlice works on a run for some seconds, wherever it is, and says how far it has come. Where it is stands in the
// database, moved by the same transactions as the customers: a slice that dies is begun again where it was.
func (a *Activities) RunSlice(ctx context.Context, id string) (tandem.BulkRun, error) {
	run, err := a.Store.BulkRun(ctx, id)
	if err != nil {
		return run, failed(ctx, err)
	}
	provider, err := a.Providers.Get(run.Provider)
	if err != nil {
		return run, failed(ctx, err)
	}
	over := make(chan struct{})
	defer close(over)
	go beat(ctx, over, cmp.Or(a.BeatEvery, beatEvery))
	until := time.NewTimer(slice)
	defer until.Stop()
	for begun := time.Now(); run.State == tandem.RunRunning && run.Step != tandem.StepEnd && time.Since(begun) < slice; {
		if run.Step == tandem.StepList {
			run, err = a.list(ctx, provider, run, until.C)
		} else {
			run, err = a.step(ctx, provider, run)
		}
		if err != nil {
			return run, failed(ctx, err)
		}
		select {
		case <-activity.GetWorkerStopChannel(ctx):
			return run, nil
		default:
		}
	}
	return run, nil
}

func (a *Activities) step(ctx context.Context, p tandem.Provider, run tandem.BulkRun) (tandem.BulkRun, error) {
	switch run.Step {
	case tandem.StepMatch:
		return a.match(ctx, run)
	case tandem.StepAbsent:
		return a.absent(ctx, p, run)
	case tandem.StepReserve:
		return a.reserve(ctx, run)
	case tandem.StepSend:
		return a.send(ctx, run)
	}
	return run, tandem.Errorf(tandem.Bug, tandem.CodeInternal, "unknown step %q", run.Step)
}
