package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// An answer that is not about the customer of its call parks with a name for what is wrong, and harms nobody.
func TestRecordAnswer_of_somebody_else(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *tandem.RemoteState)
		owned  string // the owner's name afterwards
		poked  bool   // something is left to do for the owner
	}{
		"nothing new about its owner":   {func(*tandem.RemoteState) {}, "Ada Example", false},
		"something new about its owner": {func(s *tandem.RemoteState) { s.Fields.Name = "Ada Elsewhere" }, "Ada Elsewhere", false},
		"something to repair there":     {func(s *tandem.RemoteState) { s.Fields.Reserved = map[string]string{} }, "Ada Example", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			owner, remoteID := b.synced(t)
			id, call := b.stored(t)
			state := tandem.RemoteState{
				Provider: "stripe", RemoteID: remoteID, Source: tandem.FromResponse, SeenFrom: time.Now().Add(time.Hour), SeenTo: time.Now().Add(time.Hour),
				Fields: *b.mapping(t, owner).Base, Key: call.Key, After: call.MappingVersion,
			}
			c.change(&state)
			for range 2 {
				_, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
				requireFinal(t, err)
				failure := activities.FailureOf(err, time.Now())
				require.Equal(t, tandem.Conflict, failure.Class)
				require.Equal(t, tandem.CodeRemoteLinked, failure.Code)
				require.Contains(t, failure.Message, remoteID)
			}
			if c.poked {
				require.Equal(t, []string{owner, owner}, b.starter.syncs, "also when a worker died before it could say so")
			} else {
				require.Empty(t, b.starter.syncs)
			}
			require.Equal(t, c.owned, b.customer(t, owner).Name)
			require.Equal(t, remoteID, b.mapping(t, owner).RemoteID)
			require.Empty(t, b.mapping(t, id).RemoteID)
			require.Equal(t, call, b.planned(t, id), "the claim stays: the call may have happened")
		})
	}
	t.Run("of one that is deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, remoteID := b.synced(t)
		_, call := b.stored(t)
		gone := tandem.RemoteState{Provider: "stripe", RemoteID: remoteID, Source: tandem.FromFetch, SeenFrom: time.Now(), SeenTo: time.Now(), Deleted: true}
		_, err := b.store.ApplyRemote(t.Context(), []tandem.RemoteState{gone}, tandem.Work{Cause: byAPI})
		require.NoError(t, err)
		gone.Deleted, gone.Key = false, "another key"
		_, err = get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: gone, Cause: byAPI})
		requireFinal(t, err)
		require.Equal(t, tandem.ReasonDeleted, activities.FailureOf(err, time.Now()).Code)
	})
}
