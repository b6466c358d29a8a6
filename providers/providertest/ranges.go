package providertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// A walk over whole books goes range by range and page by page, and comes back after hours to a cursor it kept.
var ranges = map[string]func(*testing.T, Account){
	"two ranges that meet have everybody once": func(t *testing.T, a Account) {
		ids, email := several(t, a, 7)
		everybody := all(t, a, tandem.ListQuery{Email: email})
		require.ElementsMatch(t, ids, idsOf(everybody))
		first, last := everybody[len(everybody)-1].Created, everybody[0].Created
		for seam := first; !seam.After(last.Add(time.Second)); seam = seam.Add(time.Second) {
			for _, limit := range []int{1, 2, 0} {
				older := all(t, a, tandem.ListQuery{Email: email, CreatedFrom: first, CreatedTo: seam, Limit: limit})
				newer := all(t, a, tandem.ListQuery{Email: email, CreatedFrom: seam, CreatedTo: last.Add(time.Second), Limit: limit})
				require.Equal(t, idsOf(everybody), append(idsOf(newer), idsOf(older)...), "seam %v, limit %d", seam, limit)
			}
		}
	},
	"a page behind a deleted customer goes on or says that it cannot": func(t *testing.T, a Account) {
		ids, email := several(t, a, 4)
		page, err := a.List(t.Context(), tandem.ListQuery{Email: email, Limit: 2})
		require.NoError(t, err)
		_, err = a.Delete(t.Context(), page.Items[1].RemoteID)
		require.NoError(t, err)
		rest, err := a.List(t.Context(), tandem.ListQuery{Email: email, Cursor: page.Next})
		if err != nil {
			wantClass(t, tandem.Invalid, err)
			require.Equal(t, tandem.CodeCursorGone, tandem.CodeOf(err))
			return
		}
		require.ElementsMatch(t, ids, append(idsOf(page.Items), idsOf(rest.Items)...))
	},
	"a page behind a customer nobody heard of": func(t *testing.T, a Account) {
		_, err := a.List(t.Context(), tandem.ListQuery{Cursor: unique("nobody_")})
		wantClass(t, tandem.Invalid, err)
		require.Equal(t, tandem.CodeCursorGone, tandem.CodeOf(err))
	},
}
