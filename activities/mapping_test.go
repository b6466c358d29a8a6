package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

func TestPlanCall(t *testing.T) {
	t.Parallel()
	t.Run("run twice it is the same call, frozen once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			ch := renameOf(id, "Grace Example")
			_, err := get(t, b, s, b.acts.ChangeCustomer, ch)
			require.NoError(t, err)
			one, two := twice(t, b, s, b.acts.PlanCall, activities.PlanInput{CustomerID: id, Provider: "stripe"})
			require.Equal(t, one, two)
			require.Equal(t, tandem.ActUpdate, one.Action)
			require.Equal(t, tandem.Patch{Name: ptr("Grace Example")}, one.Body, "only what changed")
			require.WithinDuration(t, time.Now(), one.FrozenAt, time.Minute)
			m := b.mapping(t, id)
			require.Equal(t, one.MappingVersion, m.Version)
			require.Equal(t, one.Key, m.Claim.Key)
		})
	})
	t.Run("a later change does not touch a call that was frozen", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, call := b.stored(t)
			_, err := get(t, b, s, b.acts.ChangeCustomer, renameOf(id, "Grace Example"))
			require.NoError(t, err)
			one, _ := twice(t, b, s, b.acts.PlanCall, activities.PlanInput{CustomerID: id, Provider: "stripe"})
			require.Equal(t, call.Key, one.Key)
			require.Equal(t, call.Body, one.Body)
		})
	})
	t.Run("nothing is left to do for a synced customer, an unknown one, or another provider", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			for _, in := range []activities.PlanInput{
				{CustomerID: id, Provider: "stripe"}, {CustomerID: newID("cust"), Provider: "stripe"}, {CustomerID: id, Provider: "other"},
			} {
				one, two := twice(t, b, s, b.acts.PlanCall, in)
				require.Equal(t, one, two)
				require.Equal(t, tandem.ActNothing, one.Action)
				require.Equal(t, in.Provider, one.Provider)
			}
		})
	})
}

