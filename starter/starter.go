// Package starter turns a wish into exactly one workflow run. Workflow ids come from the ids of what they are about,
// so that any number of wishes about one customer meets in one workflow: a second start joins the open run.
package starter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
	"github.com/tandem-sync/tandem/workflows"
)

// Starter implements tandem.Starter with a Temporal client.
type Starter struct {
	client    client.Client
	providers []string
}

var _ tandem.Starter = (*Starter)(nil)

// New makes a starter; providers are the enabled ones.
func New(c client.Client, providers []string) *Starter {
	return &Starter{client: c, providers: providers}
}

// options are the same for both directions. Reusing a closed workflow's id is allowed, since the next wish about the
// same customer is a new run; an open one is used as it is.
func options(id, summary string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       id,
		TaskQueue:                workflows.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            summary,
	}
}

// Change sends the change with Update-with-Start. The update's id is the change's, so that the same wish sent twice
// into one run is one update; across runs the journal knows it.
func (s *Starter) Change(ctx context.Context, ch tandem.Change) (tandem.Customer, error) {
	var out tandem.Customer
	err := s.update(ctx, ch.CustomerID, workflows.UpdateChange, ch.ID, ch, &out)
	return out, err
}

// Link sends the wish to link by hand.
func (s *Starter) Link(ctx context.Context, l tandem.Link) (tandem.Mapping, error) {
	var out tandem.Mapping
	err := s.update(ctx, l.CustomerID, workflows.UpdateLink, l.ID, l, &out)
	if tandem.ClassOf(err) == tandem.Gone {
		err = &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeRemoteNotFound, Message: "the provider does not know this customer", Err: err}
	}
	return out, err
}

// Unlink sends the wish to take a mapping apart.
func (s *Starter) Unlink(ctx context.Context, u tandem.Unlink) error {
	return s.update(ctx, u.CustomerID, workflows.UpdateUnlink, u.ID, u, nil)
}

// Resolve sends a person's choice.
func (s *Starter) Resolve(ctx context.Context, r tandem.Resolve) (tandem.Mapping, error) {
	var out tandem.Mapping
	err := s.update(ctx, r.CustomerID, workflows.UpdateResolve, r.ID, r, &out)
	return out, err
}

// update sends a wish to the customer's Outbound workflow, starting it if need be, and waits for the answer.
func (s *Starter) update(ctx context.Context, customerID, name, updateID string, arg, out any) error {
	id, kind := workflows.OutboundID(customerID), tandem.ByOperator
	if name == workflows.UpdateChange {
		kind = tandem.ByAPI
	}
	chaos.Point("starter.before_update")
	err := s.retryLostRace(ctx, func() error {
		start := s.client.NewWithStartWorkflowOperation(options(id, "customer → "+strings.Join(s.providers, ", ")), workflows.Outbound,
			workflows.OutboundInput{
				CustomerID: customerID, Providers: s.providers,
				// A worker that dies with the wish fulfilled and not answered leaves the run without the update: then this is
				// why the run does what it finds left to do.
				Cause: tandem.Cause{Kind: kind, ID: updateID},
			})
		handle, err := s.client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
			StartWorkflowOperation: start,
			UpdateOptions: client.UpdateWorkflowOptions{
				UpdateID: updateID, UpdateName: name, Args: []any{arg}, WaitForStage: client.WorkflowUpdateStageCompleted,
			},
		})
		if err != nil {
			return err
		}
		return handle.Get(ctx, out)
	})
	return translate(err)
}

// Nudge passes a person's word on. A retry starts the workflow if it has ended and lets it pass the brake; to skip,
// something has to be waiting.
func (s *Starter) Nudge(ctx context.Context, customerID, provider string, word tandem.Word) (tandem.Run, error) {
	id := workflows.OutboundID(customerID)
	err := s.client.SignalWorkflow(ctx, id, "", string(word), provider)
	chaos.PointOf(string(word), "after_signal")
	if _, ended := errors.AsType[*serviceerror.NotFound](err); !ended {
		if err != nil {
			return tandem.Run{}, translate(err)
		}
		run := s.client.GetWorkflow(ctx, id, "")
		return tandem.Run{WorkflowID: id, RunID: run.GetRunID()}, nil
	}
	if word != tandem.WordRetry {
		return tandem.Run{}, &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeNothingWaits, Message: "nothing is waiting for this customer"}
	}
	return s.signal(ctx, customerID, workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByRetry}, Force: true})
}

// attempts bounds how often an update is sent again that met a run just as it closed. Each time needs another run to
// close in the same few milliseconds.
const attempts = 5

