package providertest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// creates counts what a test made; where the account cannot tell, nothing is checked.
func creates(t *testing.T, a Account) func(want int) {
	t.Helper()
	before, known := a.Creates(t)
	return func(want int) {
		t.Helper()
		if known {
			after, _ := a.Creates(t)
			require.Equal(t, want, after-before, "customers made")
		}
	}
}

var keys = map[string]func(*testing.T, Account){
	"the same create again is the same customer": func(t *testing.T, a Account) {
		made := creates(t, a)
		key, body := newKey(), whole()
		first, err := a.Create(t.Context(), key, body)
		require.NoError(t, err)
		again, err := a.Create(t.Context(), key, body)
		require.NoError(t, err)
		require.Equal(t, first.RemoteID, again.RemoteID)
		require.True(t, again.Replayed, "from memory, and it says so")
		sameFields(t, first.Fields, again.Fields)
		made(1)
	},
	"another key is another customer": func(t *testing.T, a Account) {
		body := whole()
		require.NotEqual(t, create(t, a, body).RemoteID, create(t, a, body).RemoteID)
	},
	"the same create at once is one customer": func(t *testing.T, a Account) {
		made := creates(t, a)
		key, body := newKey(), whole()
		var mu sync.Mutex
		var ids []string
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := a.Create(t.Context(), key, body)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					ids = append(ids, s.RemoteID)
				} else if class := tandem.ClassOf(err); class != tandem.RateLimited {
					t.Errorf("a key in use is no worse than %s, not %v", tandem.RateLimited, err)
				}
			})
		}
		wg.Wait()
		require.NotEmpty(t, ids)
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
		made(1)
	},
	"the key with another body is ambiguous": func(t *testing.T, a Account) {
		made := creates(t, a)
		key := newKey()
		_, err := a.Create(t.Context(), key, tandem.Patch{Name: to("Ada")})
		require.NoError(t, err)
		_, err = a.Create(t.Context(), key, tandem.Patch{Name: to("Grace")})
		wantClass(t, tandem.Ambiguous, err)
		made(1)
	},
	"the same update again has one effect": func(t *testing.T, a Account) {
		made := create(t, a, whole())
		key, body := newKey(), tandem.Patch{Name: to("First")}
		_, err := a.Update(t.Context(), made.RemoteID, key, body)
		require.NoError(t, err)
		update(t, a, made.RemoteID, tandem.Patch{Name: to("Second")})
		late, err := a.Update(t.Context(), made.RemoteID, key, body)
		require.NoError(t, err)
		require.True(t, late.Replayed, "this answer is old news")
		require.Equal(t, "Second", fetch(t, a, made.RemoteID).Fields.Name)
	},
}