func TestRecordAnswer(t *testing.T) {
	t.Parallel()
	t.Run("an answer recorded twice links once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, call := b.stored(t)
			state, err := get(t, b, s, b.acts.CallProvider, call)
			require.NoError(t, err)
			one, two := twice(t, b, s, b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
			require.Equal(t, tandem.EventApplied, one.Outcome)
			require.Equal(t, tandem.EventEcho, two.Outcome)
			require.Equal(t, tandem.ActNothing, one.Next.Action)
			require.Equal(t, one.Next, two.Next)
			require.Nil(t, two.Fetch)
			m := b.mapping(t, id)
			require.Equal(t, tandem.Synced, m.State)
			require.Equal(t, state.RemoteID, m.RemoteID)
			require.Nil(t, m.Claim)
			require.Equal(t, []string{"outbound create", "outbound create stripe"}, b.story(t, id))
			require.EqualValues(t, 1, b.customer(t, id).Version)
		})
	})
	t.Run("a change made during the call is next, both times the same", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, call := b.stored(t)
			state, err := get(t, b, s, b.acts.CallProvider, call)
			require.NoError(t, err)
			_, err = get(t, b, s, b.acts.ChangeCustomer, renameOf(id, "Grace Example"))
			require.NoError(t, err)
			one, two := twice(t, b, s, b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
			require.Equal(t, tandem.ActUpdate, one.Next.Action)
			require.Equal(t, tandem.Patch{Name: ptr("Grace Example")}, one.Next.Body)
			two.Next.MappingVersion = one.Next.MappingVersion // a look that says the same makes older looks under way old
			require.Equal(t, one.Next, two.Next)
			require.Equal(t, "Grace Example", b.customer(t, id).Name, "the answer undid the change")
		})
	})
	t.Run("what only the provider changed comes back with the answer", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			b.edit(t, remoteID, "phone", "+1 555 0100")
			call := b.renamed(t, id, "Grace Example")
			state, err := get(t, b, s, b.acts.CallProvider, call)
			require.NoError(t, err)
			_, two := twice(t, b, s, b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
			require.Equal(t, tandem.ActNothing, two.Next.Action)
			c := b.customer(t, id)
			require.Equal(t, "Grace Example", c.Name)
			require.Equal(t, "+1 555 0100", c.Phone)
			require.EqualValues(t, 3, c.Version)
		})
	})
	t.Run("an answer whose order is in doubt writes nothing until a fetch settles it", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			call := b.renamed(t, id, "Grace Example")
			state, err := get(t, b, s, b.acts.CallProvider, call)
			require.NoError(t, err)
			b.edit(t, remoteID, "phone", "+1 555 0100") // in the second of our call, or the next
			b.ingest(t, remoteID)
			applied, err := get(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: remoteID})
			require.NoError(t, err)
			if applied.Fetch != nil { // the event is in doubt as well: settled first, so that the answer is the later one
				b.settle(t, s, *applied.Fetch)
				require.Nil(t, b.mapping(t, id).LastError)
			}
			one, two := twice(t, b, s, b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
			require.Equal(t, one, two)
			require.NotNil(t, one.Fetch)
			require.Equal(t, call.Key, one.Fetch.Key)
			require.NotNil(t, b.mapping(t, id).Claim)

			fetched, err := get(t, b, s, b.acts.FetchRemote, *one.Fetch)
			require.NoError(t, err)
			_, last := twice(t, b, s, b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: fetched, Cause: byAPI})
			require.Nil(t, last.Fetch)
			require.Equal(t, tandem.ActNothing, last.Next.Action)
			require.Equal(t, tandem.Synced, b.mapping(t, id).State)
			require.Equal(t, "+1 555 0100", b.customer(t, id).Phone)
		})
	})
	t.Run("a proved deletion archives once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			require.NoError(t, b.standIn.DeleteCustomer(remoteID))
			call := b.renamed(t, id, "Grace Example")
			state, err := get(t, b, s, b.acts.CallProvider, call)
			require.NoError(t, err)
			require.True(t, state.Deleted)
			_, two := twice(t, b, s, b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
			require.Equal(t, tandem.ActNothing, two.Next.Action)
			require.Equal(t, tandem.Archived, b.customer(t, id).Status)
			require.Equal(t, tandem.DeletedRemote, b.mapping(t, id).ArchivedReason)
			require.Equal(t, 1, count(b.story(t, id), "inbound archive stripe"))
		})
	})
}

func count(lines []string, line string) int {
	n := 0
	for _, l := range lines {
		if l == line {
			n++
		}
	}
	return n
}

// settle fetches and applies, as the Inbound workflow does.
func (b *bundle) settle(t *testing.T, s style, in activities.FetchInput) activities.Applied {
	t.Helper()
	state, err := get(t, b, s, b.acts.FetchRemote, in)
	require.NoError(t, err)
	out, err := get(t, b, s, b.acts.ApplyFetched, activities.StateInput{State: state, Cause: in.Cause})
	require.NoError(t, err)
	require.Nil(t, out.Fetch)
	return out
}

