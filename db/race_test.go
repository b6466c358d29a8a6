package db_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

const crowd = 20

// together runs f twenty times at once and returns the errors.
func together(f func(i int) error) []error {
	errs := make([]error, crowd)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range crowd {
		done.Go(func() {
			start.Wait()
			errs[i] = f(i)
		})
	}
	start.Done()
	done.Wait()
	return errs
}

func TestAtOnce(t *testing.T) {
	t.Parallel()

	t.Run("twenty deliveries of one event are one row", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		rows := make([]tandem.Ingested, crowd)
		for _, err := range together(func(i int) (err error) {
			rows[i], err = b.Ingest(b.ctx, "stripe", delivery(event("cus_1", 10, tandem.Fields{Name: "A"})))
			return err
		}) {
			require.NoError(t, err)
		}
		for _, row := range rows {
			require.Equal(t, rows[0], row)
			require.True(t, row.Open)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events`))
		require.Equal(t, crowd, b.count(`SELECT deliveries FROM provider_events`))
	})

	t.Run("twenty creates of one change are one customer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ch := creation(tandem.Patch{Name: ptr("Ada")})
		ch.ExternalID = ptr("ext")
		got := make([]tandem.Customer, crowd)
		errs := together(func(i int) (err error) {
			got[i], err = b.ApplyChange(b.ctx, ch, apiWork(ch))
			return err
		})
		for i, err := range errs {
			require.NoError(t, err)
			require.Equal(t, got[0], got[i])
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))
		require.Equal(t, []string{"outbound create"}, b.story(ch.CustomerID))
	})

	t.Run("twenty creates with one external id are one customer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		refused := 0
		for _, err := range together(func(int) error {
			ch := creation(tandem.Patch{Name: ptr("Ada")})
			ch.ExternalID = ptr("ext")
			_, err := b.ApplyChange(b.ctx, ch, apiWork(ch))
			return err
		}) {
			if err != nil {
				requireCode(t, err, tandem.Conflict, tandem.CodeExternalIDTaken)
				refused++
			}
		}
		require.Equal(t, crowd-1, refused)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM journal`))
	})

	t.Run("twenty looks at one new remote customer are one customer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, err := range together(func(int) error {
			_, err := b.ApplyRemote(b.ctx, []tandem.RemoteState{event("cus_1", 10, tandem.Fields{Name: "A"})}, work)
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM journal`))
	})

	t.Run("twenty new remote customers with one external id are one customer and nineteen conflicts", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		states := make([]tandem.EventState, crowd)
		for _, err := range together(func(i int) error {
			s := event(fmt.Sprintf("cus_%d", i), 10, tandem.Fields{Name: "A", Reserved: map[string]string{tandem.KeyExternalID: "ext"}})
			out, err := b.ApplyRemote(b.ctx, []tandem.RemoteState{s}, work)
			if err == nil {
				states[i] = out[0].State
			}
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		applied := 0
		for _, s := range states {
			if s == tandem.EventApplied {
				applied++
			} else {
				require.Equal(t, tandem.EventConflict, s)
			}
		}
		require.Equal(t, 1, applied)
	})

	t.Run("twenty changes of one customer are twenty versions", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		for _, err := range together(func(i int) error {
			ch := update(c.ID, tandem.Patch{Metadata: map[string]string{fmt.Sprint("k", i): "v"}})
			_, err := b.ApplyChange(b.ctx, ch, apiWork(ch))
			return err
		}) {
			require.NoError(t, err)
		}
		got := b.customer(c.ID)
		require.Equal(t, int64(1+crowd), got.Version)
		require.Len(t, got.Metadata, crowd)
	})

	t.Run("batches over the same customers in opposite orders do not deadlock", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.ApplyRemote(b.ctx, page(30, 10, "A"), work)
		require.NoError(t, err)
		for _, err := range together(func(i int) error {
			states := page(30, 20+10*i, fmt.Sprint("B", i)) // far enough apart for the order to be beyond doubt
			if i%2 == 1 {
				for l, r := 0, len(states)-1; l < r; l, r = l+1, r-1 {
					states[l], states[r] = states[r], states[l]
				}
			}
			_, err := b.ApplyRemote(b.ctx, states, work)
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 30, b.count(`SELECT count(*) FROM customers WHERE name = 'B19'`), "the newest won everywhere")
	})

	t.Run("the answer and the event of one create are one link", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		s := event("cus_1", 9, tandem.Fields{}.With(call.Body))
		s.Key = call.Key
		for _, err := range together(func(i int) error {
			state := s
			if i%2 == 0 {
				state = answer(call, "cus_1", 10)
			}
			_, err := b.ApplyRemote(b.ctx, []tandem.RemoteState{state}, work)
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))
		require.Equal(t, []string{"outbound create", "outbound create"}, b.story(c.ID))
		require.Equal(t, c, b.customer(c.ID))
	})

	t.Run("a remote customer that is linked while a delivery looks at it is no reason to refuse the delivery", func(t *testing.T) {
		t.Parallel()
		b, p := throughProxy(t)
		beside := &bundle{Store: openAt(t, p.direct, dbtest.Policy), t: t, ctx: t.Context()}
		p.before("ORDER BY m.archived_at NULLS LAST", func() { beside.apply(event("cus_1", 10, tandem.Fields{Name: "A"})) })
		require.Equal(t, tandem.EventEcho, b.ingest(event("cus_1", 10, tandem.Fields{Name: "A"})).State)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
	})

	for name, meanwhile := range map[string][]tandem.RemoteState{
		"deleted":              {deleted(event("cus_1", 20, tandem.Fields{}))},
		"imported and deleted": {event("cus_1", 15, tandem.Fields{Name: "A"}), deleted(event("cus_1", 20, tandem.Fields{}))},
	} {
		t.Run("a remote customer that is "+name+" while a page imports it stays deleted", func(t *testing.T) {
			t.Parallel()
			b, p := throughProxy(t)
			beside := &bundle{Store: openAt(t, p.direct, dbtest.Policy), t: t, ctx: t.Context()}
			var others sync.WaitGroup
			p.before("INSERT INTO customers", func() {
				others.Go(func() {
					for _, s := range meanwhile {
						_, err := beside.ApplyRemote(t.Context(), []tandem.RemoteState{s}, work)
						assert.NoError(t, err)
					}
				})
				assert.Eventually(t, func() bool { // they are done, or have to wait for the page
					return beside.count(`SELECT count(*) FROM remote_tombstones`)+
						beside.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
				}, 10*time.Second, 5*time.Millisecond)
			})
			b.apply(event("cus_1", 10, tandem.Fields{Name: "A"}))
			others.Wait()
			require.Equal(t, 1, b.count(`SELECT count(*) FROM remote_tombstones`))
			require.Equal(t, 0, b.count(`SELECT count(*) FROM customers WHERE status = 'active'`))
			require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))
		})
	}
}
