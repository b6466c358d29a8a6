package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

func TestJournalPage(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t, dbtest.Policy)
	c := create(t, store, 1)
	create(t, store, 2) // somebody else's story
	for i := range 6 {
		name := fmt.Sprint("Name ", i)
		_, err := store.ApplyChange(t.Context(), tandem.Change{
			ID: fmt.Sprint("rename-", i), Kind: tandem.ChangeUpdate, CustomerID: c.ID, Patch: tandem.Patch{Name: &name},
		}, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: fmt.Sprint("rename-", i)}})
		require.NoError(t, err)
	}

	var got []tandem.JournalEntry
	after := ""
	for range 4 {
		page, err := store.JournalPage(t.Context(), c.ID, after, 2)
		require.NoError(t, err)
		got = append(got, page...)
		after = page[len(page)-1].ID
	}
	want, err := store.Journal(t.Context(), c.ID, 100)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	require.Len(t, got, 7)
	assert.Equal(t, "create", got[0].Action)
	assert.Equal(t, byAPI, got[0].Work)
	assert.Equal(t, []tandem.FieldChange{{Field: "name", Before: "Name 4", After: "Name 5"}}, got[6].Changes)

	for name, at := range map[string][2]string{"nothing_follows_the_last": {c.ID, after}, "nobody_has_no_story": {nthCustomer(9), ""}} {
		page, err := store.JournalPage(t.Context(), at[0], at[1], 2)
		require.NoError(t, err, name)
		assert.Empty(t, page, name)
	}
}
