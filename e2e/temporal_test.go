package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// status of the latest run; unspecified when there never was one.
func (s *stack) status(t tester, workflowID string) enums.WorkflowExecutionStatus {
	t.Helper()
	d := s.describe(t, workflowID)
	if d == nil {
		return enums.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	return d.Status
}

// describe answers nil when there never was such a workflow.
func (s *stack) describe(t tester, workflowID string) *client.WorkflowExecutionDescription {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := s.temporal.DescribeWorkflow(ctx, workflowID, "")
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return nil
	}
	require.NoError(t, err)
	return d
}

// history of the latest run.
func (s *stack) history(t tester, workflowID string) []*history.HistoryEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out []*history.HistoryEvent
	events := s.temporal.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

// unrest is what keeps a workflow running, for whoever has to find out.
func (s *stack) unrest(t tester, workflowID string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d, err := s.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil || d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s runs; waiting for %v %v\n", workflowID, d.GetPendingActivities(), d.GetPendingWorkflowTask())
	for events := s.temporal.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		if err != nil {
			break
		}
		fmt.Fprintln(&out, e.GetEventTime().AsTime().Format(time.TimeOnly), e.GetEventType(), summary(t, e.GetUserMetadata().GetSummary()))
	}
	if trace, err := s.temporal.QueryWorkflow(ctx, workflowID, "", client.QueryTypeStackTrace); err == nil {
		var text string
		_ = trace.Get(&text) // an empty one says as much
		fmt.Fprintln(&out, text)
	}
	return out.String()
}

// steps are the acts in a history, as the Temporal UI lists them: type and summary.
func steps(t tester, events []*history.HistoryEvent) []string {
	t.Helper()
	var out []string
	for _, e := range events {
		name := e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
		if marker := e.GetMarkerRecordedEventAttributes(); marker.GetMarkerName() == "LocalActivity" {
			var data struct{ ActivityType string }
			decode(t, marker.GetDetails()["data"].GetPayloads()[0], &data)
			name = data.ActivityType
		}
		if name != "" {
			out = append(out, name+": "+summary(t, e.GetUserMetadata().GetSummary()))
		}
	}
	return out
}

func summary(t tester, p *common.Payload) string {
	t.Helper()
	var text string
	if p != nil {
		decode(t, p, &text)
	}
	return text
}

func decode(t tester, p *common.Payload, into any) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(p, into))
}

func TestTemporalTellsTheStoryOfBothDirections(t *testing.T) {
	t.Parallel()

	t.Run("outbound", func(t *testing.T) {
		t.Parallel()
		c := calm.create(t, person("temporal-out"))
		calm.rests(t, c.ID)
		id := "outbound/" + c.ID
		d := calm.describe(t, id)
		require.NotNil(t, d)
		require.Equal(t, "Outbound", d.WorkflowType.Name)
		require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, d.Status)
		about, err := d.GetStaticSummary()
		require.NoError(t, err)
		require.Equal(t, "customer → stripe", about)
		require.Equal(t, []string{
			"ChangeCustomer: create the customer",
			"PlanCall: plan for stripe",
			"CallProvider: create in stripe",
			"RecordAnswer: record the answer of stripe",
		}, steps(t, calm.history(t, id)))

		calm.edit(t, c.ID, object{"phone": "+1 415 555 0199"})
		calm.rests(t, c.ID)
		require.Equal(t, []string{
			"ChangeCustomer: update the customer",
			"PlanCall: plan for stripe",
			"CallProvider: update in stripe",
			"RecordAnswer: record the answer of stripe",
		}, steps(t, calm.history(t, id)), "the next change is the next run under the same id")
	})

	t.Run("inbound", func(t *testing.T) {
		t.Parallel()
		r := calm.stripe.create(t, remotePerson("temporal-in"))
		c := calm.imported(t, r.ID)
		calm.rests(t, c.ID)
		id := "inbound/stripe/" + r.ID
		d := calm.describe(t, id)
		require.NotNil(t, d)
		require.Equal(t, "Inbound", d.WorkflowType.Name)
		require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, d.Status)
		about, err := d.GetStaticSummary()
		require.NoError(t, err)
		require.Equal(t, "stripe → customer", about)
		require.Equal(t, []string{"ApplyEvents: apply waiting events"}, steps(t, calm.history(t, id)))
		require.Nil(t, calm.describe(t, "outbound/"+c.ID), "an import owes the provider nothing")
	})

	t.Run("a call that fails shows its attempt and why", func(t *testing.T) {
		t.Parallel()
		c := calm.synced(t, calm.create(t, person("temporal-fail")).ID)
		fault := calm.stripe.fault(t, object{"kind": "error_503", "contains": c.stripe().RemoteID, "count": -1})
		calm.edit(t, c.ID, object{"name": marker + " retried"})
		eventually(t, func(ct *assert.CollectT) {
			d, err := calm.temporal.DescribeWorkflowExecution(t.Context(), "outbound/"+c.ID, "")
			require.NoError(ct, err)
			pending := d.GetPendingActivities()
			require.Len(ct, pending, 1)
			require.Equal(ct, "CallProvider", pending[0].GetActivityType().GetName())
			require.Positive(ct, pending[0].GetAttempt())
			require.Contains(ct, pending[0].GetLastFailure().GetMessage(), "ambiguous/")
			require.NotContains(ct, pending[0].GetLastFailure().GetMessage(), marker)
		}, "a pending activity")
		calm.stripe.unfault(t, fault)
		calm.agrees(t, c.ID)
	})
}
