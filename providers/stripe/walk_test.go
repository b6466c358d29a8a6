package stripe_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// walk reads a range to its end and returns the ids, newest first.
func walk(t *testing.T, p *stripe.Provider, q tandem.ListQuery) (ids []string) {
	t.Helper()
	for {
		page, err := p.List(t.Context(), q)
		require.NoError(t, err)
		for _, s := range page.Items {
			ids = append(ids, s.RemoteID)
		}
		if page.Next == "" {
			return ids
		}
		require.NotEqual(t, q.Cursor, page.Next)
		q.Cursor = page.Next
	}
}

// TestRangesMeetWithinOneSecond puts five customers into every second, and seams into and beside the seconds.
func TestRangesMeetWithinOneSecond(t *testing.T) {
	t.Parallel()
	p, srv := connect(t)
	from := time.Unix(1_600_000_000, 0)
	ids, err := srv.SeedCrowd(stripetest.Crowd{Size: 20, From: from, Apart: 200 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, srv.DeleteCustomer(ids[5]))
	everybody := walk(t, p, tandem.ListQuery{})
	require.Len(t, everybody, 19)
	end := from.Add(4 * time.Second)
	for second := range 6 {
		seam := from.Add(time.Duration(second) * time.Second)
		for _, limit := range []int{1, 2, 3, 5, 7, 100} {
			older := walk(t, p, tandem.ListQuery{CreatedFrom: from, CreatedTo: seam, Limit: limit})
			newer := walk(t, p, tandem.ListQuery{CreatedFrom: seam, CreatedTo: end, Limit: limit})
			require.Equal(t, everybody, append(newer, older...), "seam after %d s, pages of %d", second, limit)
		}
	}
	// A cursor outside of the range: above it everything follows, below it nothing.
	middle := tandem.ListQuery{CreatedFrom: from.Add(time.Second), CreatedTo: from.Add(2 * time.Second)}
	middle.Cursor = ids[19]
	require.Equal(t, []string{ids[9], ids[8], ids[7], ids[6]}, walk(t, p, middle))
	middle.Cursor = ids[5]
	require.Empty(t, walk(t, p, middle), "a deleted one is a cursor still, and stands at the end of the range")
	middle.Cursor = ids[0]
	require.Empty(t, walk(t, p, middle))
}

func TestACursorThatIsForgotten(t *testing.T) {
	t.Parallel()
	p, srv := connect(t)
	ids, err := srv.SeedCrowd(stripetest.Crowd{Size: 3, From: time.Unix(1_600_000_000, 0)})
	require.NoError(t, err)
	q := tandem.ListQuery{Cursor: ids[1]}
	require.NoError(t, srv.DeleteCustomer(ids[1]))
	require.Equal(t, ids[:1], walk(t, p, q), "unless told otherwise, the stand-in remembers")
	srv.Configure(func(s *stripetest.Settings) { s.ForgetDeletedCursors = true })
	_, err = p.List(t.Context(), q)
	require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
	require.Equal(t, tandem.CodeCursorGone, tandem.CodeOf(err), "%v", err)
	q.Cursor = ids[2]
	require.Equal(t, ids[:1], walk(t, p, q), "one that lives is a cursor as ever")
}

// TestEventsBeyondMemory: Stripe forgets an event after 30 days, as a cursor too.
func TestEventsBeyondMemory(t *testing.T) {
	t.Parallel()
	p, srv := connect(t)
	for i := range 3 {
		_, err := p.Create(t.Context(), fmt.Sprint(i), tandem.Patch{Name: to("Ada")})
		require.NoError(t, err)
	}
	page, err := p.Events(t.Context(), tandem.EventsQuery{Limit: 2})
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	require.Equal(t, "0", mustEvents(t, p, page.Next)[0].Key)
	srv.AdvanceClock(31 * 24 * time.Hour)
	_, err = p.Events(t.Context(), tandem.EventsQuery{Cursor: page.Next})
	require.Equal(t, tandem.CodeCursorGone, tandem.CodeOf(err))
	require.Empty(t, mustEvents(t, p, ""))
}

func mustEvents(t *testing.T, p *stripe.Provider, cursor string) []tandem.Event {
	t.Helper()
	page, err := p.Events(t.Context(), tandem.EventsQuery{Cursor: cursor})
	require.NoError(t, err)
	return page.Items
}
