package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
)

// reads is what Postgres counted for a table: rows read by sequential scans and rows fetched by index scans.
type reads struct {
	Table   string `db:"relname"`
	Seq     int    `db:"seq_tup_read"`
	Fetched int    `db:"idx_tup_fetch"`
}

const many = 20_000

// TestHotQueriesUseIndexes runs the real methods against many rows, and has Postgres itself say how many it touched:
// a query that reads a big table from end to end, by whatever plan, stands out by thousands.
func TestHotQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	url := dbtest.NewURL(t)
	open := func() *db.Store {
		store, err := db.Open(t.Context(), db.Config{URL: url, Policy: dbtest.Policy, Providers: []string{"stripe"}})
		require.NoError(t, err)
		return store
	}
	admin := open()
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	for _, statement := range []string{
		`INSERT INTO customers (id, external_id, name, email)
		 SELECT 'cust_' || lpad(n::text, 26, '0'), 'ext-' || n, 'C' || n, 'c' || n || '@example.com' FROM generate_series(1, $1::int) n`,
		`INSERT INTO entity_integration_mappings (id, entity_id, provider_type, provider_entity_id, state, base, as_of_from, as_of)
		 SELECT 'eim_' || lpad(n::text, 26, '0'), 'cust_' || lpad(n::text, 26, '0'), 'stripe', 'cus_' || n,
		        CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'synced' END, '{}', '2031-05-01', '2031-05-01' FROM generate_series(1, $1::int) n`,
		`INSERT INTO provider_events (id, provider_type, event_id, type, object_id, created, livemode, payload, state, processed_at)
		 SELECT 'pev_' || lpad(n::text, 26, '0'), 'stripe', 'evt_' || n, 'customer.updated', 'cus_' || n, now(), false, '{}',
		        CASE WHEN n % 100 = 0 THEN 'received' ELSE 'applied' END, CASE WHEN n % 100 = 0 THEN NULL ELSE now() END
		 FROM generate_series(1, $1::int) n`,
		`INSERT INTO journal (id, entity_id, direction, action, cause, cause_id)
		 SELECT 'jrn_' || lpad(n::text, 26, '0'), 'cust_' || lpad(n::text, 26, '0'), 'outbound', 'create', 'api', 'chg_' || n FROM generate_series(1, $1::int) n`,
		`INSERT INTO remote_tombstones (provider_type, provider_entity_id, deleted_at) SELECT 'stripe', 'gone_' || n, now() FROM generate_series(1, $1::int) n`,
		`INSERT INTO idempotency_keys (key_hash, body_hash, customer_id) SELECT 'key_' || n, 'b', 'c' FROM generate_series(1, $1::int) n`,
		`INSERT INTO reconcile_findings (id, run_id, subject, kind)
		 SELECT 'fnd_' || lpad(n::text, 26, '0'), '` + someRun + `', 'cus_' || n, CASE WHEN n % 1000 = 0 THEN 'conflict' ELSE 'created' END
		 FROM generate_series(1, $1::int) n`,
		`INSERT INTO reconcile_seen (run_id, provider_entity_id, email)
		 SELECT '` + someRun + `', 'seen_' || n, 'c' || n || '@example.com' FROM generate_series(1, $1::int) n WHERE n > 100
		 UNION ALL SELECT '` + someRun + `', 'cus_' || n, '' FROM generate_series(1, $1::int) n WHERE n % 100 > 0`,
		`INSERT INTO customers (id, email) SELECT 'cust_Z' || lpad(n::text, 25, '0'), 'z' || n || '@example.com' FROM generate_series(1, $1::int) n`,
	} {
		_, err := admin.DB().ExecContext(t.Context(), statement, many)
		require.NoError(t, err)
	}
	_, err := admin.DB().ExecContext(t.Context(), `VACUUM ANALYZE`)
	require.NoError(t, err)

	id := "cust_00000000000000000000007777"
	books := tandem.RunWish{ID: someRun, Provider: "stripe", Mode: tandem.ModeExport, MatchEmail: true}
	_, err = admin.BeginRun(t.Context(), books, "w")
	require.NoError(t, err)
	// among changes the run as it is, at a place where the books go on.
	among := func(after string, act func(ctx context.Context, s *db.Store, run tandem.BulkRun) error) func(context.Context, *db.Store) error {
		return func(ctx context.Context, s *db.Store) error {
			run, err := s.BulkRun(ctx, someRun)
			require.NoError(t, err)
			run.After, run.StartedAt = after, run.StartedAt.Add(time.Hour)
			return act(ctx, s, run)
		}
	}
	customers := func(q tandem.CustomerQuery) func(context.Context, *db.Store) error {
		q.Limit = 50
		return func(ctx context.Context, s *db.Store) error {
			_, err := s.Customers(ctx, q)
			return err
		}
	}
	var wasteful []string
	for _, tt := range []struct {
		name string
		call func(context.Context, *db.Store) error
	}{
		{"Waiting", func(ctx context.Context, s *db.Store) error {
			_, err := s.Waiting(ctx, "stripe", []string{"cus_7700"}, 100)
			return err
		}},
		{"WaitingRemotes", func(ctx context.Context, s *db.Store) error {
			_, _, err := s.WaitingRemotes(ctx, "stripe", "pev_00000000000000000000003000", 100)
			return err
		}},
		{"Unfinished", func(ctx context.Context, s *db.Store) error {
			_, err := s.Unfinished(ctx, "stripe", []string{"cus_7000"})
			return err
		}},
		{"Ingest", func(ctx context.Context, s *db.Store) error {
			_, err := s.Ingest(ctx, "stripe", delivery(event("cus_7777", 10, tandem.Fields{Name: "A", Reserved: map[string]string{tandem.KeyExternalID: "ext-9"}})))
			return err
		}},
		{"ApplyRemote, linked and by external id", func(ctx context.Context, s *db.Store) error {
			_, err := s.ApplyRemote(ctx, []tandem.RemoteState{
				event("cus_7777", 10, tandem.Fields{Name: "B", Reserved: map[string]string{tandem.KeyExternalID: "ext-12"}}),
			}, work)
			return err
		}},
		{"ApplyRemote, a hundred new", func(ctx context.Context, s *db.Store) error {
			states := page(100, 10, "New")
			for i := range states {
				states[i].RemoteID = "new_" + states[i].RemoteID
			}
			_, err := s.ApplyRemote(ctx, states, work)
			return err
		}},
		{"ApplyChange", func(ctx context.Context, s *db.Store) error {
			ch := update(id, tandem.Patch{Name: ptr("X")})
			_, err := s.ApplyChange(ctx, ch, apiWork(ch))
			return err
		}},
		{"Plan", func(ctx context.Context, s *db.Store) error {
			_, err := s.Plan(ctx, id, "stripe", tandem.Ask{})
			return err
		}},
		{"Mappings", func(ctx context.Context, s *db.Store) error { _, err := s.Mappings(ctx, []string{id}); return err }},
		{"Journal", func(ctx context.Context, s *db.Store) error { _, err := s.Journal(ctx, id, 100); return err }},
		{"Customer", func(ctx context.Context, s *db.Store) error { _, err := s.Customer(ctx, id); return err }},
		{"CustomerByExternalID", func(ctx context.Context, s *db.Store) error {
			_, err := s.CustomerByExternalID(ctx, "ext-4444")
			return err
		}},
		{"Reserve", func(ctx context.Context, s *db.Store) error { _, err := s.Reserve(ctx, "key_12", "b", "c"); return err }},
		{"EndEvents", func(ctx context.Context, s *db.Store) error {
			return s.EndEvents(ctx, []string{"pev_00000000000000000000000300"}, tandem.EventParked, "x")
		}},
		{"Customers, a page", customers(tandem.CustomerQuery{After: id})},
		{"Customers by email", customers(tandem.CustomerQuery{Email: "c4444@example.com"})},
		{"Customers by external id", customers(tandem.CustomerQuery{ExternalID: "ext-4444"})},
		{"Customers by remote customer", customers(tandem.CustomerQuery{ProviderEntityID: "cus_4444"})},
		{"Customers by state", customers(tandem.CustomerQuery{State: tandem.Pending})},
		{"Customers by email of nobody", customers(tandem.CustomerQuery{Email: "nobody@example.com"})},
		{"Customers by remote customer of nobody", customers(tandem.CustomerQuery{ProviderEntityID: "cus_none"})},
		{"ApplyPages, a hundred", among("", func(ctx context.Context, s *db.Store, run tandem.BulkRun) error {
			states := page(100, 10, "New")
			for i := range states {
				states[i].RemoteID = fmt.Sprintf("cus_%d", 100+2*i)
				if i%2 == 0 {
					states[i].RemoteID = "new_" + states[i].RemoteID
				}
			}
			_, err := s.ApplyPages(ctx, run, []tandem.WalkedPage{{Items: states}}, work)
			return err
		})},
		{"Findings", func(ctx context.Context, s *db.Store) error {
			_, err := s.Findings(ctx, tandem.FindingQuery{RunID: someRun, After: "fnd_00000000000000000000003000", Limit: 100})
			return err
		}},
		{"Findings of a kind", func(ctx context.Context, s *db.Store) error {
			_, err := s.Findings(ctx, tandem.FindingQuery{RunID: someRun, Kind: tandem.FoundConflict, Limit: 100})
			return err
		}},
		{"Absent", among("cus_12", func(ctx context.Context, s *db.Store, run tandem.BulkRun) error {
			ids, err := s.Absent(ctx, run, 3)
			require.Len(t, ids, 3)
			return err
		})},
		{"EmailMatches", among("seen_1000", func(ctx context.Context, s *db.Store, run tandem.BulkRun) error {
			_, err := s.DB().ExecContext(ctx, `DELETE FROM entity_integration_mappings WHERE id BETWEEN 'eim_00000000000000000000010000' AND 'eim_00000000000000000000010020'`)
			require.NoError(t, err)
			matches, err := s.EmailMatches(ctx, run, 10)
			require.Len(t, matches, 10)
			return err
		})},
		{"ReserveNext", among("cust_Z0000000000000000000000050", func(ctx context.Context, s *db.Store, run tandem.BulkRun) error {
			_, _, err := s.ReserveNext(ctx, run, 50, work)
			return err
		})},
		{"PendingNext", func(ctx context.Context, s *db.Store) error {
			_, err := s.PendingNext(ctx, "stripe", id, 10)
			return err
		}},
		{"StillPending", func(ctx context.Context, s *db.Store) error {
			_, err := s.StillPending(ctx, "stripe", []string{id, "cust_00000000000000000000003000"})
			return err
		}},
		{"IngestFound", func(ctx context.Context, s *db.Store) error {
			_, err := s.IngestFound(ctx, "stripe", []tandem.Event{delivery(event("cus_8888", 10, tandem.Fields{Name: "A"}))})
			return err
		}},
	} {
		before := readsOf(t, admin)
		store := open()
		require.NoError(t, tt.call(t.Context(), store), tt.name)
		pid := 0
		require.NoError(t, store.DB().GetContext(t.Context(), &pid, `SELECT pg_backend_pid()`))
		require.NoError(t, store.Close()) // a backend counts at the latest when it ends
		waitForEnd(t, admin, pid)
		for table, after := range readsOf(t, admin) {
			n := after.Seq - before[table].Seq + after.Fetched - before[table].Fetched
			if n >= 1000 {
				wasteful = append(wasteful, fmt.Sprintf("%s reads %d rows of %s, %d of them without an index", tt.name, n, table, after.Seq-before[table].Seq))
			}
		}
	}
	require.Empty(t, wasteful)
}

func waitForEnd(t *testing.T, admin *db.Store, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		n := 1
		err := admin.DB().GetContext(t.Context(), &n, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1`, pid)
		return err == nil && n == 0
	}, 10*time.Second, 5*time.Millisecond)
}

func readsOf(t *testing.T, admin *db.Store) map[string]reads {
	t.Helper()
	var rows []reads
	require.NoError(t, admin.DB().SelectContext(t.Context(), &rows, `
		SELECT relname, seq_tup_read, COALESCE(idx_tup_fetch, 0) AS idx_tup_fetch FROM pg_stat_user_tables`))
	out := map[string]reads{}
	for _, r := range rows {
		out[r.Table] = r
	}
	return out
}