func (s *Starter) retryLostRace(ctx context.Context, send func() error) error {
	var err error
	for range attempts {
		if err = send(); !lostRace(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// lostRace: the run closed before it took the update, so nothing has happened.
func lostRace(err error) bool {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.Type() == "AcceptedUpdateCompletedWorkflow" {
		return true
	}
	_, notFound := errors.AsType[*serviceerror.NotFound](err)
	_, aborted := errors.AsType[*serviceerror.Aborted](err)
	_, notReady := errors.AsType[*serviceerror.WorkflowNotReady](err)
	return notFound || aborted || notReady
}

// Sync signals the customer's workflow, starting it if need be.
func (s *Starter) Sync(ctx context.Context, customerID string, cause tandem.Cause) (tandem.Run, error) {
	return s.signal(ctx, customerID, workflows.SyncSignal{Cause: cause})
}

func (s *Starter) signal(ctx context.Context, customerID string, signal workflows.SyncSignal) (tandem.Run, error) {
	id := workflows.OutboundID(customerID)
	how := options(id, "customer → "+strings.Join(s.providers, ", "))
	if signal.Cause.Kind == tandem.ByImport || signal.Cause.Kind == tandem.ByReconcile {
		how.Priority = temporal.Priority{PriorityKey: bulk}
	}
	run, err := s.client.SignalWithStartWorkflow(ctx, id, workflows.SignalSync, signal, how, workflows.Outbound,
		workflows.OutboundInput{CustomerID: customerID, Providers: s.providers, Cause: signal.Cause})
	chaos.Point("sync.after_signal")
	return runOf(run), translate(err)
}

// Inbound signals the remote customer's workflow, starting it if need be.
func (s *Starter) Inbound(ctx context.Context, provider, remoteID string, rows []string) (tandem.Run, error) {
	id := workflows.InboundID(provider, remoteID)
	run, err := s.client.SignalWithStartWorkflow(ctx, id, workflows.SignalEvents, workflows.EventsSignal{Rows: rows},
		options(id, provider+" → customer"), workflows.Inbound, workflows.InboundInput{Provider: provider, RemoteID: remoteID})
	return runOf(run), translate(err)
}

// Wake starts the remote customer's workflow. One that is open is left alone: a signal every minute would fill the
// history of one that waits for a provider's outage to end.
func (s *Starter) Wake(ctx context.Context, provider, remoteID string) error {
	_, err := s.client.ExecuteWorkflow(ctx, options(workflows.InboundID(provider, remoteID), provider+" → customer"),
		workflows.Inbound, workflows.InboundInput{Provider: provider, RemoteID: remoteID})
	return translate(err)
}

// Drain signals the provider's Drain workflow, starting it if need be.
func (s *Starter) Drain(ctx context.Context, provider string) error {
	id := workflows.DrainID(provider)
	_, err := s.client.SignalWithStartWorkflow(ctx, id, workflows.SignalEvents, nil,
		options(id, drainSummary(provider)), workflows.Drain, workflows.DrainInput{Provider: provider})
	return translate(err)
}

func drainSummary(provider string) string { return provider + " → customers, in batches" }

// Settle waits for the customer's workflow to end: it does when nothing is left to do.
func (s *Starter) Settle(ctx context.Context, customerID string) error {
	err := s.client.GetWorkflow(ctx, workflows.OutboundID(customerID), "").Get(ctx, nil)
	_, forgotten := errors.AsType[*serviceerror.NotFound](err) // it ended that long ago
	if forgotten || over(ctx) {
		err = nil
	}
	return translate(err)
}

// over reports that the caller's patience has ended. gRPC has its own timer for the deadline, which may fire first.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func runOf(run client.WorkflowRun) tandem.Run {
	if run == nil {
		return tandem.Run{}
	}
	return tandem.Run{WorkflowID: run.GetID(), RunID: run.GetRunID()}
}

// translate reads what an activity of ours said through the workflow; anything else means that Temporal did not take
// the wish, or did not answer in time.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var last tandem.LastError
		if app.HasDetails() && app.Details(&last) == nil && last.Class != "" {
			var fields []tandem.FieldError
			_ = app.Details(&last, &fields) // the second is there only if our own input is at fault
			return &tandem.Error{
				Class: last.Class, Code: last.Code, Message: last.Message, Param: last.Param, RequestID: last.RequestID, Fields: fields, Err: err,
			}
		}
	}
	return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "the workflow service did not take the request", Err: err}
}

// CheckTimeout bounds a health check.
const CheckTimeout = 2 * time.Second

// Check reports whether Temporal answers.
func (s *Starter) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	_, err := s.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// pollerLife is longer than one poll may take, which is a minute: a worker that waits for work has asked within it.
const pollerLife = 75 * time.Second

// Polled reports whether some worker has lately asked for the workflows' tasks. Without one, changes time out and nothing
// that is stored is worked on. Temporal goes on naming a worker that died for some minutes, so its last call counts.
func (s *Starter) Polled(ctx context.Context) (bool, error) {
	queue, err := s.client.DescribeTaskQueue(ctx, workflows.TaskQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return false, translate(err)
	}
	return slices.ContainsFunc(queue.GetPollers(), func(p *taskqueue.PollerInfo) bool {
		return time.Since(p.GetLastAccessTime().AsTime()) < pollerLife
	}), nil
}
