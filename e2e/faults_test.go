package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// createSurvives goes through what a provider can do to a create. A fault of creates strikes whoever comes first,
// so these run one after the other on the rough stack.
func createSurvives(t *testing.T, s *stack) {
	for _, fault := range []struct {
		kind  string
		count int
		posts int // that reached the provider, the last one included
	}{
		{"rate_limit", 2, 3},
		{"lock_timeout", 1, 2},
		{"error_503", 2, 3},
		{"html_502", 1, 2},
		{"html_200", 1, 2},
		{"key_in_use", 1, 2},
		{"drop_before", 1, 2},
		{"apply_then_drop", 1, 2},
		{"truncate", 1, 2},
		{"unauthorized", 1, 2},
	} {
		id := s.stripe.fault(t, object{"kind": fault.kind, "op": "create", "count": fault.count})
		c := s.create(t, person(fault.kind))
		c, r := s.agrees(t, c.ID)
		require.Equal(t, fault.count, s.stripe.hits(t, id), fault.kind)
		require.Equal(t, []remote{r}, s.stripe.of(t, c.ID), fault.kind)
		require.Nil(t, c.stripe().LastError, fault.kind)
		posts := s.stripe.calls(t, c.ID, c.stripe().RemoteID)
		require.Len(t, posts, fault.posts, fault.kind)
		for _, op := range posts {
			require.Equal(t, "tandem:dev:create:"+c.ID+":0", op.Key, fault.kind)
		}
		rows := s.journal(t, c.ID) // stored, then linked: by the answer or, if that is late, by the event
		require.Len(t, rows, 2, fault.kind)
		require.Equal(t, r.ID, rows[1].RemoteID, fault.kind)
	}
}

// createWithoutAnAnswerIsCompletedByItsEvent: the create happened, the answer is a 500 for a day, and the event
// that names our key is the first to tell.
func createWithoutAnAnswerIsCompletedByItsEvent(t *testing.T, s *stack) {
	s.stripe.fault(t, object{"kind": "error_500_done", "op": "create"})
	c := s.synced(t, s.create(t, person("saved-500")).ID)
	require.Len(t, s.stripe.of(t, c.ID), 1)
	s.edit(t, c.ID, object{"name": marker + " after all"})
	after, _ := s.agrees(t, c.ID)
	require.Equal(t, marker+" after all", after.Name)
	require.Len(t, s.stripe.of(t, c.ID), 1)
}

func TestFailingCallShowsWhyAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct{ kind, class, code string }{
		{"rate_limit", "rate_limited", "rate_limit"},
		{"error_503", "ambiguous", "unavailable"},
		{"apply_then_drop", "ambiguous", "network"},
		{"unauthorized", "auth", "api_key_invalid"},
	} {
		t.Run(fault.kind, func(t *testing.T) {
			t.Parallel()
			c := calm.rests(t, calm.create(t, person("failing-"+fault.kind)).ID)
			id := calm.stripe.fault(t, object{"kind": fault.kind, "op": "update", "contains": c.stripe().RemoteID, "count": -1})
			edited := calm.edit(t, c.ID, object{"name": marker + " " + fault.kind})
			require.Equal(t, marker+" "+fault.kind, edited.Name, "what is stored here does not wait for the provider")

			failing := calm.reaches(t, c.ID, "retrying")
			last := failing.stripe().LastError
			require.NotNil(t, last)
			require.Equal(t, fault.class, last.Class)
			require.Equal(t, fault.code, last.Code)
			require.NotEmpty(t, last.Message)
			require.Positive(t, last.Attempt)
			if fault.kind == "rate_limit" || fault.kind == "error_503" { // the others come without an id
				require.Regexp(t, `^req_`, last.RequestID)
			}
			require.Contains(t, ids(calm.list(t, "state=retrying&limit=100")), c.ID)

			calm.stripe.unfault(t, id)
			after, _ := calm.agrees(t, c.ID)
			require.Nil(t, after.stripe().LastError)
		})
	}
}

