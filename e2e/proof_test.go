package e2e_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProof is about creates whose outcome is unknown: nothing may be sent again before somebody has looked. The faults
// strike whoever comes first, so these tests have a stack of their own and take turns.
func TestProof(t *testing.T) {
	t.Parallel()
	s, err := startStack(stackOptions{ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, end("proof", s, t.Failed())) })
	for _, doubt := range []struct {
		name string
		test func(*testing.T, *stack)
	}{
		{"SavedFailureOfACreateThatDidNotHappen", savedFailureOfACreateThatDidNotHappen},
		{"SavedFailureOfACreateThatHappened", savedFailureOfACreateThatHappened},
		{"CreateIsFoundByAnotherAddress", createIsFoundByAnotherAddress},
		{"CreateWithoutAnAddressIsFound", createWithoutAnAddressIsFound},
		{"LookThatFailsProvesNothing", lookThatFailsProvesNothing},
		{"ArchiveDuringACreate", archiveDuringACreate},
		{"ArchiveOfWhatMayHaveBeenCreated", archiveOfWhatMayHaveBeenCreated},
		{"ArchiveOfWhatMayHaveBeenCreatedButWasNot", archiveOfWhatMayHaveBeenCreatedButWasNot},
	} {
		t.Run(doubt.name, func(t *testing.T) {
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				require.NoError(t, s.stripe.calmDown(ctx))
			})
			doubt.test(t, s)
		})
	}
}

// doubtful makes a customer whose create was answered by a failure that the provider remembers. Events are held back,
// so that nobody but Tandem can find out what became of it.
func doubtful(t *testing.T, s *stack, kind string, p object) customer {
	t.Helper()
	s.stripe.pause(t)
	s.stripe.fault(t, object{"kind": kind, "op": "create"})
	c := s.reaches(t, s.create(t, p).ID, "retrying")
	requireSavedFailure(t, c)
	require.Empty(t, c.stripe().RemoteID)
	return c
}

func requireSavedFailure(t *testing.T, c customer) {
	t.Helper()
	last := c.stripe().LastError
	require.NotNil(t, last)
	require.Equal(t, "ambiguous", last.Class)
	require.NotEmpty(t, last.Message)
	require.Regexp(t, `^req_`, last.RequestID)
}

func (r standIn) creates(t tester, customerID string) []operation {
	t.Helper()
	return slices.DeleteFunc(r.calls(t, customerID, ""), func(op operation) bool { return op.Op != "create" })
}

// isFound hurries the look, lets the events go, and expects one remote customer, equal to ours, and no second create.
func isFound(t *testing.T, s *stack, id string) (customer, remote) {
	t.Helper()
	s.wished(t, id, "retry")
	found := s.synced(t, id)
	require.Nil(t, found.stripe().LastError)
	s.stripe.resume(t)
	c, r := s.agrees(t, id)
	require.Equal(t, []remote{r}, s.stripe.of(t, id))
	require.Len(t, s.stripe.creates(t, id), 1)
	return c, r
}

func savedFailureOfACreateThatDidNotHappen(t *testing.T, s *stack) {
	begun := time.Now()
	c := doubtful(t, s, "error_500", person("saved-undone"))
	edited := s.edit(t, c.ID, object{"name": marker + " meanwhile"})
	require.Equal(t, marker+" meanwhile", edited.Name)
	require.Less(t, time.Since(begun), 10*time.Second, "an edit does not wait for the look")
	require.Len(t, s.stripe.creates(t, c.ID), 1)

	s.synced(t, c.ID) // nobody says retry
	require.GreaterOrEqual(t, time.Since(begun), 10*time.Second, "a failure may still take effect for a while")
	s.stripe.resume(t)
	after, r := s.agrees(t, c.ID)
	require.Equal(t, marker+" meanwhile", after.Name)
	require.Equal(t, []remote{r}, s.stripe.of(t, c.ID))
	require.Nil(t, after.stripe().LastError)
	creates := s.stripe.creates(t, c.ID)
	require.Len(t, creates, 2)
	require.Equal(t, "tandem:dev:create:"+c.ID+":1", creates[1].Key, "the old key would only replay the failure")
	require.Contains(t, story(s.journal(t, c.ID)), "outbound renew api")
}

func savedFailureOfACreateThatHappened(t *testing.T, s *stack) {
	c := doubtful(t, s, "error_500_done", person("saved-done"))
	s.edit(t, c.ID, object{"name": marker + " meanwhile", "phone": nil})
	after, _ := isFound(t, s, c.ID)
	require.Equal(t, marker+" meanwhile", after.Name)
	require.Empty(t, after.Phone)
}

func createIsFoundByAnotherAddress(t *testing.T, s *stack) {
	c := doubtful(t, s, "error_500_done", person("saved-address"))
	made := s.stripe.of(t, c.ID)
	require.Len(t, made, 1)
	s.stripe.edit(t, made[0].ID, object{"email": "elsewhere." + c.Email})
	after, r := isFound(t, s, c.ID)
	require.Equal(t, made[0].ID, r.ID)
	require.Equal(t, "elsewhere."+c.Email, after.Email, "the edit is news")
}

