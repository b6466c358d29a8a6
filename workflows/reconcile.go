package workflows

import (
	"cmp"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// Messages of Reconcile.
const (
	UpdateBegin   = "begin" // answers with the run once it is written down, or with what stands in its way
	SignalPause   = string(tandem.WordPause)
	SignalResume  = string(tandem.WordResume)
	SignalCancel  = string(tandem.WordCancel)
	QueryProgress = "progress"
)

// ReconcileID is the id of a run's workflow. Those that the schedule starts have the time of their start in it instead.
func ReconcileID(provider, runID string) string { return "reconcile/" + provider + "/" + runID }

// ReconcileInput starts Reconcile. A wish without an id, as the schedule's, gets one. Run is set when an earlier run of the workflow is continued.
type ReconcileInput struct {
	Wish tandem.RunWish  `json:"wish"`
	Run  *tandem.BulkRun `json:"run,omitempty"`
}

// Reconcile holds all remote customers of a provider against all customers. Where it stands is kept in the database and
// moved by the same transactions as the customers; the workflow says when to go on, and waits for a person where nothing
// else helps.
func Reconcile(ctx workflow.Context, in ReconcileInput) (tandem.BulkRun, error) {
	r := &reconcile{wish: in.Wish, begun: in.Run != nil}
	if in.Run != nil {
		r.run = *in.Run
	}
	if err := r.setup(ctx); err != nil {
		return r.run, err
	}
	if !r.begun {
		r.begin(ctx)
	}
	if r.refused == nil {
		if err := r.work(ctx); err != nil {
			return r.run, err
		}
	}
	return r.run, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

type reconcile struct {
	wish    tandem.RunWish
	run     tandem.BulkRun
	begun   bool
	refused error
	word    tandem.Word       // the last one said that asks for something
	failure *tandem.LastError // a provider call fails and is being tried again
}

func (r *reconcile) setup(ctx workflow.Context) error {
	if err := workflow.SetQueryHandler(ctx, QueryProgress, func() (tandem.BulkRun, error) { return r.run, nil }); err != nil {
		return err
	}
	workflow.GoNamed(ctx, "signals", r.listen)
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateBegin, func(ctx workflow.Context) (tandem.BulkRun, error) {
		err := workflow.Await(ctx, func() bool { return r.begun || r.refused != nil })
		return r.run, cmp.Or(err, r.refused)
	}, workflow.UpdateHandlerOptions{Description: "waits until the run is written down"})
}

func (r *reconcile) listen(ctx workflow.Context) {
	selector := workflow.NewSelector(ctx)
	for _, name := range []string{SignalPause, SignalResume, SignalCancel, SignalRetry} {
		selector.AddReceive(workflow.GetSignalChannel(ctx, name), func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(ctx, nil)
			if r.word = tandem.Word(name); name == SignalRetry {
				r.word = tandem.WordResume
			}
		})
	}
	selector.AddReceive(workflow.GetSignalChannel(ctx, SignalFailing), func(c workflow.ReceiveChannel, _ bool) {
		var f Failing
		c.Receive(ctx, &f)
		r.failure = &f.Failure
		r.tell(ctx)
	})
	for {
		selector.Select(ctx)
	}
}

func (r *reconcile) begin(ctx workflow.Context) {
	err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "write the run down"), acts.BeginRun, r.wish).Get(ctx, &r.run)
	if r.refused = err; err == nil {
		r.begun = true
	} else if failure := activities.FailureOf(err, workflow.Now(ctx)); failure != nil {
		workflow.SetCurrentDetails(ctx, "did not begin: `"+failure.Code+"`")
	}
}

// work goes on slice by slice.
func (r *reconcile) work(ctx workflow.Context) error {
	for r.run.Step != tandem.StepEnd && !r.run.State.Ended() {
		if full(ctx) {
			return workflow.NewContinueAsNewError(ctx, Reconcile, ReconcileInput{Wish: r.wish, Run: &r.run})
		}
		if r.word == tandem.WordPause || r.word == tandem.WordCancel {
			if err := r.heed(ctx, nil); err != nil {
				return err
			}
			continue
		}
		if err := r.slice(ctx); err != nil {
			return err
		}
	}
	if r.run.State.Ended() {
		return nil
	}
	return r.become(ctx, tandem.RunDone, nil)
}

// slice has the run worked on for some seconds. What no retry can help waits for a person.
func (r *reconcile) slice(ctx workflow.Context) error {
	r.tell(ctx)
	var next tandem.BulkRun
	err := workflow.ExecuteActivity(forSlice(ctx, r.wish.Provider, r.run.Step), acts.RunSlice, r.run.ID).Get(ctx, &next)
	switch failure := activities.FailureOf(err, workflow.Now(ctx)); {
	case temporal.IsCanceledError(err) || ctx.Err() != nil:
		ctx, _ = workflow.NewDisconnectedContext(ctx)
		return cmp.Or(r.become(ctx, tandem.RunCancelled, nil), err)
	case err == nil:
		r.run, r.failure = next, nil
		return nil
	case failure.Code == tandem.CodeRunMoved: // an act that was taken for dead was not: the next one reads where it is
		return nil
	default:
		r.word = tandem.WordPause
		return r.heed(ctx, failure)
	}
}

// heed pauses until a person says how to go on, or cancels.
func (r *reconcile) heed(ctx workflow.Context, failure *tandem.LastError) error {
	if r.word == tandem.WordCancel {
		return r.become(ctx, tandem.RunCancelled, nil)
	}
	if err := r.become(ctx, tandem.RunPaused, failure); err != nil {
		return err
	}
	if err := workflow.Await(ctx, func() bool { return r.word != tandem.WordPause }); err != nil {
		ctx, _ = workflow.NewDisconnectedContext(ctx)
		return cmp.Or(r.become(ctx, tandem.RunCancelled, nil), err)
	}
	if r.word == tandem.WordCancel {
		return r.become(ctx, tandem.RunCancelled, nil)
	}
	return r.become(ctx, tandem.RunRunning, nil)
}

func (r *reconcile) become(ctx workflow.Context, state tandem.RunState, failure *tandem.LastError) error {
	err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "the run is "+string(state)), acts.SetRunState,
		activities.RunStateInput{ID: r.run.ID, State: state, Failure: failure}).Get(ctx, &r.run)
	r.tell(ctx)
	return err
}

// tell keeps the current details true: counts only, nothing about a person.
func (r *reconcile) tell(ctx workflow.Context) {
	c := r.run.Counts
	text := "**" + string(r.run.State) + "**, step `" + string(r.run.Step) + "`\n\n" + countsLine(c)
	if failure := cmp.Or(r.run.LastError, r.failure); failure != nil {
		text += "- in its way: `" + string(failure.Class) + "/" + failure.Code + "`; signal `resume` once it is mended, or `cancel`\n"
	}
	workflow.SetCurrentDetails(ctx, text)
}
