package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
)

const (
	matchesAtOnce   = 20
	absentAtOnce    = 20
	reservedAtOnce  = 500
	sentAtOnce      = 50
	settlingPoll    = 200 * time.Millisecond
	settlingAtLast  = time.Minute // how long a run waits at its end for what it has left to Outbound
	settledEnough   = sentAtOnce / 2
	readForAbsence  = "absent"
	linkIDSeparator = ":"
)

// match links pairs by e-mail, through the same verified way as a person does.
func (a *Activities) match(ctx context.Context, run tandem.BulkRun) (tandem.BulkRun, error) {
	matches, err := a.Store.EmailMatches(ctx, run, matchesAtOnce)
	if err != nil {
		return run, err
	}
	var findings []tandem.Finding
	for _, m := range matches {
		f := tandem.Finding{Kind: tandem.FoundLinked, CustomerID: m.CustomerID, RemoteID: m.RemoteID, Reason: tandem.ReasonSameEmail}
		if !run.Plan {
			_, err := a.Starter.Link(ctx, tandem.Link{
				ID: run.ID + linkIDSeparator + m.RemoteID, CustomerID: m.CustomerID, Provider: run.Provider, RemoteID: m.RemoteID,
			})
			switch {
			case err == nil:
				f.Done = true
			case tandem.ClassOf(err).Retryable():
				return run, err // pairs before this one are linked, and are no matches any more
			default:
				f.Kind, f.Reason = tandem.FoundReview, tandem.ReasonMatchRefused+"/"+tandem.CodeOf(err)
			}
		}
		if f.Kind == tandem.FoundLinked { // it was counted as one to look at when the list came by
			run.Counts.Linked++
			run.Counts.Review--
		}
		findings = append(findings, f)
		run.After = m.RemoteID
	}
	return a.move(ctx, run, len(matches) < matchesAtOnce, findings)
}

// move goes on to the next step when this one is done.
func (a *Activities) move(ctx context.Context, run tandem.BulkRun, done bool, findings []tandem.Finding) (tandem.BulkRun, error) {
	if done {
		run.Step, run.After = run.Next(run.Step), ""
	}
	return a.Store.MoveRun(ctx, run, findings)
}

// absent asks about linked remote customers that a complete list did not have. Not being listed proves nothing; being
// told so does, and even then not for many at once.
func (a *Activities) absent(ctx context.Context, p tandem.Provider, run tandem.BulkRun) (tandem.BulkRun, error) {
	ids, err := a.Store.Absent(ctx, run, absentAtOnce)
	if err != nil {
		return run, err
	}
	var states []tandem.RemoteState
	var findings []tandem.Finding
	for _, id := range ids {
		state, finding, err := a.askAbsent(ctx, p, run, id)
		if err != nil {
			return run, err
		}
		if finding == nil {
			states = append(states, state)
		} else {
			findings = append(findings, *finding)
		}
		run.After = id
	}
	states, held, err := a.brakeAbsent(ctx, run, states)
	if err != nil {
		return run, err
	}
	findings = append(findings, held...)
	for _, f := range findings { // those that are applied are counted with what is written
		if f.Kind == tandem.FoundArchived {
			run.Counts.Archived++
		} else {
			run.Counts.Review++
		}
	}
	if len(ids) < absentAtOnce {
		run.Step, run.After = run.Next(run.Step), ""
	}
	return a.Store.ApplyAbsent(ctx, run, states, findings, work(ctx, run.Cause()))
}

