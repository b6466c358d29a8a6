package db_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/simtest"
)

// TestSimulation does what the simulation in memory does, act by act, on Postgres too: both have to answer the same and
// to hold the same rows, and the story has to end well. Transactions are broken on the wire.
func TestSimulation(t *testing.T) {
	t.Parallel()
	open := simulated(t)
	rapid.Check(t, func(t *rapid.T) {
		story := rapid.SampledFrom(simtest.Stories()).Draw(t, "story")
		store := open(story.Policy(), true)
		require.NoError(t, store.empty(t.Context()))
		story.Run(t, store, 30)
	})
}

// TestSimulatedCrowd has three workers act at once, so that transactions meet: nothing may be lost, doubled or refused,
// and nobody may hear of a deadlock.
func TestSimulatedCrowd(t *testing.T) {
	t.Parallel()
	open := simulated(t)
	rapid.Check(t, func(t *rapid.T) {
		story := rapid.SampledFrom(simtest.Stories()).Draw(t, "story")
		store := open(story.Policy(), false)
		require.NoError(t, store.empty(t.Context()))
		story.Crowd(t, store, 3)
	})
}

// simStore is a db.Store whose transactions can be broken.
type simStore struct {
	*db.Store
	proxy *proxy
}

// simulated opens stores with different rules on one database. What cannot be broken goes there directly.
func simulated(t *testing.T) func(policy tandem.Policy, breakable bool) simStore {
	t.Helper()
	p, address := newProxy(t)
	_, err := openAt(t, p.direct, tandem.Policy{}).DB().ExecContext(t.Context(), watchVersions)
	require.NoError(t, err)
	stores := map[string]simStore{}
	return func(policy tandem.Policy, breakable bool) simStore {
		at := p.direct
		if breakable {
			at = address
		}
		key := fmt.Sprint(policy)
		if _, ok := stores[key]; !ok {
			stores[key] = simStore{openAt(t, at, policy), p}
		}
		return stores[key]
	}
}

// watchVersions refuses a version that does not follow the one before: what nobody may overwrite unseen has no gaps.
const watchVersions = `
	CREATE FUNCTION watch_versions() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	  IF NEW.version NOT IN (OLD.version + 1, CASE WHEN TG_TABLE_NAME = 'customers' THEN -1 ELSE OLD.version END) THEN
	    RAISE EXCEPTION '% went from version % to %', NEW.id, OLD.version, NEW.version;
	  END IF;
	  RETURN NEW;
	END $$;
	CREATE TRIGGER watch_versions BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION watch_versions();
	CREATE TRIGGER watch_versions BEFORE UPDATE ON entity_integration_mappings FOR EACH ROW EXECUTE FUNCTION watch_versions();`

// empty removes everything, the journal too, which only an erasure may.
func (s simStore) empty(ctx context.Context) error {
	_, err := s.DB().ExecContext(ctx, `
		BEGIN; SET LOCAL tandem.erasure = 'on';
		DELETE FROM journal; DELETE FROM provider_events; DELETE FROM remote_tombstones;
		DELETE FROM entity_integration_mappings; DELETE FROM customers; COMMIT`)
	return err
}

func (s simStore) Arm(f simtest.Fault) {
	s.proxy.once("COMMIT", map[simtest.Fault]cut{simtest.NoFault: pass, simtest.Undone: unsent, simtest.Unheard: unheard}[f])
}

func (s simStore) IDs(ctx context.Context) ([]string, error) {
	var ids []string
	err := s.DB().SelectContext(ctx, &ids, `
		SELECT id FROM customers UNION ALL SELECT id FROM entity_integration_mappings UNION ALL SELECT id FROM provider_events
		ORDER BY 1`)
	return ids, err
}

func (s simStore) Look(ctx context.Context) (simtest.Rows, error) {
	var out simtest.Rows
	var err error
	if out.Customers, err = s.Customers(ctx, tandem.CustomerQuery{Limit: everything}); err != nil {
		return out, err
	}
	for _, state := range []tandem.MappingState{"", tandem.Ended} {
		mappings, err := s.ListMappings(ctx, tandem.MappingQuery{State: state, Limit: everything})
		if err != nil {
			return out, err
		}
		out.Mappings = append(out.Mappings, mappings...)
	}
	slices.SortFunc(out.Mappings, func(a, b tandem.Mapping) int { return cmp.Compare(a.ID, b.ID) })
	if out.Events, err = s.ListEvents(ctx, tandem.EventQuery{Limit: everything}); err != nil {
		return out, err
	}
	slices.Reverse(out.Events)
	for _, c := range out.Customers {
		story, err := s.Journal(ctx, c.ID, everything)
		if err != nil {
			return out, err
		}
		out.Journal = append(out.Journal, story...)
	}
	err = sqlx.SelectContext(ctx, s.DB(), &out.Tombstones, `SELECT provider_entity_id FROM remote_tombstones ORDER BY 1`)
	return out, err
}

const everything = 10_000
