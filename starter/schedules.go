package starter

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem/workflows"
)

// EnsureSchedules makes the schedules of this installation, or brings those of an earlier start up to date. One that a
// person has paused stays paused. They stand in the Temporal UI under Schedules.
func (s *Starter) EnsureSchedules(ctx context.Context, drainEvery time.Duration) error {
	var errs []error
	for _, provider := range s.providers {
		id := workflows.DrainID(provider)
		errs = append(errs, s.schedule(ctx, id, drainEvery, &client.ScheduleWorkflowAction{
			ID: id, Workflow: workflows.Drain, Args: []any{workflows.DrainInput{Provider: provider}},
			TaskQueue: workflows.TaskQueue, StaticSummary: drainSummary(provider),
		}))
	}
	return translate(errors.Join(errs...))
}

// schedule starts one run at a time. What was missed while Temporal was away needs no run of its own: the next one does
// it all.
func (s *Starter) schedule(ctx context.Context, id string, every time.Duration, action *client.ScheduleWorkflowAction) error {
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