// askAbsent returns the proof of a deletion, or what else was found.
func (a *Activities) askAbsent(ctx context.Context, p tandem.Provider, run tandem.BulkRun, id string) (tandem.RemoteState, *tandem.Finding, error) {
	if err := a.pace(ctx, p.Name()); err != nil {
		return tandem.RemoteState{}, nil, err
	}
	state, err := a.fetch(ctx, p, FetchInput{RemoteID: id, Why: readForAbsence})
	state.Provider = run.Provider
	finding := &tandem.Finding{Kind: tandem.FoundReview, RemoteID: id, Reason: tandem.ReasonNotListed}
	switch {
	case tandem.ClassOf(err) == tandem.Gone && err != nil:
		finding.Reason = tandem.ReasonNeverHeard
	case err != nil:
		return state, nil, err
	case state.Deleted && run.Plan:
		finding.Kind, finding.Reason = tandem.FoundArchived, tandem.ReasonDeleted
	case state.Deleted:
		return state, nil, nil
	}
	return state, finding, nil
}

func (a *Activities) brakeAbsent(ctx context.Context, run tandem.BulkRun, states []tandem.RemoteState) ([]tandem.RemoteState, []tandem.Finding, error) {
	if len(states) == 0 {
		return nil, nil, nil
	}
	brakes, err := a.Store.AbsentBrakes(ctx, run.Provider, run.Counts.Archived+len(states))
	if err != nil || !brakes {
		return states, nil, err
	}
	var held []tandem.Finding
	for _, s := range states {
		held = append(held, tandem.Finding{Kind: tandem.FoundReview, RemoteID: s.RemoteID, Reason: tandem.ReasonBrake})
	}
	return nil, held, nil
}

func (a *Activities) reserve(ctx context.Context, run tandem.BulkRun) (tandem.BulkRun, error) {
	run, done, err := a.Store.ReserveNext(ctx, run, reservedAtOnce, work(ctx, run.Cause()))
	if err != nil || !done {
		return run, err
	}
	return a.move(ctx, run, true, nil)
}

// send has Outbound look at whoever has something left to do at the provider, a few at a time: what waits for the
// provider's pace should wait in the database, not as a thousand open workflows. It asks what is, not what this run did,
// so that a crash after a page was taken in leaves nobody behind.
func (a *Activities) send(ctx context.Context, run tandem.BulkRun) (tandem.BulkRun, error) {
	ids, err := a.Store.PendingNext(ctx, run.Provider, run.After, sentAtOnce)
	if err != nil {
		return run, err
	}
	if len(ids) == 0 {
		return a.sent(ctx, run)
	}
	if err := a.wakeAll(ctx, ids, run.Cause()); err != nil {
		return run, err
	}
	if err := a.settling(ctx, func() (bool, error) {
		n, err := a.Store.StillPending(ctx, run.Provider, ids)
		return n <= settledEnough, err
	}); err != nil {
		return run, err
	}
	run.After = ids[len(ids)-1]
	return a.move(ctx, run, false, nil)
}

// sent waits for the last of them, for a while: what goes on waiting shows on its mapping.
func (a *Activities) sent(ctx context.Context, run tandem.BulkRun) (tandem.BulkRun, error) {
	nobody := func() (bool, error) {
		ids, err := a.Store.PendingNext(ctx, run.Provider, "", 1)
		return len(ids) == 0, err
	}
	if err := a.settling(ctx, nobody); err != nil {
		return run, err
	}
	done, err := nobody()
	if err != nil || !done && time.Since(run.UpdatedAt) < settlingAtLast {
		return run, err
	}
	return a.move(ctx, run, true, nil)
}

// settling waits for a fact, at most as long as a slice lasts.
func (a *Activities) settling(ctx context.Context, is func() (bool, error)) error {
	for deadline := time.Now().Add(slice); time.Now().Before(deadline); {
		yes, err := is()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-activity.GetWorkerStopChannel(ctx):
			return nil
		case <-time.After(settlingPoll):
		}
	}
	return nil
}

func (a *Activities) wakeAll(ctx context.Context, customers []string, cause tandem.Cause) error {
	errs := make(chan error, len(customers))
	slots := make(chan struct{}, handOversAtOnce)
	var all sync.WaitGroup
	for _, id := range customers {
		slots <- struct{}{}
		all.Go(func() {
			_, err := a.Starter.Sync(ctx, id, cause)
			errs <- err
			<-slots
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
