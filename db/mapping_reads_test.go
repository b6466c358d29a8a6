package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
)

// only reads the one mapping of a customer.
func only(t *testing.T, store *db.Store, customerID string) tandem.Mapping {
	t.Helper()
	ms, err := store.Mappings(t.Context(), []string{customerID})
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return ms[0]
}

func TestMappingByID(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t, dbtest.Policy)
	want := only(t, store, create(t, store, 1).ID)

	got, err := store.MappingByID(t.Context(), want.ID)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, tandem.ActCreate, got.Claim.Action)

	_, err = store.MappingByID(t.Context(), noMapping)
	assert.Equal(t, tandem.CodeMappingNotFound, tandem.CodeOf(err))
}

func TestListMappings(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t, dbtest.Policy, "stripe", "second")
	for n := 1; n <= 3; n++ {
		create(t, store, n)
	}
	_, err := store.DB().ExecContext(t.Context(), `
		UPDATE entity_integration_mappings SET state = 'archived', archived_at = now(), archived_reason = 'unlinked'
		WHERE entity_id = $1 AND provider_type = 'second'`, nthCustomer(1))
	require.NoError(t, err)
	_, err = store.DB().ExecContext(t.Context(), `
		UPDATE entity_integration_mappings SET state = 'synced', provider_entity_id = 'cus_2', base = '{}', as_of = now(), as_of_from = now()
		WHERE entity_id = $1 AND provider_type = 'stripe'`, nthCustomer(2))
	require.NoError(t, err)

	_, err = store.DB().ExecContext(t.Context(), `
		UPDATE entity_integration_mappings SET state = 'parked', last_error = '{"class": "invalid", "code": "email_invalid"}'
		WHERE entity_id = $1 AND provider_type = 'second'`, nthCustomer(3))
	require.NoError(t, err)

	// named is the mappings as number of the customer and provider.
	named := func(ms []tandem.Mapping) []string {
		out := []string{}
		for _, m := range ms {
			out = append(out, m.CustomerID[len(m.CustomerID)-1:]+" "+m.Provider)
		}
		return out
	}
	for name, tc := range map[string]struct {
		q    tandem.MappingQuery
		want []string
	}{
		"live_ones_newest_first": {tandem.MappingQuery{}, []string{"3 second", "3 stripe", "2 second", "2 stripe", "1 stripe"}},
		"of_a_customer":          {tandem.MappingQuery{CustomerID: nthCustomer(1)}, []string{"1 stripe"}},
		"of_a_provider":          {tandem.MappingQuery{Provider: "second"}, []string{"3 second", "2 second"}},
		"of_a_remote_customer":   {tandem.MappingQuery{RemoteID: "cus_2"}, []string{"2 stripe"}},
		"in_a_state":             {tandem.MappingQuery{State: tandem.Synced}, []string{"2 stripe"}},
		"of_an_error_class":      {tandem.MappingQuery{ErrorClass: tandem.Invalid}, []string{"3 second"}},
		"of_no_such_error":       {tandem.MappingQuery{ErrorClass: tandem.Auth}, []string{}},
		"ended":                  {tandem.MappingQuery{State: tandem.Ended}, []string{"1 second"}},
		"ended_of_a_customer":    {tandem.MappingQuery{State: tandem.Ended, CustomerID: nthCustomer(2)}, []string{}},
		"all_filters":            {tandem.MappingQuery{CustomerID: nthCustomer(2), Provider: "stripe", RemoteID: "cus_2", State: tandem.Synced}, []string{"2 stripe"}},
		"of_nobody":              {tandem.MappingQuery{CustomerID: "' OR 1=1 --"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.q.Limit = 100
			ms, err := store.ListMappings(t.Context(), tc.q)
			require.NoError(t, err)
			assert.Equal(t, tc.want, named(ms))
		})
	}

	t.Run("in_pages", func(t *testing.T) {
		var all []tandem.Mapping
		after := ""
		for range 3 {
			ms, err := store.ListMappings(t.Context(), tandem.MappingQuery{After: after, Limit: 2})
			require.NoError(t, err)
			all = append(all, ms...)
			after = ms[len(ms)-1].ID
		}
		assert.Equal(t, []string{"3 second", "3 stripe", "2 second", "2 stripe", "1 stripe"}, named(all))
	})
}

