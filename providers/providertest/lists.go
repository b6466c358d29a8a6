package providertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// sameAccount: whose customers these are does not change from call to call.
func sameAccount(t *testing.T, a Account) {
	t.Helper()
	first, err := a.Account(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, first)
	again, err := a.Account(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again)
	a.Break(t, Down)
	_, err = a.Account(t.Context())
	require.Error(t, err, "no answer is no account")
}

// several makes n customers with one e-mail address and returns their ids, newest first, and that address.
func several(t *testing.T, a Account, n int) (ids []string, email string) {
	t.Helper()
	email = newEmail()
	for range n {
		s := create(t, a, tandem.Patch{Email: &email})
		ids = append([]string{s.RemoteID}, ids...)
	}
	return ids, email
}

// all reads every page.
func all(t *testing.T, a Account, q tandem.ListQuery) (items []tandem.RemoteState) {
	t.Helper()
	for {
		page, err := a.List(t.Context(), q)
		require.NoError(t, err)
		if q.Limit > 0 {
			require.LessOrEqual(t, len(page.Items), q.Limit)
		}
		items = append(items, page.Items...)
		if page.Next == "" {
			return items
		}
		require.NotEqual(t, q.Cursor, page.Next, "pages must come to an end")
		q.Cursor = page.Next
	}
}

func idsOf(items []tandem.RemoteState) []string {
	ids := make([]string, 0, len(items))
	for _, s := range items {
		ids = append(ids, s.RemoteID)
	}
	return ids
}

var lists = map[string]func(*testing.T, Account){
	"the account is the same every time": sameAccount,
	"pages have everybody once": func(t *testing.T, a Account) {
		ids, email := several(t, a, 5)
		for _, limit := range []int{1, 2, 4, 5, 6, 0} {
			got := idsOf(all(t, a, tandem.ListQuery{Email: email, Limit: limit}))
			require.ElementsMatch(t, ids, got, "limit %d", limit)
		}
	},
	"pages stay put while customers are added": func(t *testing.T, a Account) {
		ids, email := several(t, a, 4)
		first, err := a.List(t.Context(), tandem.ListQuery{Email: email, Limit: 2})
		require.NoError(t, err)
		create(t, a, tandem.Patch{Email: &email}) // comes before the cursor
		rest := all(t, a, tandem.ListQuery{Email: email, Limit: 2, Cursor: first.Next})
		require.ElementsMatch(t, ids, append(idsOf(first.Items), idsOf(rest)...))
	},
	"an item is as good as a fetch": func(t *testing.T, a Account) {
		body := whole()
		made := create(t, a, body)
		bare := create(t, a, tandem.Patch{Email: body.Email})
		items := all(t, a, tandem.ListQuery{Email: *body.Email})
		require.Len(t, items, 2)
		for _, s := range items {
			want := made
			if s.RemoteID == bare.RemoteID {
				want = bare
			}
			sameFields(t, want.Fields, s.Fields)
			require.Equal(t, want.Created, s.Created)
			require.Equal(t, want.Livemode, s.Livemode)
			require.Equal(t, tandem.FromList, s.Source)
			require.Empty(t, s.Absent)
			require.False(t, s.SeenTo.Before(s.Created))
		}
	},
	"the e-mail address is compared as a whole": func(t *testing.T, a Account) {
		_, email := several(t, a, 1)
		require.Empty(t, all(t, a, tandem.ListQuery{Email: "x" + email}))
		require.Empty(t, all(t, a, tandem.ListQuery{Email: newEmail()}))
	},
	"created bounds find who was made in the same second": func(t *testing.T, a Account) {
		email := newEmail()
		made := create(t, a, tandem.Patch{Email: &email})
		at := made.Created
		for name, r := range map[string]struct {
			from, to time.Time
			found    bool
		}{
			"from that second":      {from: at, found: true},
			"from later in it":      {from: at.Add(900 * time.Millisecond), found: true},
			"from the next":         {from: at.Add(time.Second), found: false},
			"to that second":        {to: at, found: false},
			"to later in it":        {to: at.Add(time.Millisecond), found: true},
			"that second, no other": {from: at, to: at.Add(time.Second), found: true},
		} {
			got := all(t, a, tandem.ListQuery{Email: email, CreatedFrom: r.from, CreatedTo: r.to})
			require.Equal(t, r.found, len(got) == 1, name)
		}
	},
	"deleted customers are not listed": func(t *testing.T, a Account) {
		ids, email := several(t, a, 3)
		_, err := a.Delete(t.Context(), ids[1])
		require.NoError(t, err)
		require.ElementsMatch(t, []string{ids[0], ids[2]}, idsOf(all(t, a, tandem.ListQuery{Email: email})))
	},
	"an absurd limit is refused": func(t *testing.T, a Account) {
		for _, limit := range []int{-1, 101} {
			_, err := a.List(t.Context(), tandem.ListQuery{Limit: limit})
			require.Error(t, err)
		}
	},
}