func TestRefusedUpdateIsParkedAndTheNextEditHealsIt(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("refused")).ID)
	calm.stripe.fault(t, object{
		"kind": "bad_request", "op": "update", "contains": c.stripe().RemoteID,
		"type": "invalid_request_error", "code": "email_invalid", "param": "email", "message": "Invalid email address",
	})
	calm.edit(t, c.ID, object{"email": "refused." + c.Email})
	parked := calm.reaches(t, c.ID, "parked")
	requireRefusal(t, calm, parked)

	calm.edit(t, c.ID, object{"phone": nil})
	after, r := calm.agrees(t, c.ID)
	require.Nil(t, after.stripe().LastError)
	require.Equal(t, "refused."+c.Email, r.Email, "the refused change was forgotten")
	require.Empty(t, r.Phone)
	require.Contains(t, story(calm.journal(t, c.ID)), "outbound park api")
}

func refusedCreateIsParkedAndTheNextEditHealsIt(t *testing.T, s *stack) {
	s.stripe.fault(t, object{
		"kind": "bad_request", "op": "create",
		"type": "invalid_request_error", "code": "email_invalid", "param": "email", "message": "Invalid email address",
	})
	c := s.create(t, person("refused-create"))
	parked := s.reaches(t, c.ID, "parked")
	require.Empty(t, parked.stripe().RemoteID)
	requireRefusal(t, s, parked)
	require.Empty(t, s.stripe.of(t, c.ID))

	s.edit(t, c.ID, object{"email": "accepted." + c.Email})
	_, r := s.agrees(t, c.ID)
	require.Equal(t, []remote{r}, s.stripe.of(t, c.ID))
	calls := s.stripe.calls(t, c.ID, r.ID)
	require.Len(t, calls, 2)
	require.NotEqual(t, calls[0].Key, calls[1].Key, "the provider may remember the refusal under the old key")
}

// requireRefusal holds what the API shows of a 400 against what the provider said.
func requireRefusal(t *testing.T, s *stack, c customer) {
	t.Helper()
	last := c.stripe().LastError
	require.NotNil(t, last)
	require.Equal(t, "invalid", last.Class)
	require.Equal(t, "email_invalid", last.Code)
	require.Equal(t, "email", last.Param)
	require.Equal(t, "Invalid email address", last.Message)
	calls := s.stripe.calls(t, c.ID, c.stripe().RemoteID)
	refused := calls[len(calls)-1]
	require.Equal(t, http.StatusBadRequest, refused.Status)
	require.Equal(t, refused.RequestID, last.RequestID)
}

func updateOfADeletedRemoteCustomerArchives(t *testing.T, s *stack) {
	c := s.rests(t, s.create(t, person("gone")).ID)
	s.stripe.pause(t)
	s.stripe.remove(t, c.stripe().RemoteID)
	s.edit(t, c.ID, object{"name": marker + " too late"})
	gone := s.archived(t, c.ID)
	require.Equal(t, "deleted_remote", gone.stripe().ArchivedReason)
	s.stripe.resume(t)
	s.rests(t, c.ID)
	require.Empty(t, s.stripe.of(t, c.ID))
}

func changesDuringACallAreNotSwallowed(t *testing.T, s *stack) {
	hold := s.stripe.fault(t, object{"kind": "hold", "op": "create", "count": -1})
	c := s.create(t, person("held"))
	eventually(t, func(ct *assert.CollectT) { require.Positive(ct, s.stripe.hits(ct, hold)) }, "the create")
	require.Equal(t, "pending", s.customer(t, c.ID).stripe().State)
	s.edit(t, c.ID, object{"name": marker + " meanwhile"})
	s.edit(t, c.ID, object{"metadata": object{"plan": nil}})
	s.stripe.unfault(t, hold)
	_, r := s.agrees(t, c.ID)
	require.Equal(t, marker+" meanwhile", r.Name)
	require.Equal(t, []remote{r}, s.stripe.of(t, c.ID))
}

func ids(customers []customer) []string {
	var out []string
	for _, c := range customers {
		out = append(out, c.ID)
	}
	return out
}
