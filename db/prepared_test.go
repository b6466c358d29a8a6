package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
)

func TestPreparedStatements(t *testing.T) {
	t.Parallel()
	// Each of these is one more edit of one customer, which takes the same statements every time.
	edits := func(b *bundle, from, to int) {
		for n := from; n < to; n++ {
			require.Equal(t, tandem.EventApplied, b.apply(event("cus_1", 10*(n+1), named(string(rune('a'+n%26))))).State)
		}
	}
	prepared := func(b *bundle) (statements, plans int) {
		require.NoError(t, b.DB().QueryRowContext(b.ctx, `SELECT count(*), COALESCE(max(generic_plans + custom_plans), 0) FROM pg_prepared_statements`).Scan(&statements, &plans))
		return statements, plans
	}
	alone := func(t *testing.T) *bundle { // on one connection
		store, err := db.Open(t.Context(), db.Config{URL: dbtest.NewURL(t), MaxConns: 1, Policy: dbtest.Policy, Providers: []string{"stripe"}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return &bundle{Store: store, t: t, ctx: t.Context()}
	}

	t.Run("a statement that is used again is prepared, and planned anew now and then", func(t *testing.T) {
		t.Parallel()
		b := alone(t)
		edits(b, 0, 1)
		statements, _ := prepared(b)
		require.Zero(t, statements, "it may be used once")
		edits(b, 1, 12)
		before, plans := prepared(b)
		require.Positive(t, before)
		require.Greater(t, plans, 5)
		edits(b, 12, 200)
		after, plans := prepared(b)
		require.Equal(t, before, after, "what is planned anew replaces what was")
		require.Less(t, plans, 150)
	})

	t.Run("statements that are gone are an attempt more, then they go as text", func(t *testing.T) {
		t.Parallel()
		b := alone(t)
		edits(b, 0, 5)
		_, err := b.DB().ExecContext(b.ctx, `DEALLOCATE ALL`) // as behind a pooler, whose next transaction has another connection
		require.NoError(t, err)
		edits(b, 5, 10)
		statements, _ := prepared(b)
		require.Zero(t, statements)
	})

	t.Run("a plan that a migration outdated is made anew", func(t *testing.T) {
		t.Parallel()
		b := alone(t)
		edits(b, 0, 5)
		_, err := b.DB().ExecContext(b.ctx, `ALTER TABLE customers ALTER COLUMN version TYPE numeric`)
		require.NoError(t, err)
		edits(b, 5, 10)
		statements, _ := prepared(b)
		require.Positive(t, statements)
	})

	t.Run("lists are planned for what they ask", func(t *testing.T) {
		t.Parallel()
		b := alone(t)
		for range 5 {
			_, err := b.ListEvents(b.ctx, tandem.EventQuery{Limit: 1})
			require.NoError(t, err)
		}
		statements, _ := prepared(b)
		require.Zero(t, statements)
	})
}

func TestStatementsAreNotCompiled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var jit string
	require.NoError(t, b.DB().GetContext(b.ctx, &jit, `SHOW jit`))
	require.Equal(t, "off", jit)
}
