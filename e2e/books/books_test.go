package books_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestBooks(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	for name, test := range map[string]func(*testing.T, *ground){
		"an import, and a second that writes nothing":   imports,
		"a plan writes nothing":                         plans,
		"an export, and a second that sends nothing":    exports,
		"a reconcile mends drift on both sides":         reconciles,
		"deletes by absence are proved and braked":      absences,
		"kill -9 in the middle of an import":            killed,
		"an import while everything changes":            changing,
		"an outage of three hours is caught up with":    outage,
		"paused, resumed, cancelled":                    steered,
		"pairs that share an e-mail":                    matched,
		"one run at a time":                             oneAtATime,
		"a live create does not wait for an export":     live,
		"a run whose workflow was terminated is passed": orphan,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, g)
		})
	}
}

func imports(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	s.seed(0, 1050)
	run := s.finished(object{"mode": "import"})
	require.Equal(t, 1050, run.Counts["created"], "%+v", run)
	require.Equal(t, s.lists(), run.Counts["pages"], "%+v", run)
	require.LessOrEqual(t, s.lists(), 11+s.ranges(run.ID)-1, "a page more for each seam, where pages came slowly")
	require.Empty(t, s.unequal())
	before := s.versions()

	again := s.finished(object{"mode": "import"})
	require.Equal(t, 1050, again.Counts["equal"], "%+v", again)
	require.Zero(t, again.Counts["created"])
	require.Equal(t, before, s.versions(), "a second import writes no row")
	require.Zero(t, s.count(`SELECT count(*) FROM reconcile_findings WHERE run_id = $1`, again.ID))
	require.Zero(t, s.writes())
}

func plans(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	s.seed(0, 230)
	s.platform(20)
	before := s.versions()
	run := s.finished(object{"mode": "import", "plan": true})
	require.Equal(t, 230, run.Counts["created"], "%+v", run)
	run = s.finished(object{"mode": "export", "plan": true})
	require.Equal(t, 20, run.Counts["created"], "%+v", run)
	require.Equal(t, 230, run.Counts["unlinked"], "%+v", run)
	require.Equal(t, before, s.versions())
	require.Zero(t, s.writes())
	require.Equal(t, 20, s.count(`SELECT count(*) FROM reconcile_findings WHERE run_id = $1 AND kind = 'created' AND NOT done`, run.ID))
}

func exports(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	s.platform(150)
	run := s.finished(object{"mode": "export"})
	require.Equal(t, 150, run.Counts["created"], "%+v", run)
	require.Equal(t, 150, s.writes())
	require.Empty(t, s.unequal())

	again := s.finished(object{"mode": "export"})
	require.Equal(t, 150, again.Counts["equal"], "%+v", again)
	require.Equal(t, 150, s.writes(), "nothing is made twice")
}

func reconciles(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	s.seed(0, 120)
	s.finished(object{"mode": "import"})
	s.server.AdvanceClock(time.Minute)
	for i := range 10 { // nobody hears of these
		_, err := s.server.EditCustomer(seeded(i), url.Values{"name": {fmt.Sprint("New ", i)}})
		require.NoError(t, err)
	}
	_, err := s.db.Exec(`
		UPDATE customers SET phone = '+1', version = version + 1
		WHERE id IN (SELECT entity_id FROM entity_integration_mappings WHERE provider_entity_id IN ($1, $2))`, seeded(50), seeded(51))
	require.NoError(t, err)
	s.server.AdvanceClock(time.Minute)

	run := s.finished(object{"mode": "reconcile"})
	require.Equal(t, 10, run.Counts["updated"], "%+v", run)
	require.Equal(t, 2, run.Counts["sent"], "%+v", run)
	require.Empty(t, s.unequal())
	require.Equal(t, 2, s.writes())

	again := s.finished(object{"mode": "reconcile"})
	require.Equal(t, 120, again.Counts["equal"], "%+v", again)
	require.Equal(t, 2, s.writes())
	require.Zero(t, s.count(`SELECT count(*) FROM reconcile_seen`), "the run's notes go with it")
}

func absences(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{}, "TANDEM_DELETE_BRAKE_COUNT=5")
	s.seed(0, 60)
	s.finished(object{"mode": "import"})
	for i := range 3 {
		require.NoError(t, s.server.DeleteCustomer(seeded(i)))
	}
	run := s.finished(object{"mode": "reconcile"})
	require.Equal(t, 3, run.Counts["archived"], "%+v", run)
	require.Empty(t, s.unequal())

	for i := 10; i < 30; i++ {
		require.NoError(t, s.server.DeleteCustomer(seeded(i)))
	}
	run = s.finished(object{"mode": "reconcile"})
	require.Zero(t, run.Counts["archived"], "%+v", run)
	require.Equal(t, 20, s.count(`SELECT count(*) FROM reconcile_findings WHERE run_id = $1 AND reason = 'delete_brake'`, run.ID))
	require.Equal(t, 57, s.count(`SELECT count(*) FROM customers WHERE status = 'active'`))
}