func TestApplyFetched(t *testing.T) {
	t.Parallel()
	t.Run("settles the events that asked for it, once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			remoteID, row := b.doubtful(t, s)
			applied, err := get(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: remoteID})
			require.NoError(t, err)
			one, two := twice(t, b, s, b.acts.FetchRemote, *applied.Fetch)
			require.Equal(t, "Jean Example", one.Fields.Name)
			one.RequestID, two.RequestID, one.SeenFrom, two.SeenFrom = "", "", time.Time{}, time.Time{}
			require.Equal(t, one, two)

			state, err := get(t, b, s, b.acts.FetchRemote, *applied.Fetch)
			require.NoError(t, err)
			first, second := twice(t, b, s, b.acts.ApplyFetched, activities.StateInput{State: state, Cause: applied.Fetch.Cause})
			require.Equal(t, []tandem.EventState{tandem.EventApplied}, first.States)
			require.Nil(t, first.Fetch)
			require.Nil(t, second.Fetch)
			c := b.byRemote(t, remoteID)
			require.Equal(t, "Jean Example", c.Name)
			require.EqualValues(t, 2, c.Version)
			ended, _ := b.row(t, row)
			require.Equal(t, "applied", ended)
			require.Equal(t, []string{"retrieve", "retrieve", "retrieve"}, b.requests())
		})
	})
	t.Run("something recorded since the look began makes it ask again", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			remoteID, row := b.doubtful(t, s)
			applied, err := get(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: remoteID})
			require.NoError(t, err)
			state, err := get(t, b, s, b.acts.FetchRemote, *applied.Fetch)
			require.NoError(t, err)
			b.renamed(t, b.byRemote(t, remoteID).ID, "Grace Example") // a claim: the mapping has a new version
			one, two := twice(t, b, s, b.acts.ApplyFetched, activities.StateInput{State: state, Cause: applied.Fetch.Cause})
			require.Equal(t, one, two)
			require.NotNil(t, one.Fetch)
			require.Equal(t, []string{row}, one.Fetch.EventRows)
			require.Greater(t, one.Fetch.After, applied.Fetch.After)
			b.settle(t, s, *one.Fetch)
			ended, _ := b.row(t, row)
			require.NotEqual(t, "received", ended)
		})
	})
}

func TestParkCall(t *testing.T) {
	t.Parallel()
	for class, released := range map[tandem.Class]bool{tandem.Invalid: true, tandem.Conflict: false, tandem.Bug: false, tandem.Ambiguous: false} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			eachStyle(t, func(t *testing.T, b *bundle, s style) {
				id, call := b.stored(t)
				in := activities.ParkInput{Call: call, Cause: byAPI, Failure: tandem.LastError{
					Class: class, Code: "no_use", Message: "not " + canary, RequestID: "req_1", At: time.Now().UTC(), Attempt: 1,
				}}
				for range 2 {
					require.NoError(t, run(t, b, s, b.acts.ParkCall, in))
				}
				m := b.mapping(t, id)
				require.Equal(t, tandem.Parked, m.State)
				require.Equal(t, in.Failure, *m.LastError)
				require.Equal(t, released, m.Claim == nil)
				require.Equal(t, 1, count(b.story(t, id), "outbound park stripe"))
				next := b.planned(t, id)
				require.Equal(t, released, next.Key != call.Key, "a new key only where the old call can have made nothing")
				js, err := b.store.Journal(t.Context(), id, 10)
				require.NoError(t, err)
				require.NotContains(t, js[len(js)-1].Detail, canary)
			})
		})
	}
	t.Run("a call that was answered meanwhile is not parked", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			old := tandem.Call{CustomerID: id, Provider: "stripe", Key: "an older key"}
			require.NoError(t, run(t, b, s, b.acts.ParkCall, activities.ParkInput{
				Call: old, Cause: byAPI, Failure: tandem.LastError{Class: tandem.Bug, Code: "no_use", At: time.Now().UTC()},
			}))
			require.Equal(t, tandem.Synced, b.mapping(t, id).State)
		})
	})
}

func TestEndEvents(t *testing.T) {
	t.Parallel()
	eachStyle(t, func(t *testing.T, b *bundle, s style) {
		_, row := b.doubtful(t, s)
		for range 2 {
			require.NoError(t, run(t, b, s, b.acts.EndEvents, activities.EndInput{Rows: []string{row}, State: tandem.EventParked, Reason: "remote_gone"}))
		}
		require.NoError(t, run(t, b, s, b.acts.EndEvents, activities.EndInput{Rows: []string{row}, State: tandem.EventIgnored, Reason: "late"}))
		state, reason := b.row(t, row)
		require.Equal(t, "parked remote_gone", state+" "+reason, "an end is kept")
	})
}
