package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// failing is one class of failure, from what the provider does to what people see of it.
type failing struct {
	class, code, param string
	numbered           bool // the provider's request id is known

	faults func(remoteID string) []object
	again  time.Duration // retried by itself, not sooner than this; 0 parks
	ends   string        // the archived reason, when it is the end of the mapping
}

// refusing is a fault that answers updates of this remote customer, or what op says, with an error of Stripe's.
func refusing(remoteID string, status int, code, param string) object {
	return object{
		"kind": "custom", "op": "update", "contains": remoteID, "count": -1,
		"status": status, "type": "invalid_request_error", "code": code, "param": param, "message": "told by the test",
	}
}

func striking(kind string) func(string) []object {
	return func(remoteID string) []object {
		return []object{{"kind": kind, "op": "update", "contains": remoteID, "count": -1}}
	}
}

func missing(then ...object) func(string) []object {
	return func(remoteID string) []object {
		faults := []object{refusing(remoteID, http.StatusNotFound, "resource_missing", "id")}
		for _, f := range then {
			f["contains"], f["count"] = remoteID, -1
			if body, ok := f["body"].(string); ok {
				f["body"] = fmt.Sprintf(body, remoteID)
			}
			faults = append(faults, f)
		}
		return faults
	}
}

var taxonomy = []failing{
	{class: "transient", code: "remote_gone", faults: missing(), again: 500 * time.Millisecond}, // 404, and yet there
	{class: "ambiguous", code: "unavailable", numbered: true, faults: striking("error_503"), again: 500 * time.Millisecond},
	{class: "rate_limited", code: "rate_limit", numbered: true, faults: striking("rate_limit"), again: 500 * time.Millisecond},
	{class: "auth", code: "more_permissions_required", numbered: true, faults: striking("forbidden"), again: 2500 * time.Millisecond},
	{class: "invalid", code: "email_invalid", param: "email", numbered: true, faults: func(remoteID string) []object {
		return []object{refusing(remoteID, http.StatusBadRequest, "email_invalid", "email")}
	}},
	{class: "gone", code: "remote_gone", param: "id", numbered: true, // of another account: it proves nothing
		faults: missing(object{"kind": "custom", "op": "retrieve", "status": http.StatusNotFound, "type": "invalid_request_error", "code": "resource_missing"})},
	{class: "gone", code: "deleted", ends: "deleted_remote",
		faults: missing(object{"kind": "custom", "op": "retrieve", "status": http.StatusOK, "body": `{"id":%q,"object":"customer","deleted":true}`})},
	{class: "bug", code: "wrong_base_url", faults: func(remoteID string) []object {
		return []object{{"kind": "custom", "op": "update", "contains": remoteID, "count": -1, "status": http.StatusFound, "body": "moved"}}
	}},
}

// TestFailureTaxonomy goes from what a provider does to what is retried, and how soon, what the mapping, the metrics and
// the journal say of it, and how it is over. The class conflict has a test of its own: no answer to an update makes one.
func TestFailureTaxonomy(t *testing.T) {
	t.Parallel()
	for _, f := range taxonomy {
		t.Run(f.class+" "+f.code, func(t *testing.T) {
			t.Parallel()
			c := calm.rests(t, calm.create(t, person("taxonomy-"+f.class)).ID)
			remoteID := c.stripe().RemoteID
			counted := calm.callsOfClass(t, "update", f.class)
			var armed []string
			for _, fault := range f.faults(remoteID) {
				armed = append(armed, calm.stripe.fault(t, fault))
			}
			calm.edit(t, c.ID, object{"name": marker + " " + f.class})
			switch {
			case f.ends != "":
				calm.requireEnd(t, c, f)
				return
			case f.again > 0:
				calm.requireRetries(t, c, f)
			default:
				calm.requireParked(t, c, f)
			}
			require.Greater(t, calm.callsOfClass(t, "update", f.class), counted)
			calm.requireNeverFailed(t, "outbound/"+c.ID)

			for _, id := range armed {
				calm.stripe.unfault(t, id)
			}
			eventually(t, func(ct *assert.CollectT) { // the one before may not have begun to wait
				calm.wish(ct, c.ID, "retry")
				require.Equal(ct, "synced", calm.customer(ct, c.ID).stripe().State)
			}, "the end of "+f.class)
			after, r := calm.agrees(t, c.ID)
			require.Nil(t, after.stripe().LastError)
			require.Equal(t, marker+" "+f.class, r.Name)
			require.Equal(t, f.again == 0, len(calm.parkings(t, c.ID)) > 0, "only what a person has to see is parked")
			calm.requireNeverFailed(t, "outbound/"+c.ID)
		})
	}
}