func killed(t *testing.T, g *ground) {
	const customers = 5000
	s := g.shelf(t, stripetest.Settings{Latency: 10 * time.Millisecond})
	s.seed(0, customers)
	run := s.begin(object{"mode": "import"})
	s.until("the middle", func() string {
		if n := s.count(`SELECT count(*) FROM customers`); n < 500 {
			return fmt.Sprint(n)
		}
		return ""
	})
	s.kill()
	before, there := s.lists(), s.count(`SELECT count(*) FROM customers`)
	require.Less(t, there, customers, "it is over already")
	s.start()
	run = s.end(run.ID)
	require.Equal(t, customers, run.Counts["created"], "%+v", run)
	require.Equal(t, customers, run.Counts["customers"], "%+v", run)
	require.Empty(t, s.unequal())
	left := (customers - there + 99) / 100
	require.LessOrEqual(t, s.lists()-before, left+1+s.ranges(run.ID), "pages asked for after the kill; %d were asked for before", before)

	before2 := s.versions()
	again := s.finished(object{"mode": "import"})
	require.Equal(t, customers, again.Counts["equal"], "%+v", again)
	require.Equal(t, before2, s.versions())
}

func changing(t *testing.T, g *ground) {
	const customers = 3000
	s := g.shelf(t, stripetest.Settings{Latency: 15 * time.Millisecond})
	s.seed(0, customers)
	s.call(http.MethodPost, "/v1/providers/stripe/catch-up", nil, nil) // from now on events count
	s.until("the place is known", func() string {
		if s.count(`SELECT count(*) FROM catch_ups`) == 0 {
			return "not yet"
		}
		return ""
	})
	run := s.begin(object{"mode": "import"})
	for i := 0; s.get(run.ID).State == "running" && i < customers/3; i++ {
		_, err := s.server.EditCustomer(seeded(i*3), url.Values{"name": {fmt.Sprint("Edited ", i)}})
		require.NoError(t, err)
		require.NoError(t, s.server.DeleteCustomer(seeded(i*3+1)))
		_, err = s.server.CreateCustomer(url.Values{"name": {fmt.Sprint("Late ", i)}})
		require.NoError(t, err)
	}
	s.end(run.ID)
	s.server.AdvanceClock(time.Minute)
	s.call(http.MethodPost, "/v1/providers/stripe/catch-up", nil, nil)
	s.until("both sides equal", s.unequal)
}

func outage(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	s.seed(0, 500)
	s.finished(object{"mode": "import"})
	s.call(http.MethodPost, "/v1/providers/stripe/catch-up", nil, nil)
	s.until("the place is known", func() string {
		if s.count(`SELECT count(*) FROM catch_ups`) == 0 {
			return "not yet"
		}
		return ""
	})
	for i := range 2000 {
		id := seeded(i % 500)
		switch {
		case i%20 == 19:
			_, err := s.server.CreateCustomer(url.Values{"name": {fmt.Sprint("Made in the outage ", i)}})
			require.NoError(t, err)
		case i >= 1900 && i%4 == 0:
			require.NoError(t, s.server.DeleteCustomer(id))
		default:
			_, err := s.server.EditCustomer(id, url.Values{"name": {fmt.Sprint("Edited ", i)}, "metadata[n]": {fmt.Sprint(i)}})
			if i < 1900 {
				require.NoError(t, err)
			}
		}
		if i%3 != 0 { // two of three fall into the second of the one before
			continue
		}
		s.server.AdvanceClock(16 * time.Second)
	}
	s.server.AdvanceClock(10 * time.Minute)
	require.NotEmpty(t, s.unequal())
	s.call(http.MethodPost, "/v1/providers/stripe/catch-up", nil, nil)
	s.until("both sides equal", s.unequal)
	require.Zero(t, s.writes())
	var providers struct {
		Items []struct {
			CatchUp struct {
				Missed          int
				ReconcileNeeded bool `json:"reconcile_needed"`
			} `json:"catch_up"`
		}
	}
	require.Equal(t, http.StatusOK, s.call(http.MethodGet, "/v1/providers", nil, &providers))
	require.Greater(t, providers.Items[0].CatchUp.Missed, 1900)
	require.False(t, providers.Items[0].CatchUp.ReconcileNeeded)
}

