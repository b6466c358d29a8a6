package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestCustomers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ids := make([]string, 7)
	for i := range ids {
		ch := creation(tandem.Patch{Name: ptr(fmt.Sprint("C", i)), Email: ptr(fmt.Sprintf("c%d@example.com", i%3))})
		ch.ExternalID = ptr(fmt.Sprint("ext-", i))
		ids[i] = b.change(ch).ID
	}
	for i := range 4 { // 0 to 3 are linked, 3 is deleted again
		b.apply(answer(b.plan(ids[i]), fmt.Sprint("cus_", i), 10))
	}
	b.apply(deleted(event("cus_3", 20, tandem.Fields{})))

	find := func(t *testing.T, q tandem.CustomerQuery) []string {
		t.Helper()
		if q.Limit == 0 {
			q.Limit = 100
		}
		found, err := b.Customers(t.Context(), q)
		require.NoError(t, err)
		var names []string
		for _, c := range found {
			names = append(names, c.Name)
		}
		return names
	}
	for name, tt := range map[string]struct {
		query tandem.CustomerQuery
		want  []string
	}{
		"everything, newest first":     {tandem.CustomerQuery{}, []string{"C6", "C5", "C4", "C3", "C2", "C1", "C0"}},
		"by email":                     {tandem.CustomerQuery{Email: "c0@example.com"}, []string{"C6", "C3", "C0"}},
		"by external id":               {tandem.CustomerQuery{ExternalID: "ext-4"}, []string{"C4"}},
		"active":                       {tandem.CustomerQuery{Status: tandem.Active, Email: "c0@example.com"}, []string{"C6", "C0"}},
		"archived":                     {tandem.CustomerQuery{Status: tandem.Archived}, []string{"C3"}},
		"synced":                       {tandem.CustomerQuery{State: tandem.Synced}, []string{"C2", "C1", "C0"}},
		"pending":                      {tandem.CustomerQuery{State: tandem.Pending}, []string{"C6", "C5", "C4"}},
		"by remote customer":           {tandem.CustomerQuery{ProviderEntityID: "cus_1"}, []string{"C1"}},
		"by remote customer and state": {tandem.CustomerQuery{ProviderEntityID: "cus_1", State: tandem.Pending}, nil},
		"live mappings only":           {tandem.CustomerQuery{ProviderEntityID: "cus_3"}, nil},
		"nobody":                       {tandem.CustomerQuery{Email: "nobody@example.com"}, nil},
		"the first page":               {tandem.CustomerQuery{Limit: 3}, []string{"C6", "C5", "C4"}},
		"the next page":                {tandem.CustomerQuery{Limit: 3, After: ids[4]}, []string{"C3", "C2", "C1"}},
		"the last page":                {tandem.CustomerQuery{Limit: 3, After: ids[1]}, []string{"C0"}},
		"after the last":               {tandem.CustomerQuery{Limit: 3, After: ids[0]}, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, find(t, tt.query)) })
	}

	t.Run("by external id among the active ones only", func(t *testing.T) {
		_, err := b.CustomerByExternalID(t.Context(), "ext-3")
		requireCode(t, err, tandem.Invalid, tandem.CodeCustomerNotFound)
		c, err := b.CustomerByExternalID(t.Context(), "ext-2")
		require.NoError(t, err)
		require.Equal(t, ids[2], c.ID)
	})

	t.Run("by id, or not at all", func(t *testing.T) {
		require.Equal(t, tandem.Archived, b.customer(ids[3]).Status)
		_, err := b.Customer(t.Context(), customerID())
		requireCode(t, err, tandem.Invalid, tandem.CodeCustomerNotFound)
		_, err = b.Plan(t.Context(), customerID(), "stripe", tandem.Ask{})
		requireCode(t, err, tandem.Invalid, tandem.CodeCustomerNotFound)
	})

	t.Run("mappings: the live one, else the one that ended last", func(t *testing.T) {
		all, err := b.Mappings(t.Context(), ids)
		require.NoError(t, err)
		require.Len(t, all, len(ids))
		require.Equal(t, tandem.Ended, b.mapping(ids[3]).State)
		_, err = b.DB().ExecContext(t.Context(), `
			INSERT INTO entity_integration_mappings (id, entity_id, provider_type) VALUES ('`+nextMapping+`', $1, 'stripe')`, ids[3])
		require.NoError(t, err)
		require.Equal(t, tandem.Pending, b.mapping(ids[3]).State)
		all, err = b.Mappings(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, all)
	})

	t.Run("the journal from its beginning, as much as wanted", func(t *testing.T) {
		entries, err := b.Journal(t.Context(), ids[3], 2)
		require.NoError(t, err)
		require.Len(t, entries, 2)
		require.Equal(t, "create", entries[0].Action)
		require.Less(t, entries[0].ID, entries[1].ID)
	})
}

func TestReserve(t *testing.T) {
	t.Parallel()

	t.Run("the first decides the id, everybody else gets that", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first, err := b.Reserve(t.Context(), "key", "body", "cust_a")
		require.NoError(t, err)
		require.Equal(t, tandem.Reservation{CustomerID: "cust_a"}, first)
		before := b.picture()
		second, err := b.Reserve(t.Context(), "key", "body", "cust_b")
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.Equal(t, before, b.picture())
	})

	t.Run("another body is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.Reserve(t.Context(), "key", "body", "cust_a")
		require.NoError(t, err)
		_, err = b.Reserve(t.Context(), "key", "other", "cust_b")
		requireCode(t, err, tandem.Invalid, tandem.CodeIdempotencyReused)
	})

	t.Run("twenty at once are one", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		got := make([]tandem.Reservation, crowd)
		for _, err := range together(func(i int) (err error) {
			got[i], err = b.Reserve(b.ctx, "key", "body", customerID())
			return err
		}) {
			require.NoError(t, err)
		}
		for _, r := range got {
			require.Equal(t, got[0], r)
		}
	})

	t.Run("the answer is kept as it was first given", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ch := creation(tandem.Patch{Name: ptr("Ada"), Metadata: map[string]string{"k": "v"}})
		ch.IdempotencyKey = "key"
		_, err := b.Reserve(t.Context(), "key", "body", ch.CustomerID)
		require.NoError(t, err)
		first := b.change(ch)
		b.change(update(first.ID, tandem.Patch{Name: ptr("Later")}))
		r, err := b.Reserve(t.Context(), "key", "body", customerID())
		require.NoError(t, err)
		require.NotNil(t, r.Answer)
		require.Equal(t, first, *r.Answer)
	})

	t.Run("keys older than two days make room", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.DB().ExecContext(t.Context(), `
			INSERT INTO idempotency_keys (key_hash, body_hash, customer_id, created_at)
			SELECT 'old' || n, 'b', 'c', now() - interval '49 hours' FROM generate_series(1, 12) n
			UNION ALL SELECT 'young', 'b', 'c', now() - interval '47 hours'`)
		require.NoError(t, err)
		for _, key := range []string{"a", "b"} {
			_, err = b.Reserve(t.Context(), key, "body", "c")
			require.NoError(t, err)
		}
		require.Equal(t, 0, b.count(`SELECT count(*) FROM idempotency_keys WHERE key_hash LIKE 'old%'`))
		require.Equal(t, 3, b.count(`SELECT count(*) FROM idempotency_keys`))
	})
}
