package starter_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

// found reports whether a query finds the customer's workflow.
func (s *stack) found(t assert.TestingT, id, query string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	list, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query})
	if !assert.NoError(t, err) {
		return false
	}
	for _, e := range list.Executions {
		if e.Execution.WorkflowId == workflows.OutboundID(id) {
			return true
		}
	}
	return false
}

// findable returns when waiting workflows can be found: the worker has just added the search attributes.
func (s *stack) findable(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		id := recorder{s}.parked(t)
		defer s.skip(t, id)
		return s.found(new(assert.CollectT), id, `TandemState="parked"`)
	}, time.Minute, 100*time.Millisecond)
}

func (s *stack) skip(t *testing.T, id string) {
	t.Helper()
	_, err := s.starter.Nudge(t.Context(), id, "stripe", tandem.WordSkip)
	require.NoError(t, err)
	s.settled(t, id)
}

// details is what the Temporal UI shows of the customer's workflow.
func (s *stack) details(t *testing.T, id string) string {
	t.Helper()
	v, err := s.client.QueryWorkflow(t.Context(), workflows.OutboundID(id), "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var m sdkpb.WorkflowMetadata
	require.NoError(t, v.Get(&m))
	return m.CurrentDetails
}

// requireAnonymous: what is shown names classes and codes, never a person.
func requireAnonymous(t *testing.T, text string) {
	t.Helper()
	for _, personal := range []string{"Ada", "Example", "ada@", "Grace"} {
		require.NotContains(t, text, personal)
	}
}

func TestWaiting(t *testing.T) { //nolint:paralleltest // a stack is held to leaving no goroutine behind
	s := startStack(t)
	s.findable(t)
	for name, test := range map[string]func(*testing.T, *stack){
		"a call that is retried is found, tells its story, and can be skipped": testSkipBackoff,
		"a call that is skipped while it is made is made once":                 testSkipInFlight,
		"what is parked is found, tells its story, and can be skipped":         testSkipParked,
		"a saved failure that is skipped is looked up at the next change":      testSkipQuiet,
		"a refused wish names the field":                                       testRefusedWish,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func testSkipBackoff(t *testing.T, s *stack) {
	id := newCustomerID()
	fault := s.standIn.AddFault(stripetest.Fault{Kind: stripetest.Unauthorized, Op: "create", Contains: id, Count: -1})
	recorder{s}.change(t, createOf(id))
	require.Eventually(t, func() bool {
		return s.found(t, id, `TandemState="retrying" AND TandemProvider="stripe" AND TandemErrorClass="auth"`)
	}, 20*time.Second, 50*time.Millisecond)
	details := s.details(t, id)
	t.Log(details)
	require.Contains(t, details, "**stripe** calls: create")
	require.Contains(t, details, "`auth/api_key_invalid`")
	require.Contains(t, details, "`skip` to give up")
	requireAnonymous(t, details)

	recorder{s}.change(t, renameOf(id, "Grace Example")) // waits behind the call
	s.skip(t, id)
	m := s.mapping(t, id)
	require.Equal(t, tandem.Parked, m.State)
	require.Equal(t, tandem.Auth, m.LastError.Class)
	require.NotNil(t, m.LastError.SkippedAt)
	require.Equal(t, 1, s.journaled(t, id, "skip", "stripe"))
	require.Eventually(t, func() bool { return !s.found(t, id, `TandemState="retrying"`) }, 10*time.Second, 50*time.Millisecond)

	s.standIn.RemoveFault(fault)
	recorder{s}.change(t, renameOf(id, "Joan Example"))
	s.settled(t, id)
	m = s.mapping(t, id)
	require.Equal(t, tandem.Synced, m.State)
	require.Nil(t, m.LastError)
	require.Equal(t, "Joan Example", s.remoteName(t, m.RemoteID))
	require.Equal(t, 1, s.writes("create", id))
}

func testSkipInFlight(t *testing.T, s *stack) {
	id, release := s.held(t)
	s.skip(t, id)
	m := s.mapping(t, id)
	require.Equal(t, tandem.Parked, m.State)
	require.Equal(t, tandem.CodeUnanswered, m.LastError.Code)
	require.NotNil(t, m.Claim, "it may happen yet")
	release()
	require.NoError(t, s.standIn.Wait(t.Context(), func() bool { return s.writes("create", id) == 1 }))

	recorder{s}.change(t, renameOf(id, "Grace Example"))
	s.settled(t, id)
	m = s.mapping(t, id)
	require.Equal(t, tandem.Synced, m.State)
	require.Equal(t, "Grace Example", s.remoteName(t, m.RemoteID))
	require.Equal(t, 1, s.writes("create", id))
}

func testSkipParked(t *testing.T, s *stack) {
	id := recorder{s}.parked(t)
	require.Eventually(t, func() bool {
		return s.found(t, id, `TandemState="parked" AND TandemErrorClass="invalid" AND ExecutionStatus="Running"`)
	}, 20*time.Second, 50*time.Millisecond)
	details := s.details(t, id)
	t.Log(details)
	require.Contains(t, details, "waits for a person")
	require.Contains(t, details, "`invalid/email_invalid` in `email`")
	require.Contains(t, details, "`retry`")
	requireAnonymous(t, details)
	s.skip(t, id)
	require.NotNil(t, s.mapping(t, id).LastError.SkippedAt)
	require.Equal(t, "**stripe** rests\n\n", s.details(t, id), "a run that has ended tells its end")
}

func testSkipQuiet(t *testing.T, s *stack) {
	id := newCustomerID()
	s.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error500Done, Op: "create", Contains: id})
	recorder{s}.change(t, createOf(id))
	s.awaitState(t, id, tandem.Retrying)
	require.Eventually(t, func() bool { return s.found(t, id, `TandemErrorClass="ambiguous"`) }, 9*time.Second, 50*time.Millisecond)
	s.skip(t, id)
	require.Equal(t, tandem.CodeSavedFailure, s.mapping(t, id).LastError.Code)
	require.NotNil(t, s.mapping(t, id).Claim)

	recorder{s}.change(t, renameOf(id, "Grace Example"))
	s.settled(t, id)
	m := s.mapping(t, id)
	require.Equal(t, tandem.Synced, m.State)
	require.Equal(t, "Grace Example", s.remoteName(t, m.RemoteID))
	require.Equal(t, 1, s.writes("create", id))
}

func testRefusedWish(t *testing.T, s *stack) {
	id, _ := s.customer(t)
	_, err := s.starter.Resolve(t.Context(), tandem.Resolve{
		ID: newChangeID(), CustomerID: id, Provider: "stripe", Winners: map[string]tandem.Winner{"email": tandem.PlatformWins},
	})
	require.Equal(t, tandem.CodeInvalidRequest, tandem.CodeOf(err))
	require.Equal(t, []tandem.FieldError{{Field: "winner.email", Code: "not_on_hold", Message: "this field is not on hold"}}, tandem.FieldsOf(err))

	err = s.starter.Unlink(t.Context(), tandem.Unlink{ID: newChangeID(), CustomerID: id})
	require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
	require.Equal(t, "mapping_id", tandem.FieldsOf(err)[0].Field)
	s.settled(t, id)
	require.NotContains(t, describe(s.history(t, workflows.OutboundID(id), "")), "WorkflowExecutionUpdate", "a refusal leaves no trace")
}
