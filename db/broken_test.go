package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
)

func requireRetryable(t *testing.T, err error, classes ...tandem.Class) {
	t.Helper()
	require.Error(t, err)
	require.Contains(t, classes, tandem.ClassOf(err), err.Error())
	require.NotContains(t, err.Error(), "Ada", "no data in errors")
}

func TestBrokenConnection(t *testing.T) {
	t.Parallel()

	t.Run("every backend killed: transient, then it works again", func(t *testing.T) {
		t.Parallel()
		b, admin := setup(t), setup(t)
		c := b.created("Ada", "")
		var database string
		require.NoError(t, b.DB().GetContext(t.Context(), &database, `SELECT current_database()`))
		kill := func() {
			_, err := admin.DB().ExecContext(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1`, database)
			require.NoError(t, err)
		}
		for _, act := range []func() error{
			func() error { _, err := b.Customer(t.Context(), c.ID); return err },
			func() error { _, err := b.Plan(t.Context(), c.ID, "stripe", tandem.Ask{}); return err },
			func() error {
				_, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{event("cus_1", 10, tandem.Fields{Name: "A"})}, work)
				return err
			},
		} {
			kill()
			if err := act(); err != nil { // database/sql may have found a fresh connection by itself
				requireRetryable(t, err, tandem.Transient, tandem.Ambiguous)
			}
			require.NoError(t, act())
		}
	})

	t.Run("killed inside the transaction: transient, nothing written", func(t *testing.T) {
		t.Parallel()
		b, p := throughProxy(t)
		p.once("INSERT INTO ENTITY_INTEGRATION_MAPPINGS", unsent)
		ch := creation(tandem.Patch{Name: ptr("Ada")})
		_, err := b.ApplyChange(t.Context(), ch, apiWork(ch))
		requireRetryable(t, err, tandem.Transient)
		require.Equal(t, 0, b.count(`SELECT count(*) FROM customers`))
		b.change(ch)
		require.Equal(t, []string{"outbound create"}, b.story(ch.CustomerID))
	})

	for name, what := range map[string]cut{"did not happen": unsent, "happened": unheard} {
		t.Run("a commit that "+name+": ambiguous, and the same act again finds out", func(t *testing.T) {
			t.Parallel()
			b, p := throughProxy(t)
			p.once("COMMIT", what)
			ch := creation(tandem.Patch{Name: ptr("Ada")})
			_, err := b.ApplyChange(t.Context(), ch, apiWork(ch))
			requireRetryable(t, err, tandem.Ambiguous)
			happened := b.count(`SELECT count(*) FROM customers`)
			require.Equal(t, map[cut]int{unsent: 0, unheard: 1}[what], happened)
			c := b.change(ch)
			require.Equal(t, int64(1), c.Version)
			require.Equal(t, []string{"outbound create"}, b.story(c.ID))
			require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))

			call := b.plan(c.ID)
			p.once("COMMIT", what)
			_, err = b.ApplyRemote(t.Context(), []tandem.RemoteState{answer(call, "cus_1", 10)}, work)
			requireRetryable(t, err, tandem.Ambiguous)
			b.apply(answer(call, "cus_1", 10))
			require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
			require.Equal(t, []string{"outbound create", "outbound create"}, b.story(c.ID))

			p.once("COMMIT", what)
			e := event("cus_1", 20, tandem.Fields{Name: "Ada L."})
			_, err = b.Ingest(t.Context(), "stripe", delivery(e))
			requireRetryable(t, err, tandem.Ambiguous)
			require.True(t, b.ingest(e).Open)
			require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events`))

			p.once("COMMIT", what)
			_, err = b.ApplyRemote(t.Context(), []tandem.RemoteState{e}, work)
			requireRetryable(t, err, tandem.Ambiguous)
			b.apply(e)
			require.Equal(t, int64(2), b.customer(c.ID).Version)
			require.Len(t, b.story(c.ID), 3)
		})
	}

	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		_, err := db.Open(t.Context(), db.Config{URL: "postgres://nobody@127.0.0.1:1/none?sslmode=disable"})
		requireRetryable(t, err, tandem.Transient)
	})

	t.Run("a caller who gave up", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.Customer(ctx, customerID())
		requireRetryable(t, err, tandem.Transient)
	})

	t.Run("a caller who gives up while waiting for a lock", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		tx, err := b.DB().BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		_, err = tx.Exec(`SELECT 1 FROM customers FOR UPDATE`)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := b.Plan(ctx, c.ID, "stripe", tandem.Ask{})
			failed <- err
		}()
		require.Eventually(t, func() bool {
			return b.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 1
		}, 10*time.Second, 5*time.Millisecond)
		cancel()
		requireRetryable(t, <-failed, tandem.Transient)
		require.NoError(t, tx.Rollback())
		require.Equal(t, tandem.ActCreate, b.plan(c.ID).Action)
	})

	t.Run("a URL that is none", func(t *testing.T) {
		t.Parallel()
		_, err := db.Open(t.Context(), db.Config{URL: "mysql://somewhere"})
		requireCode(t, err, tandem.Invalid, tandem.CodeInvalidRequest)
	})
}
