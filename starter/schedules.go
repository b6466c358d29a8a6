package starter

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/workflows"
)

// Every says how often the schedules of each provider start; zero leaves one out.
type Every struct {
	Drain, CatchUp, Reconcile time.Duration
}

// EnsureSchedules makes the schedules of this installation, or brings those of an earlier start up to date. One that a
// person has paused stays paused; one that is not wanted any more goes. They stand in the Temporal UI under Schedules.
func (s *Starter) EnsureSchedules(ctx context.Context, every Every) error {
	var errs []error
	for _, provider := range s.providers {
		drain, catchUp, books := workflows.DrainID(provider), workflows.CatchUpID(provider), workflows.ReconcileID(provider, scheduled)
		daily := tandem.RunWish{Provider: provider, Mode: tandem.ModeReconcile}
		errs = append(errs,
			s.schedule(ctx, drain, every.Drain, &client.ScheduleWorkflowAction{
				ID: drain, Workflow: workflows.Drain, Args: []any{workflows.DrainInput{Provider: provider}},
				TaskQueue: workflows.TaskQueue, StaticSummary: drainSummary(provider),
			}),
			s.schedule(ctx, catchUp, every.CatchUp, &client.ScheduleWorkflowAction{
				ID: catchUp, Workflow: workflows.CatchUp, Args: []any{workflows.CatchUpInput{Provider: provider}},
				TaskQueue: workflows.TaskQueue, StaticSummary: catchUpSummary(provider), Priority: temporal.Priority{PriorityKey: bulk},
			}),
			s.schedule(ctx, books, every.Reconcile, &client.ScheduleWorkflowAction{
				ID: books, Workflow: workflows.Reconcile, Args: []any{workflows.ReconcileInput{Wish: daily}},
				TaskQueue: workflows.TaskQueue, StaticSummary: runSummary(daily), Priority: temporal.Priority{PriorityKey: bulk},
			}))
	}
	return translate(errors.Join(errs...))
}

// scheduled is how the ids of runs begin that no person asked for; the time of their start follows.
const scheduled = "scheduled"

// schedule starts one run at a time. What was missed while Temporal was away needs no run of its own: the next one does
// it all.
func (s *Starter) schedule(ctx context.Context, id string, every time.Duration, action *client.ScheduleWorkflowAction) error {
	if every == 0 {
		err := s.client.ScheduleClient().GetHandle(ctx, id).Delete(ctx)
		if _, none := errors.AsType[*serviceerror.NotFound](err); none {
			return nil
		}
		return err
	}
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	const overlap, catchUp = enums.SCHEDULE_OVERLAP_POLICY_SKIP, time.Minute
	_, err := s.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, Overlap: overlap, CatchupWindow: catchUp,
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	return s.client.ScheduleClient().GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			next := in.Description.Schedule
			next.Spec, next.Action = &spec, action
			next.Policy = &client.SchedulePolicies{Overlap: overlap, CatchupWindow: catchUp}
			return &client.ScheduleUpdate{Schedule: &next}, nil
		},
	})
}