// requireFailure holds what the API shows of a failure against what the provider did.
func (s *stack) requireFailure(t tester, c customer, f failing) {
	t.Helper()
	last := c.stripe().LastError
	require.NotNil(t, last)
	require.Equal(t, f.class+" "+f.code+" "+f.param, last.Class+" "+last.Code+" "+last.Param)
	require.NotEmpty(t, last.Message)
	require.Positive(t, last.Attempt)
	if f.numbered {
		require.Contains(t, s.stripe.requests(t, c.stripe().RemoteID), last.RequestID)
	}
}

func (s *stack) requireRetries(t *testing.T, c customer, f failing) {
	t.Helper()
	eventually(t, func(ct *assert.CollectT) {
		now := s.customer(ct, c.ID)
		require.Equal(ct, "retrying", now.stripe().State)
		s.requireFailure(ct, now, f)
		require.GreaterOrEqual(ct, now.stripe().LastError.Attempt, 2)
	}, "the second attempt")
	attempts := s.stripe.attempts(t, c.stripe().RemoteID)
	require.GreaterOrEqual(t, len(attempts), 2)
	require.GreaterOrEqual(t, attempts[1].At.Sub(attempts[0].At), f.again, "it hammers")
	for _, a := range attempts[1:] {
		require.Equal(t, attempts[0].Key, a.Key)
		require.Equal(t, attempts[0].Form, a.Form)
	}
	require.Empty(t, s.parkings(t, c.ID))
}

func (s *stack) requireParked(t *testing.T, c customer, f failing) {
	t.Helper()
	parked := s.reaches(t, c.ID, "parked")
	s.requireFailure(t, parked, f)
	require.Equal(t, 1, parked.stripe().LastError.Attempt)
	require.Len(t, s.stripe.attempts(t, c.stripe().RemoteID), 1, "what cannot work is not tried again")
	rows := s.parkings(t, c.ID)
	require.Len(t, rows, 1)
	require.Equal(t, strings.TrimSpace(f.class+"/"+f.code+" "+parked.stripe().LastError.RequestID), strings.TrimSpace(rows[0]))
}

// requireEnd is for what the provider has proved deleted.
func (s *stack) requireEnd(t *testing.T, c customer, f failing) {
	t.Helper()
	gone := s.archived(t, c.ID)
	require.Equal(t, f.ends, gone.stripe().ArchivedReason)
	require.Nil(t, gone.stripe().LastError)
	require.Equal(t, 1, s.count(t, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, c.stripe().RemoteID))
	require.Equal(t, []string{"inbound unlink api", "inbound archive api"}, story(s.journal(t, c.ID))[3:])
	s.call(t, http.MethodPatch, "/v1/customers/"+c.ID, object{"name": "x"}).problem(t, http.StatusConflict, "customer_archived")
	s.requireNeverFailed(t, "outbound/"+c.ID)
}

