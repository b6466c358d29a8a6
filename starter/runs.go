package starter

import (
	"context"
	"errors"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/workflows"
)

// bulk work gives way to what somebody waits for. Lower is sooner; 3 is Temporal's default.
const bulk = 4

func bulkOptions(id, summary string) client.StartWorkflowOptions {
	o := options(id, summary)
	o.Priority = temporal.Priority{PriorityKey: bulk}
	return o
}

// BeginRun starts the run's workflow and waits until the run is written down.
func (s *Starter) BeginRun(ctx context.Context, w tandem.RunWish) (tandem.BulkRun, error) {
	var run tandem.BulkRun
	err := s.retryLostRace(ctx, func() error {
		start := s.client.NewWithStartWorkflowOperation(bulkOptions(workflows.ReconcileID(w.Provider, w.ID), runSummary(w)),
			workflows.Reconcile, workflows.ReconcileInput{Wish: w})
		handle, err := s.client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
			StartWorkflowOperation: start,
			UpdateOptions: client.UpdateWorkflowOptions{
				UpdateID: w.ID, UpdateName: workflows.UpdateBegin, WaitForStage: client.WorkflowUpdateStageCompleted,
			},
		})
		if err != nil {
			return err
		}
		return handle.Get(ctx, &run)
	})
	return run, translate(err)
}

func runSummary(w tandem.RunWish) string {
	text := string(w.Mode) + " with " + w.Provider
	if w.Plan {
		text += ", plan only"
	}
	return text
}

// Steer passes a person's word on.
func (s *Starter) Steer(ctx context.Context, workflowID string, word tandem.Word) error {
	err := s.client.SignalWorkflow(ctx, workflowID, "", string(word), nil)
	if _, ended := errors.AsType[*serviceerror.NotFound](err); ended {
		return &tandem.Error{Class: tandem.Conflict, Code: tandem.CodeRunEnded, Message: "the run has ended"}
	}
	return translate(err)
}

// Runs looks at the workflow's latest run.
func (s *Starter) Runs(ctx context.Context, workflowID string) (bool, error) {
	found, err := s.client.DescribeWorkflowExecution(ctx, workflowID, "")
	if _, forgotten := errors.AsType[*serviceerror.NotFound](err); forgotten {
		return false, nil
	}
	if err != nil {
		return false, translate(err)
	}
	return found.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// CatchUp signals the provider's workflow, starting it if need be.
func (s *Starter) CatchUp(ctx context.Context, provider string) (tandem.Run, error) {
	id := workflows.CatchUpID(provider)
	run, err := s.client.SignalWithStartWorkflow(ctx, id, workflows.SignalNow, nil,
		bulkOptions(id, catchUpSummary(provider)), workflows.CatchUp, workflows.CatchUpInput{Provider: provider})
	return runOf(run), translate(err)
}

func catchUpSummary(provider string) string {
	return "events of " + provider + " that no webhook has brought"
}
