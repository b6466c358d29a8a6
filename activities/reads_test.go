package activities_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// waitingFetch makes an event whose order only the provider knows, and returns the fetch that it asks for.
func (b *bundle) waitingFetch(t *testing.T) (remoteID, row string, fetch activities.FetchInput) {
	t.Helper()
	local := styles["local activity"]
	remoteID, row = b.doubtful(t, local)
	applied, err := get(t, b, local, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: remoteID})
	require.NoError(t, err)
	require.NotNil(t, applied.Fetch)
	require.Equal(t, activities.ReadForEvents, applied.Fetch.Why)
	return remoteID, row, *applied.Fetch
}

func TestReadBudget(t *testing.T) {
	t.Parallel()

	t.Run("events wait for the next day, and are settled then", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.acts.ReadsPerDay = 1
		_, _, first := b.waitingFetch(t)
		remoteID, row, second := b.waitingFetch(t)
		_, err := get(t, b, styles["activity"], b.acts.FetchRemote, first)
		require.NoError(t, err)
		calls := len(b.metrics.calls)

		_, err = get(t, b, styles["activity"], b.acts.FetchRemote, second)
		requireFinal(t, err) // the workflow waits, not the act
		failure := activities.FailureOf(err, time.Now())
		require.Equal(t, tandem.RateLimited, failure.Class)
		require.Equal(t, tandem.CodeReadBudgetSpent, failure.Code)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category(), "nobody is paged")
		state, reason := b.row(t, row)
		require.Equal(t, "received "+tandem.CodeReadBudgetSpent, state+" "+reason)
		require.Len(t, b.metrics.calls, calls, "nobody was asked")
		require.Equal(t, 1, count(b.requests(), "retrieve"))
		require.Equal(t, []string{"stripe event_order", "stripe event_order not made"}, b.metrics.reads)

		_, err = b.store.DB().Exec(`UPDATE provider_reads SET day = day - 1`)
		require.NoError(t, err)
		seen, err := get(t, b, styles["activity"], b.acts.FetchRemote, second)
		require.NoError(t, err)
		_, err = get(t, b, styles["local activity"], b.acts.ApplyFetched, activities.StateInput{State: seen, Cause: byAPI})
		require.NoError(t, err)
		state, reason = b.row(t, row)
		require.Equal(t, "applied ", state+" "+reason)
		require.Equal(t, "Jean Example", b.byRemote(t, remoteID).Name)
	})
	t.Run("what somebody here wants is counted, and never waits", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.acts.ReadsPerDay = 1
		require.NoError(t, b.store.SpendRead(t.Context(), "stripe", activities.ReadForEvents, 1, nil))
		for _, why := range []string{activities.ReadForLink, activities.ReadForAnswer, activities.ReadForProof, ""} {
			for range 2 {
				_, err := get(t, b, styles["activity"], b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: b.foreign(t), Why: why})
				require.NoError(t, err, why)
			}
		}
		_, create := b.stored(t)
		_, err := get(t, b, styles["activity"], b.acts.ProveCall, create)
		require.NoError(t, err)
		rows := map[string]int{}
		var all []struct {
			Why   string
			Reads int
		}
		require.NoError(t, b.store.DB().Select(&all, `SELECT why, reads FROM provider_reads WHERE provider_type = 'stripe'`))
		for _, r := range all {
			rows[r.Why] = r.Reads
		}
		require.Equal(t, map[string]int{"event_order": 1, "link": 2, "answer_order": 2, "proof": 4, "other": 2}, rows, "a list is a read a page")
		require.False(t, slices.ContainsFunc(b.metrics.reads, func(r string) bool { return strings.HasSuffix(r, "not made") }))
	})
	t.Run("a newer event settles an older one without a read", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		remoteID, row, _ := b.waitingFetch(t)
		now := b.standIn.Now().Add(time.Minute)
		b.standIn.SetClock(func() time.Time { return now })
		b.edit(t, remoteID, "name", "June Example")
		b.ingest(t, remoteID)
		in, local := activities.EventsInput{Provider: "stripe", RemoteID: remoteID}, styles["local activity"]
		applied, err := get(t, b, local, b.acts.ApplyEvents, in)
		require.NoError(t, err)
		require.Nil(t, applied.Fetch)
		require.True(t, applied.More)
		applied, err = get(t, b, local, b.acts.ApplyEvents, in)
		require.NoError(t, err)
		require.Equal(t, []tandem.EventState{tandem.EventStale}, applied.States)
		require.False(t, applied.More)
		state, _ := b.row(t, row)
		require.Equal(t, "stale", state)
		require.Equal(t, "June Example", b.byRemote(t, remoteID).Name)
		require.Empty(t, b.metrics.reads)
	})
	t.Run("no budget is no limit", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, _, fetch := b.waitingFetch(t)
		for range 3 {
			_, err := get(t, b, styles["activity"], b.acts.FetchRemote, fetch)
			require.NoError(t, err)
		}
	})
}

func TestFetchRemote_ofWhatAPersonMistyped(t *testing.T) {
	t.Parallel()
	for why, benign := range map[string]bool{activities.ReadForLink: true, activities.ReadForEvents: false} {
		b := setup(t)
		_, err := get(t, b, styles["activity"], b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: "cus_mistyped", Why: why})
		requireFinal(t, err)
		require.Equal(t, tandem.Gone, activities.FailureOf(err, time.Now()).Class)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, benign, app.Category() == temporal.ApplicationErrorCategoryBenign, "%s: an error in the log, or not", why)
	}
}