func TestSetMappingMetadata(t *testing.T) {
	t.Parallel()
	own := map[string]string{
		"sync_direction": "flexprice_to_provider", "created_via": "api", "stripe_customer_email": "c1@example.com", "stripe_customer_name": "Customer 1",
	}
	with := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for _, m := range []map[string]string{own, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}

	t.Run("replaces_what_people_wrote_and_nothing_else", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		before := only(t, store, create(t, store, 1).ID)
		require.Equal(t, own, before.Metadata)
		for _, metadata := range []map[string]string{{"owner": "anna", "ticket": "7"}, {"owner": "ben", "other_customer_name": "x"}, {}, nil} {
			got, err := store.SetMappingMetadata(t.Context(), before.ID, metadata)
			require.NoError(t, err)
			want := before
			want.Metadata, want.UpdatedAt = with(metadata), got.UpdatedAt
			assert.Equal(t, want, got, "version, claim and all the rest stay")
			assert.True(t, got.UpdatedAt.After(before.UpdatedAt))
			assert.Equal(t, got, only(t, store, before.CustomerID))
		}
	})

	t.Run("cannot_set_or_remove_tandems_own_keys", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		m := only(t, store, create(t, store, 1).ID)
		got, err := store.SetMappingMetadata(t.Context(), m.ID, map[string]string{
			"sync_direction": "sideways", "stripe_customer_name": "x", "webhook_id": "evt_forged", "mine": "1",
		})
		require.NoError(t, err)
		assert.Equal(t, with(map[string]string{"mine": "1"}), got.Metadata)
	})

	t.Run("annotates_history_too", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		m := only(t, store, create(t, store, 1).ID)
		_, err := store.DB().ExecContext(t.Context(), `
			UPDATE entity_integration_mappings SET state = 'archived', archived_at = now(), archived_reason = 'unlinked'`)
		require.NoError(t, err)
		before := only(t, store, m.CustomerID)
		got, err := store.SetMappingMetadata(t.Context(), m.ID, map[string]string{"why": "merged accounts"})
		require.NoError(t, err)
		assert.Equal(t, "merged accounts", got.Metadata["why"])
		assert.Equal(t, before.ArchivedAt, got.ArchivedAt)
	})

	t.Run("waits_for_a_sync_that_is_writing", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		m := only(t, store, create(t, store, 1).ID)
		tx, err := store.DB().BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.Exec(`SELECT 1 FROM customers WHERE id = $1 FOR UPDATE`, m.CustomerID)
		require.NoError(t, err)

		done := make(chan error, 1)
		go func() {
			_, err := store.SetMappingMetadata(t.Context(), m.ID, map[string]string{"owner": "anna"})
			done <- err
		}()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			var waiting int
			require.NoError(c, store.DB().Get(&waiting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`))
			assert.Equal(c, 1, waiting)
		}, 10*time.Second, 10*time.Millisecond)
		// The sync writes the metadata as it had read it, with one key more.
		_, err = tx.Exec(`UPDATE entity_integration_mappings SET metadata = metadata || '{"webhook_id": "evt_1"}', version = version + 1`)
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)

		got := only(t, store, m.CustomerID)
		assert.Equal(t, with(map[string]string{"owner": "anna", "webhook_id": "evt_1"}), got.Metadata)
		assert.Equal(t, m.Version+1, got.Version)
	})

	t.Run("survives_later_syncs", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		take(t, store, readsEvent(1, 1, "Jenny"))
		ms, err := store.ListMappings(t.Context(), tandem.MappingQuery{RemoteID: "cus_1", Limit: 1})
		require.NoError(t, err)
		_, err = store.SetMappingMetadata(t.Context(), ms[0].ID, map[string]string{"owner": "anna"})
		require.NoError(t, err)
		take(t, store, readsEvent(2, 2, "Jenny Rosen"))
		got, err := store.MappingByID(t.Context(), ms[0].ID)
		require.NoError(t, err)
		assert.Equal(t, "anna", got.Metadata["owner"])
		assert.Equal(t, "evt_2", got.Metadata["last_webhook_id"])
	})

	t.Run("of_an_unknown_mapping_is_refused", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		_, err := store.SetMappingMetadata(t.Context(), noMapping, map[string]string{"a": "b"})
		assert.Equal(t, tandem.CodeMappingNotFound, tandem.CodeOf(err))
	})
}