func createWithoutAnAddressIsFound(t *testing.T, s *stack) {
	isFound(t, s, doubtful(t, s, "error_500_done", object{"name": marker + " without an address"}).ID)
}

func lookThatFailsProvesNothing(t *testing.T, s *stack) {
	c := doubtful(t, s, "error_500_done", person("saved-blind"))
	blind := s.stripe.fault(t, object{"kind": "error_503", "op": "list", "count": -1})
	s.wished(t, c.ID, "retry")
	eventually(t, func(ct *assert.CollectT) { require.GreaterOrEqual(ct, s.stripe.hits(ct, blind), 2) }, "the look")
	require.Len(t, s.stripe.creates(t, c.ID), 1)
	require.Equal(t, "retrying", s.customer(t, c.ID).stripe().State)
	s.stripe.unfault(t, blind)
	isFound(t, s, c.ID)
}

func archiveDuringACreate(t *testing.T, s *stack) {
	hold := s.stripe.fault(t, object{"kind": "hold", "op": "create", "count": -1})
	c := s.create(t, person("archive-create"))
	eventually(t, func(ct *assert.CollectT) { require.Positive(ct, s.stripe.hits(ct, hold)) }, "the create")
	s.archive(t, c.ID, "")
	require.Equal(t, "archived", s.customer(t, c.ID).Status)
	s.stripe.unfault(t, hold)
	gone := s.endedHere(t, c.ID)
	creates := s.stripe.creates(t, c.ID)
	require.Len(t, slices.DeleteFunc(creates, func(op operation) bool { return !op.Applied || op.Replayed }), 1)
	require.Len(t, s.stripe.deletes(t, c.ID, gone.stripe().RemoteID), 1)
}

func archiveOfWhatMayHaveBeenCreated(t *testing.T, s *stack) {
	c := doubtful(t, s, "error_500_done", person("archive-doubt"))
	s.archive(t, c.ID, "")
	s.wished(t, c.ID, "retry")
	s.archived(t, c.ID)
	s.stripe.resume(t)
	s.endedHere(t, c.ID)
	require.Len(t, s.stripe.creates(t, c.ID), 1)
}

func archiveOfWhatMayHaveBeenCreatedButWasNot(t *testing.T, s *stack) {
	c := doubtful(t, s, "error_500", person("archive-nothing"))
	s.archive(t, c.ID, "")
	s.wished(t, c.ID, "retry")
	gone := s.archived(t, c.ID)
	require.Equal(t, "deleted_local", gone.stripe().ArchivedReason)
	require.Empty(t, gone.stripe().RemoteID)
	require.Len(t, s.stripe.creates(t, c.ID), 1, "nobody is created to be deleted")
	require.Empty(t, s.stripe.of(t, c.ID))
}

func TestSavedFailureOfAnUpdate(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"error_500", "error_500_done"} {
		for _, hurried := range []bool{true, false} {
			name := kind
			if hurried {
				name += ", hurried"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := calm.rests(t, calm.create(t, person("saved-update")).ID)
				remoteID := c.stripe().RemoteID
				begun := time.Now()
				calm.stripe.fault(t, object{"kind": kind, "op": "update", "contains": remoteID})
				calm.edit(t, c.ID, object{"name": marker + " saved", "metadata": object{"saved": "yes"}})
				requireSavedFailure(t, calm.reaches(t, c.ID, "retrying"))
				require.Equal(t, marker+" once more", calm.edit(t, c.ID, object{"name": marker + " once more"}).Name)
				calm.stripe.edit(t, remoteID, object{"phone": "+1 555 0142"})
				if hurried {
					calm.wished(t, c.ID, "retry")
				}
				after, r := calm.agrees(t, c.ID)
				if !hurried {
					require.GreaterOrEqual(t, time.Since(begun), 10*time.Second)
				}
				require.Equal(t, marker+" once more", after.Name)
				require.Equal(t, "yes", after.Metadata["saved"])
				require.Equal(t, "+1 555 0142", after.Phone, "an edit over there was lost")
				require.Nil(t, after.stripe().LastError)
				require.Equal(t, []remote{r}, calm.stripe.of(t, c.ID))
				keys := map[string]int{}
				for _, op := range calm.stripe.calls(t, c.ID, remoteID) {
					require.False(t, op.Replayed, "the provider was asked for what it remembers")
					keys[op.Key]++
				}
				delete(keys, "")
				for key, n := range keys {
					require.Equal(t, 1, n, key)
				}
			})
		}
	}
}

func TestSavedFailureOfAnUpdateOfADeletedRemoteCustomer(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("saved-gone")).ID)
	calm.stripe.fault(t, object{"kind": "error_500", "op": "update", "contains": c.stripe().RemoteID})
	calm.edit(t, c.ID, object{"name": marker + " too late"})
	calm.reaches(t, c.ID, "retrying")
	calm.stripe.remove(t, c.stripe().RemoteID)
	calm.wish(t, c.ID, "retry")
	gone := calm.archived(t, c.ID)
	require.Equal(t, "deleted_remote", gone.stripe().ArchivedReason)
	require.Equal(t, http.StatusConflict, calm.call(t, http.MethodPatch, "/v1/customers/"+c.ID, object{"name": "x"}).status)
}