// TestConflictOfTwoClaimsOnOneRemoteCustomer: a create is answered with a remote customer that is somebody else's.
func TestConflictOfTwoClaimsOnOneRemoteCustomer(t *testing.T) {
	t.Parallel()
	owner, r := calm.agrees(t, calm.create(t, person("taxonomy-owner")).ID)
	c := calm.rests(t, calm.create(t, person("taxonomy-conflict")).ID)
	calm.unlink(t, calm.liveLink(t, c.ID).ID)
	counted := calm.callsOfClass(t, "create", "")
	theirs, err := json.Marshal(object{
		"id": r.ID, "object": "customer", "created": 1700000000, "livemode": false,
		"name": r.Name, "email": r.Email, "phone": r.Phone, "address": r.Address, "metadata": r.Metadata,
	})
	require.NoError(t, err)
	fault := calm.stripe.fault(t, object{
		"kind": "custom", "op": "create", "contains": c.ID, "count": -1, "status": http.StatusOK, "body": string(theirs),
	})
	calm.wished(t, c.ID, "sync")
	parked := calm.reaches(t, c.ID, "parked")
	last := parked.stripe().LastError
	require.NotNil(t, last)
	require.Equal(t, "conflict remote_linked", last.Class+" "+last.Code)
	require.Contains(t, last.Message, r.ID)
	require.Empty(t, parked.stripe().RemoteID)
	require.Len(t, calm.parkings(t, c.ID), 1)
	require.Contains(t, calm.parkings(t, c.ID)[0], "conflict/remote_linked")
	require.Greater(t, calm.callsOfClass(t, "create", ""), counted, "the call itself went well")
	calm.requireNeverFailed(t, "outbound/"+c.ID)

	calm.stripe.unfault(t, fault)
	calm.wished(t, c.ID, "retry")
	calm.together(t, c.ID)
	same, _ := calm.agrees(t, owner.ID)
	require.Equal(t, owner.fields(), same.fields())
	require.Equal(t, owner.Version, same.Version)
}

// parkings are the details of the journal's rows on parking.
func (s *stack) parkings(t tester, customerID string) []string {
	t.Helper()
	details := []string{}
	s.query(t, &details, `SELECT detail FROM journal WHERE entity_id = $1 AND action = 'park' ORDER BY id`, customerID)
	return details
}

// callsOfClass reads the counter of calls that ended so.
func (s *stack) callsOfClass(t tester, op, class string) int {
	t.Helper()
	status, text := get(t, s.at.Admin+"/metrics")
	require.Equal(t, http.StatusOK, status)
	series := fmt.Sprintf(`tandem_provider_requests_total{class=%q,operation=%q,provider="stripe"} `, class, op)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series); ok {
			n, err := strconv.Atoi(value)
			require.NoError(t, err)
			return n
		}
	}
	return 0
}

// requireNeverFailed: a provider may do what it likes; the workflow waits or completes.
func (s *stack) requireNeverFailed(t tester, workflowID string) {
	t.Helper()
	good := []enums.WorkflowExecutionStatus{
		enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
	}
	require.Contains(t, good, s.status(t, workflowID))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	runs, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = '%s'", workflowID)})
	require.NoError(t, err)
	for _, run := range runs.GetExecutions() {
		require.Contains(t, good, run.GetStatus())
	}
}

// timedOperation is a request that Tandem made, with its time.
type timedOperation struct {
	operation
	At time.Time `json:"at"`
}

// attempts are the latest updates of a remote customer under one key.
func (r standIn) attempts(t tester, remoteID string) []timedOperation {
	t.Helper()
	var all []timedOperation
	r.do(t, http.MethodGet, "/operations?customer="+remoteID, nil, &all)
	return slices.DeleteFunc(all, func(a timedOperation) bool { return a.Actor != "api" || a.Op != "update" })
}

// requests are the ids of all requests about a remote customer.
func (r standIn) requests(t tester, remoteID string) []string {
	t.Helper()
	var ids []string
	for _, op := range r.calls(t, "nobody", remoteID) {
		ids = append(ids, op.RequestID)
	}
	return ids
}
