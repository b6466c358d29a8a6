package providertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// told reads every page of events and keeps those about the customers called ids, in their order.
func told(t *testing.T, a Account, q tandem.EventsQuery, ids ...string) (about []tandem.Event) {
	t.Helper()
	last := time.Time{}
	for {
		page, err := a.Events(t.Context(), q)
		require.NoError(t, err)
		if q.Limit > 0 {
			require.LessOrEqual(t, len(page.Items), q.Limit)
		}
		for _, e := range page.Items {
			require.NotEmpty(t, e.ID)
			require.NotEmpty(t, e.Payload)
			require.False(t, !last.IsZero() && e.Created.After(last), "newest first")
			require.False(t, page.SeenAt.Before(e.Created), "seen at %v, made at %v", page.SeenAt, e.Created)
			last = e.Created
			for _, id := range ids {
				if e.ObjectID == id {
					about = append(about, e)
				}
			}
		}
		if page.Next == "" {
			return about
		}
		require.NotEqual(t, q.Cursor, page.Next, "pages must come to an end")
		q.Cursor = page.Next
	}
}

// announced makes a customer and waits for the event of its creation, as a webhook would have brought it.
func announced(t *testing.T, a Account) (tandem.RemoteState, tandem.Event) {
	t.Helper()
	made := create(t, a, whole())
	e, err := a.ParseEvent(a.Event(t, made.RemoteID))
	require.NoError(t, err)
	return made, e
}

func eventIDs(list []tandem.Event) []string {
	ids := make([]string, 0, len(list))
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	return ids
}

var events = map[string]func(*testing.T, Account){
	"a listed event is what a webhook would have brought": func(t *testing.T, a Account) {
		made, want := announced(t, a)
		found := told(t, a, tandem.EventsQuery{From: want.Created}, made.RemoteID)
		require.Len(t, found, 1)
		got := found[0]
		again, err := a.ParseEvent(got.Payload)
		require.NoError(t, err)
		require.Equal(t, got, again, "the ledger reads what the page said")
		got.Payload, want.Payload = nil, nil // indented otherwise, and delivered to one endpoint more
		require.Equal(t, want, got)
		sameFields(t, made.Fields, got.State.Fields)
	},
	"events of one customer come newest first": func(t *testing.T, a Account) {
		made, first := announced(t, a)
		update(t, a, made.RemoteID, tandem.Patch{Name: to("Augusta Ada King")})
		_, err := a.Delete(t.Context(), made.RemoteID)
		require.NoError(t, err)
		var list []tandem.Event
		require.Eventually(t, func() bool {
			list = told(t, a, tandem.EventsQuery{From: first.Created}, made.RemoteID)
			return len(list) == 3
		}, time.Minute, 10*time.Millisecond, "made, changed and deleted")
		require.True(t, list[0].State.Deleted)
		require.Equal(t, "Augusta Ada King", list[1].State.Fields.Name)
		require.Equal(t, first.ID, list[2].ID)
	},
	"pages of events have each once": func(t *testing.T, a Account) {
		var ids, want []string
		var from time.Time
		for range 5 {
			made, e := announced(t, a)
			ids, want = append(ids, made.RemoteID), append(want, e.ID)
			if from.IsZero() {
				from = e.Created
			}
		}
		for _, limit := range []int{1, 2, 5, 0} {
			require.ElementsMatch(t, want, eventIDs(told(t, a, tandem.EventsQuery{From: from, Limit: limit}, ids...)), "limit %d", limit)
		}
	},
	"events from a moment on include its second": func(t *testing.T, a Account) {
		made, e := announced(t, a)
		for name, r := range map[string]struct {
			from  time.Time
			found int
		}{
			"ever": {time.Time{}, 1}, "that second": {e.Created, 1}, "later in it": {e.Created.Add(900 * time.Millisecond), 1},
			"the next": {e.Created.Add(time.Second), 0},
		} {
			require.Len(t, told(t, a, tandem.EventsQuery{From: r.from}, made.RemoteID), r.found, name)
		}
	},
	"events cannot go on behind one nobody heard of": func(t *testing.T, a Account) {
		_, err := a.Events(t.Context(), tandem.EventsQuery{Cursor: unique("nobody_")})
		wantClass(t, tandem.Invalid, err)
		require.Equal(t, tandem.CodeCursorGone, tandem.CodeOf(err))
	},
	"an absurd number of events is refused": func(t *testing.T, a Account) {
		for _, limit := range []int{-1, 101} {
			_, err := a.Events(t.Context(), tandem.EventsQuery{Limit: limit})
			require.Error(t, err)
		}
	},
}
