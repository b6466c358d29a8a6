package db_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
)

func constraintOf(err error) string {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Constraint
	}
	return ""
}

const (
	someCustomer = "cust_01HZZZZZZZZZZZZZZZZZZZZZZZ"
	noCustomer   = "cust_01HYYYYYYYYYYYYYYYYYYYYYYY"
	someMapping  = "eim_01HZZZZZZZZZZZZZZZZZZZZZZZ"
	nextMapping  = "eim_01HYYYYYYYYYYYYYYYYYYYYYYY"
	someRun      = "run_01HZZZZZZZZZZZZZZZZZZZZZZZ"
	nextRun      = "run_01HYYYYYYYYYYYYYYYYYYYYYYY"
	someFinding  = "fnd_01HZZZZZZZZZZZZZZZZZZZZZZZ"
	nextFinding  = "fnd_01HYYYYYYYYYYYYYYYYYYYYYYY"
	someEvent    = "pev_01HZZZZZZZZZZZZZZZZZZZZZZZ"
	nextEvent    = "pev_01HYYYYYYYYYYYYYYYYYYYYYYY"
)

func TestConstraints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, row := range []string{
		`INSERT INTO customers (id, external_id) VALUES ('` + someCustomer + `', 'ext')`,
		`INSERT INTO entity_integration_mappings (id, entity_id, provider_type, provider_entity_id, state, base, as_of_from, as_of)
		 VALUES ('` + someMapping + `', '` + someCustomer + `', 'stripe', 'cus_1', 'synced', '{}', now(), now())`,
		`INSERT INTO remote_tombstones (provider_type, provider_entity_id, deleted_at) VALUES ('stripe', 'cus_0', now())`,
		`INSERT INTO provider_events (id, provider_type, event_id, type, created, livemode, payload)
		 VALUES ('` + someEvent + `', 'stripe', 'evt_1', 't', now(), false, '{}')`,
		`INSERT INTO journal (id, entity_id, direction, action, cause, cause_id) VALUES ('jrn_1', 'c', 'inbound', 'a', 'api', 'chg')`,
		`INSERT INTO idempotency_keys (key_hash, body_hash, customer_id) VALUES ('k', 'b', 'c')`,
		`INSERT INTO provider_reads (provider_type, day, why) VALUES ('stripe', '2031-05-01', 'link')`,
		`INSERT INTO provider_accounts (provider_type, account_id) VALUES ('stripe', 'acct_1')`,
		`INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id) VALUES ('` + someRun + `', 'stripe', 'import', 'w')`,
		`INSERT INTO reconcile_findings (id, run_id, subject, kind) VALUES ('` + someFinding + `', '` + someRun + `', 'cus_1', 'created')`,
		`INSERT INTO reconcile_seen (run_id, provider_entity_id) VALUES ('` + someRun + `', 'cus_1')`,
		`INSERT INTO catch_ups (provider_type) VALUES ('stripe')`,
	} {
		_, err := b.DB().ExecContext(t.Context(), row)
		require.NoError(t, err)
	}
	customer := func(columns, values string) string {
		return `INSERT INTO customers (` + columns + `) VALUES (` + values + `)`
	}
	mapping := func(columns, values string) string {
		return `INSERT INTO entity_integration_mappings (id, entity_id, provider_type` + columns + `)
			VALUES ('` + nextMapping + `', '` + someCustomer + `', 'other'` + values + `)`
	}
	event := func(columns, values string) string {
		return `INSERT INTO provider_events (id, provider_type, event_id, type, created, livemode, payload` + columns + `)
			VALUES ('` + nextEvent + `', 'stripe', 'evt_2', 't', now(), false, '{}'` + values + `)`
	}
	journal := func(direction, cause, changes string) string {
		return `INSERT INTO journal (id, entity_id, direction, action, cause, changes)
			VALUES ('jrn_2', 'c', '` + direction + `', 'a', '` + cause + `', '` + changes + `')`
	}
	run := func(columns, values string) string {
		return `INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id` + columns + `)
			VALUES ('` + nextRun + `', 'other', 'import', 'w'` + values + `)`
	}
	finding := func(id, subject, kind, changes string) string {
		return `INSERT INTO reconcile_findings (id, run_id, subject, kind, changes)
			VALUES ('` + id + `', '` + someRun + `', '` + subject + `', '` + kind + `', '` + changes + `')`
	}
	broken := map[string]string{
		"customers_pkey":                  customer(`id`, `'`+someCustomer+`'`),
		"customers_id_form":               customer(`id`, `'cus_1'`),
		"customers_external_id_not_empty": customer(`id, external_id`, `'`+noCustomer+`', ''`),
		"customers_external_id_active":    customer(`id, external_id`, `'`+noCustomer+`', 'ext'`),
		"customers_metadata_object":       customer(`id, metadata`, `'`+noCustomer+`', '[]'`),
		"customers_status_known":          customer(`id, status, archived_at`, `'`+noCustomer+`', 'gone', NULL`),
		"customers_archived_has_time":     customer(`id, status`, `'`+noCustomer+`', 'archived'`),
		"customers_version_positive":      customer(`id, version`, `'`+noCustomer+`', 0`),

		"mappings_pkey":                         `INSERT INTO entity_integration_mappings (id, entity_id, provider_type) VALUES ('` + someMapping + `', '` + someCustomer + `', 'other')`,
		"mappings_id_form":                      `INSERT INTO entity_integration_mappings (id, entity_id, provider_type) VALUES ('eim_1', '` + someCustomer + `', 'other')`,
		"mappings_customer_exists":              `INSERT INTO entity_integration_mappings (id, entity_id, provider_type) VALUES ('` + nextMapping + `', '` + noCustomer + `', 'other')`,
		"mappings_customer_live":                `INSERT INTO entity_integration_mappings (id, entity_id, provider_type) VALUES ('` + nextMapping + `', '` + someCustomer + `', 'stripe')`,
		"mappings_entity_type_known":            mapping(`, entity_type`, `, 'invoice'`),
		"mappings_provider_not_empty":           `INSERT INTO entity_integration_mappings (id, entity_id, provider_type) VALUES ('` + nextMapping + `', '` + someCustomer + `', '')`,
		"mappings_provider_entity_id_not_empty": mapping(`, provider_entity_id, base, as_of, as_of_from`, `, '', '{}', now(), now()`),
		"mappings_state_known":                  mapping(`, state`, `, 'lost'`),
		"mappings_synced_has_both_sides":        mapping(`, state`, `, 'synced'`),
		"mappings_linked_has_base":              mapping(`, provider_entity_id`, `, 'cus_2'`),
		"mappings_as_of_ordered":                mapping(`, as_of_from, as_of`, `, now(), now() - interval '1 second'`),
		"mappings_waiting_has_error":            mapping(`, state`, `, 'parked'`),
		"mappings_claim_whole":                  mapping(`, claim`, `, '{"action": "create", "key": "k"}'`),
		"mappings_archived_has_reason":          mapping(`, state`, `, 'archived'`),
		"mappings_on_archive_known":             mapping(`, on_archive`, `, 'forget'`),
		"mappings_archived_reason_known":        mapping(`, state, archived_at, archived_reason`, `, 'archived', now(), 'bored'`),

		"remote_tombstones_pkey": `INSERT INTO remote_tombstones (provider_type, provider_entity_id, deleted_at) VALUES ('stripe', 'cus_0', now())`,

		"provider_events_pkey":                    `INSERT INTO provider_events (id, provider_type, event_id, type, created, livemode, payload) VALUES ('` + someEvent + `', 'stripe', 'evt_2', 't', now(), false, '{}')`,
		"provider_events_id_form":                 `INSERT INTO provider_events (id, provider_type, event_id, type, created, livemode, payload) VALUES ('evt', 'stripe', 'evt_2', 't', now(), false, '{}')`,
		"provider_events_once":                    `INSERT INTO provider_events (id, provider_type, event_id, type, created, livemode, payload) VALUES ('` + nextEvent + `', 'stripe', 'evt_1', 't', now(), false, '{}')`,
		"provider_events_state_known":             event(`, state, processed_at`, `, 'odd', now()`),
		"provider_events_processed_has_time":      event(`, state`, `, 'applied'`),
		"provider_events_deliveries_not_negative": event(`, deliveries`, `, -1`),

		"journal_pkey":            `INSERT INTO journal (id, entity_id, direction, action, cause) VALUES ('jrn_1', 'c', 'inbound', 'a', 'retry')`,
		"journal_direction_known": journal("sideways", "api", "[]"),
		"journal_cause_known":     journal("inbound", "whim", "[]"),
		"journal_changes_list":    journal("inbound", "retry", "{}"),
		"journal_change_once":     `INSERT INTO journal (id, entity_id, direction, action, cause, cause_id) VALUES ('jrn_2', 'c', 'inbound', 'a', 'api', 'chg')`,

		"idempotency_keys_pkey": `INSERT INTO idempotency_keys (key_hash, body_hash, customer_id) VALUES ('k', 'b', 'c')`,

		"provider_reads_pkey":               `INSERT INTO provider_reads (provider_type, day, why) VALUES ('stripe', '2031-05-01', 'link')`,
		"provider_reads_provider_not_empty": `INSERT INTO provider_reads (provider_type, day, why) VALUES ('', '2031-05-01', 'link')`,
		"provider_reads_why_not_empty":      `INSERT INTO provider_reads (provider_type, day, why) VALUES ('stripe', '2031-05-01', '')`,
		"provider_reads_positive":           `INSERT INTO provider_reads (provider_type, day, why, reads) VALUES ('stripe', '2031-05-01', 'proof', 0)`,

		"reconcile_runs_pkey":               `INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id) VALUES ('` + someRun + `', 'other', 'import', 'w')`,
		"reconcile_runs_id_form":            `INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id) VALUES ('run', 'other', 'import', 'w')`,
		"reconcile_runs_provider_not_empty": `INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id) VALUES ('` + nextRun + `', '', 'import', 'w')`,
		"reconcile_runs_mode_known":         `INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id) VALUES ('` + nextRun + `', 'other', 'guess', 'w')`,
		"reconcile_runs_one_open":           `INSERT INTO reconcile_runs (id, provider_type, mode, workflow_id) VALUES ('` + nextRun + `', 'stripe', 'import', 'w')`,
		"reconcile_runs_state_known":        run(`, state`, `, 'lost'`),
		"reconcile_runs_step_known":         run(`, step`, `, 'dance'`),
		"reconcile_runs_ranges_list":        run(`, ranges`, `, '{}'`),
		"reconcile_runs_counts_object":      run(`, counts`, `, '[]'`),
		"reconcile_runs_ended_has_time":     run(`, state`, `, 'done'`),
		"reconcile_runs_version_positive":   run(`, version`, `, 0`),

		"reconcile_findings_pkey":              finding(someFinding, "cus_2", "created", "[]"),
		"reconcile_findings_once":              finding(nextFinding, "cus_1", "created", "[]"),
		"reconcile_findings_id_form":           finding("fnd", "cus_2", "created", "[]"),
		"reconcile_findings_subject_not_empty": finding(nextFinding, "", "created", "[]"),
		"reconcile_findings_kind_known":        finding(nextFinding, "cus_2", "odd", "[]"),
		"reconcile_findings_changes_list":      finding(nextFinding, "cus_2", "created", "{}"),

		"reconcile_seen_pkey": `INSERT INTO reconcile_seen (run_id, provider_entity_id) VALUES ('` + someRun + `', 'cus_1')`,

		"catch_ups_pkey":                `INSERT INTO catch_ups (provider_type) VALUES ('stripe')`,
		"catch_ups_provider_not_empty":  `INSERT INTO catch_ups (provider_type) VALUES ('')`,
		"catch_ups_missed_not_negative": `INSERT INTO catch_ups (provider_type, missed) VALUES ('other', -1)`,

		"provider_accounts_pkey":               `INSERT INTO provider_accounts (provider_type, account_id) VALUES ('stripe', 'acct_2')`,
		"provider_accounts_provider_not_empty": `INSERT INTO provider_accounts (provider_type, account_id) VALUES ('', 'acct_1')`,
		"provider_accounts_account_not_empty":  `INSERT INTO provider_accounts (provider_type, account_id) VALUES ('other', '')`,
	}
	for name, statement := range broken {
		_, err := b.DB().ExecContext(t.Context(), statement)
		require.Equal(t, name, constraintOf(err), "%v", err)
	}
	// Across customers: one remote customer is linked at most once.
	_, err := b.DB().ExecContext(t.Context(), customer(`id`, `'`+noCustomer+`'`))
	require.NoError(t, err)
	_, err = b.DB().ExecContext(t.Context(), `
		INSERT INTO entity_integration_mappings (id, entity_id, provider_type, provider_entity_id, base, as_of_from, as_of)
		VALUES ('`+nextMapping+`', '`+noCustomer+`', 'stripe', 'cus_1', '{}', now(), now())`)
	require.Equal(t, "mappings_remote_live", constraintOf(err))

	// Every named rule of the schema is broken above, so that a new one is not forgotten here.
	var names []string
	require.NoError(t, b.DB().SelectContext(t.Context(), &names, `
		SELECT conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
		WHERE n.nspname = 'public' AND c.conrelid::regclass::text NOT LIKE 'goose%' AND c.contype <> 'n'
		UNION SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
		WHERE indisunique AND t.relnamespace = 'public'::regnamespace AND t.relname NOT LIKE 'goose%'`))
	for _, name := range names {
		if _, ok := broken[name]; !ok {
			require.Equal(t, "mappings_remote_live", name, "a rule without a test")
		}
	}
}

func TestJournalIsAppendOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.created("Ada", "")
	for _, statement := range []string{
		`UPDATE journal SET detail = 'x'`, `DELETE FROM journal`, `TRUNCATE journal`, `TRUNCATE journal CASCADE`,
	} {
		_, err := b.DB().ExecContext(t.Context(), statement)
		require.ErrorContains(t, err, "append-only", statement)
	}
	require.Len(t, b.story(c.ID), 1)

	// Erasing a person says so, in its own transaction only.
	tx, err := b.DB().BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.Exec(`SET LOCAL tandem.erasure = 'on'`)
	require.NoError(t, err)
	result, err := tx.Exec(`UPDATE journal SET changes = '[]' WHERE entity_id = $1`, c.ID)
	require.NoError(t, err)
	n, err := result.RowsAffected()
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	result, err = tx.Exec(`DELETE FROM journal WHERE entity_id = $1`, c.ID)
	require.NoError(t, err)
	n, err = result.RowsAffected()
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	require.NoError(t, tx.Rollback())
	_, err = b.DB().ExecContext(t.Context(), `DELETE FROM journal`)
	require.ErrorContains(t, err, "append-only")
}

func TestMigrate(t *testing.T) {
	t.Parallel()

	t.Run("twice is once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, b.Migrated(t.Context()))
		ran, err := b.Migrate(t.Context())
		require.NoError(t, err)
		require.Empty(t, ran)
	})

	t.Run("at once from several processes is once", func(t *testing.T) {
		t.Parallel()
		url := dbtest.NewEmptyURL(t)
		ran := make([][]string, crowd)
		errs := together(func(i int) error {
			if i >= 6 { // each waits for its turn
				return nil
			}
			store, err := db.Open(context.Background(), db.Config{URL: url, MaxConns: 2})
			if err != nil {
				return err
			}
			if i == 0 {
				_ = store.Migrated(context.Background()) // asks while others migrate
			}
			ran[i], err = store.Migrate(context.Background())
			return errors.Join(err, store.Migrated(context.Background()), store.Close())
		})
		total := 0
		for i, err := range errs {
			require.NoError(t, err)
			total += len(ran[i])
		}
		require.Equal(t, 6, total, "every migration once")
	})

	t.Run("a database that is behind says so", func(t *testing.T) {
		t.Parallel()
		store, err := db.Open(t.Context(), db.Config{URL: dbtest.NewEmptyURL(t)})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		require.ErrorContains(t, store.Migrated(t.Context()), "migrate")
	})
}
