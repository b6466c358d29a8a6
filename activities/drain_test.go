package activities_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

func TestDrainEvents(t *testing.T) {
	t.Parallel()

	t.Run("run twice takes everybody's events in once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			var remotes []string
			for i := range 5 {
				id := b.foreign(t)
				b.ingest(t, id)
				b.edit(t, id, "name", fmt.Sprintf("Mary %d Example", i))
				b.ingest(t, id)
				remotes = append(remotes, id)
			}
			q, err := get(t, b, s, b.acts.NextWaiting, activities.QueueInput{Provider: "stripe"})
			require.NoError(t, err)
			require.Equal(t, activities.Queue{RemoteIDs: remotes}, q)
			_, _ = twice(t, b, s, b.acts.DrainEvents, activities.DrainInput{Provider: "stripe", RemoteIDs: remotes})
			q, err = get(t, b, s, b.acts.NextWaiting, activities.QueueInput{Provider: "stripe"})
			require.NoError(t, err)
			for _, id := range q.RemoteIDs {
				// Two edits in one second: only the provider can tell which was last.
				_, err := get(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: id})
				require.NoError(t, err)
			}
			for _, id := range remotes {
				c := b.byRemote(t, id)
				require.Equal(t, "inbound create stripe", b.story(t, c.ID)[0])
			}
		})
	})

	t.Run("what is in doubt is left, again and again, and nothing else", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			still := time.Now().Truncate(time.Second)
			b.standIn.SetClock(func() time.Time { return still })
			clear, doubt := b.foreign(t), b.foreign(t)
			b.ingest(t, clear)
			b.ingest(t, doubt)
			in := activities.DrainInput{Provider: "stripe", RemoteIDs: []string{clear, doubt}}
			_, err := get(t, b, s, b.acts.DrainEvents, in)
			require.NoError(t, err)
			b.edit(t, doubt, "name", "Same Second")
			row := b.ingest(t, doubt)
			require.True(t, row.Open)
			one, two := twice(t, b, s, b.acts.DrainEvents, in)
			require.Equal(t, activities.Drained{Leave: []string{doubt}}, one)
			require.Equal(t, one, two)
			state, _ := b.row(t, row.Row)
			require.Equal(t, "received", state)
		})
	})

	t.Run("names those with something left to do, also the second time", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id := newID("cust")
			ch := createOf(id)
			ch.ExternalID = ptr("ext-1")
			_, err := b.store.ApplyChange(t.Context(), ch, tandem.Work{Cause: byAPI})
			require.NoError(t, err)
			_, err = b.store.DB().ExecContext(t.Context(), `UPDATE entity_integration_mappings SET claim = NULL`) // not begun
			require.NoError(t, err)
			remote, err := b.standIn.CreateCustomer(url.Values{"name": {"Other"}, "metadata[external_id]": {"ext-1"}})
			require.NoError(t, err)
			b.ingest(t, remote.ID)
			one, two := twice(t, b, s, b.acts.DrainEvents, activities.DrainInput{Provider: "stripe", RemoteIDs: []string{remote.ID}})
			require.Equal(t, []string{id}, one.Poke)
			require.Equal(t, []string{id}, two.Poke)
		})
	})

	t.Run("a state the store cannot take is left and holds up no other", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var remotes []string
		for range 9 {
			id := b.foreign(t)
			b.ingest(t, id)
			remotes = append(remotes, id)
		}
		b.acts.Store = refusing{b.acts.Store, remotes[4]}
		out, err := get(t, b, styles["local activity"], b.acts.DrainEvents, activities.DrainInput{Provider: "stripe", RemoteIDs: remotes})
		require.NoError(t, err)
		require.Equal(t, 8, out.Applied)
		require.Equal(t, remotes[4:5], out.Leave)
		require.Contains(t, b.logs.String(), "drain.left")
		require.NotContains(t, b.logs.String(), canary)
	})

	t.Run("a database that is away is no state's fault", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.foreign(t)
		b.ingest(t, id)
		b.acts.Store = refusing{b.acts.Store, ""}
		_, err := get(t, b, styles["local activity"], b.acts.DrainEvents, activities.DrainInput{Provider: "stripe", RemoteIDs: []string{id}})
		require.Error(t, err)
	})
}

// refusing is a store that has a bug with one remote customer, or is away.
type refusing struct {
	activities.Store
	remoteID string
}

func (r refusing) ApplyRemote(ctx context.Context, states []tandem.RemoteState, w tandem.Work) ([]tandem.Outcome, error) {
	if r.remoteID == "" {
		return nil, tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away")
	}
	for _, s := range states {
		if s.RemoteID == r.remoteID {
			return nil, errors.New("a bug")
		}
	}
	return r.Store.ApplyRemote(ctx, states, w)
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := activities.HandOverInput{Provider: "stripe", Customers: []string{"cust_1", "cust_2"}}
	for i := range 20 {
		in.RemoteIDs = append(in.RemoteIDs, fmt.Sprint("cus_", i))
	}
	require.NoError(t, run(t, b, styles["local activity"], b.acts.HandOver, in))
	require.ElementsMatch(t, in.RemoteIDs, b.starter.woken)
	require.ElementsMatch(t, in.Customers, b.starter.syncs)
	b.starter.err = tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "temporal away")
	require.Error(t, run(t, b, styles["local activity"], b.acts.HandOver, in), "is tried again")
}