func steered(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{Latency: 50 * time.Millisecond}, "STRIPE_REQUESTS_PER_SECOND=4")
	s.seed(0, 4000)
	run := s.begin(object{"mode": "import"})
	control := func(action string) int {
		return s.call(http.MethodPost, "/v1/runs/"+run.ID+"/control", object{"action": action}, nil)
	}
	await := func(state string) {
		s.until(state, func() string {
			if now := s.get(run.ID); now.State != state {
				return fmt.Sprintf("%+v", now)
			}
			return ""
		})
	}
	require.Equal(t, http.StatusAccepted, control("pause"))
	await("paused")
	there := s.get(run.ID).Counts["customers"]
	require.Less(t, there, 4000)
	require.Equal(t, http.StatusAccepted, control("resume"))
	s.until("it goes on", func() string {
		if s.get(run.ID).Counts["customers"] > there {
			return ""
		}
		return "not yet"
	})
	require.Equal(t, http.StatusAccepted, control("cancel"))
	await("cancelled")
	require.Equal(t, http.StatusConflict, control("pause"))
}

func oneAtATime(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{Latency: 50 * time.Millisecond}, "STRIPE_REQUESTS_PER_SECOND=2")
	s.seed(0, 3000)
	run := s.begin(object{"mode": "import"})
	require.Equal(t, http.StatusConflict, s.call(http.MethodPost, "/v1/runs", object{"mode": "export"}, nil))
	require.Equal(t, http.StatusUnprocessableEntity, s.call(http.MethodPost, "/v1/runs", object{"mode": "everything"}, nil))
	s.call(http.MethodPost, "/v1/runs/"+run.ID+"/control", object{"action": "cancel"}, nil)
	s.end(run.ID)
	s.end(s.begin(object{"mode": "reconcile", "plan": true}).ID)
}

// live: somebody who waits for a customer must not wait for a thousand others.
func live(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{Latency: 5 * time.Millisecond}, "STRIPE_REQUESTS_PER_SECOND=40")
	create := func(i int) time.Duration {
		begun := time.Now()
		status := s.call(http.MethodPost, "/v1/customers?wait=30s", object{"name": fmt.Sprint("Live ", i)}, nil)
		require.Equal(t, http.StatusCreated, status)
		return time.Since(begun)
	}
	calm := longest(5, create)
	s.platform(600)
	run := s.begin(object{"mode": "export"})
	s.until("it sends", func() string {
		if s.writes() < 60 {
			return "not yet"
		}
		return ""
	})
	busy := longest(5, create)
	open := s.get(run.ID)
	require.Equal(t, "running", open.State, "the export was over before anything was measured: %+v", open)
	t.Logf("a create with its sync: at most %s before, %s during an export", calm, busy)
	require.Less(t, busy, 10*time.Second, "560 creates before it, at 40 a second, would take 14 s")
	s.end(run.ID)
	require.Empty(t, s.unequal())
}

func longest(n int, measure func(int) time.Duration) (most time.Duration) {
	for i := range n {
		most = max(most, measure(i))
	}
	return most
}

func orphan(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	_, err := s.db.Exec(`
		INSERT INTO reconcile_runs (id, provider_type, mode, state, step, workflow_id)
		VALUES ('run_00000000000000000000000001', 'stripe', 'import', 'running', 'list', 'reconcile/stripe/run_00000000000000000000000001')`)
	require.NoError(t, err)
	run := s.finished(object{"mode": "import"})
	require.Equal(t, "done", run.State)
	require.Equal(t, "cancelled", s.get("run_00000000000000000000000001").State)
}

// matched: an e-mail that one customer has on each side is a link for whoever asked for it; any other is for a person.
func matched(t *testing.T, g *ground) {
	s := g.shelf(t, stripetest.Settings{})
	s.platform(4)
	for i, email := range []string{"own1@example.org", "own2@example.org", "own2@example.org", "nobody@example.org"} {
		require.NoError(t, s.server.Seed(fmt.Appendf(nil, `{"id":"cus_match%d","created":1600000000,"name":"Theirs %d","email":%q}`, i, i, email)))
	}
	run := s.finished(object{"mode": "import", "match_email": true})
	require.Equal(t, 1, run.Counts["linked"], "%+v", run)
	require.Equal(t, 1, run.Counts["created"], "%+v", run)
	require.Equal(t, 2, run.Counts["review"], "%+v", run)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM entity_integration_mappings WHERE provider_entity_id = 'cus_match0' AND entity_id LIKE '%1'`))
	require.Equal(t, 5, s.count(`SELECT count(*) FROM customers`))
}
