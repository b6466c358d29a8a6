//go:build chaos

package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
)

// crash is one case of the matrix: the process dies the hit-th time that the flow passes the point. With two lives the
// next process dies there too, if mending brings it past the point again.
type crash struct {
	point string
	flow  string
	hit   int
	lives int
}

func (c crash) String() string {
	return fmt.Sprintf("%s in %s, hit %s", c.point, c.flow, c.hits())
}

func (c crash) hits() string {
	if c.lives == 2 {
		return fmt.Sprint(c.hit, " and again")
	}
	return fmt.Sprint(c.hit)
}

// matrix has every point with the flows that pass it. The slow ones are first: the lookups' heartbeat gives a dead
// worker a minute.
var matrix = []struct {
	flows  []string
	points []string
}{
	{[]string{"prove done", "prove undone"}, []string{"prove.before_lookup", "prove.after_lookup_before_record"}},
	{[]string{"prove undone"}, []string{"renew.before_commit", "renew.after_commit"}},
	{[]string{"inbound fetch"}, []string{
		"fetch.before_stripe", "fetch.after_stripe_before_complete", "inbound.after_fetch_before_apply", "inbound.after_fetched_before_poke",
	}},
	{[]string{"unavailable"}, []string{"attempt.after_note_before_retry"}},
	{[]string{"create", "brief"}, []string{
		"create.before_stripe", "create.after_stripe_before_mapping", "create.after_mapping_before_complete", "api.after_reserve_before_start",
	}},
	{[]string{"update", "both", "contested", "gone meanwhile", "repair"}, []string{
		"update.before_stripe", "update.after_stripe_before_mapping", "update.after_mapping_before_complete",
	}},
	{[]string{"delete", "brief"}, []string{"delete.before_stripe", "delete.after_stripe_before_mapping", "delete.after_mapping_before_complete"}},
	{[]string{"create", "update", "delete", "link", "unlink", "resolve"}, []string{"starter.before_update", "api.after_start_before_reply"}},
	{[]string{"create", "update", "delete", "brief"}, []string{"act.change.before_commit", "act.change.after_commit"}},
	{[]string{"create", "update", "delete", "repair"}, []string{"plan.before_commit", "plan.after_commit"}},
	{[]string{"create", "update", "delete", "both", "inbound create", "inbound update", "inbound delete", "inbound fetch", "adopt", "gone meanwhile"}, []string{"apply.before_commit"}},
	{[]string{"inbound create", "inbound update", "inbound delete", "create", "both"}, []string{
		"wh.after_verify_before_ledger", "wh.after_ledger_before_start", "wh.after_start",
	}},
	{[]string{"inbound create", "inbound update", "inbound delete", "both", "contested", "adopt"}, []string{"inbound.before_apply", "inbound.after_apply_before_poke"}},
	{[]string{"repair", "adopt"}, []string{"inbound.before_poke", "inbound.after_poke"}},
	{[]string{"refused"}, []string{"park.before_commit", "park.after_commit"}},
	{[]string{"link"}, []string{"link.before_commit", "link.after_commit"}},
	{[]string{"unlink"}, []string{"unlink.before_commit", "unlink.after_commit"}},
	{[]string{"resolve"}, []string{"resolve.before_commit", "resolve.after_commit"}},
	{[]string{"retry"}, []string{"retry.after_signal"}},
	{[]string{"skip"}, []string{"skip.after_signal"}},
	{[]string{"sync"}, []string{"sync.after_signal"}},
	{[]string{"import"}, []string{"run.before_page", "run.before_commit", "run.after_page"}},
}

// cases are the cells of the matrix: each point in each of its flows, and, in the first of them, at its second hit and
// twice in a row. The sample has each point once.
func cases(sample bool) []crash {
	var out []crash
	for _, row := range matrix {
		for _, point := range row.points {
			first := row.flows[0]
			out = append(out, crash{point, first, 1, 1})
			if sample {
				continue
			}
			out = append(out, crash{point, first, 2, 1}, crash{point, first, 1, 2})
			for _, flow := range row.flows[1:] {
				out = append(out, crash{point, flow, 1, 1})
			}
		}
	}
	return out
}

// TestCrashMatrix kills the process at every point of every flow, and holds what it has become of everything against
// the invariants.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	g, results := newGround(t), &table{begun: time.Now()}
	t.Cleanup(func() { results.print() })
	for _, c := range cases(os.Getenv("CHAOS_SAMPLE") != "") {
		t.Run(strings.ReplaceAll(c.String(), " ", "_"), func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, g, c)
			var broken []string
			t.Cleanup(func() { results.add(tr, broken, !t.Failed()) })
			tr.run()
			before := tr.facts()
			broken = violations(before, tr.want)
			tr.again()
			broken = append(broken, restless(before, tr.facts())...)
			require.Empty(t, broken, "%s", strings.Join(broken, "\n"))
		})
	}
}

// run leads to the point, round by round, and rests.
func (tr *trial) run() {
	tr.t.Helper()
	f := flows[tr.crash.flow]
	if f.prepare != nil {
		f.prepare(tr)
	}
	tr.ready()
	for n := 1; !tr.struck(); n++ {
		require.LessOrEqual(tr.t, n, tr.crash.hit, "the flow does not pass the point")
		f.round(tr, n)
	}
	tr.settledIn = time.Since(tr.died)
}

// table is what `make crash` prints.
type table struct {
	mu    sync.Mutex
	begun time.Time
	rows  []string
	bad   int
}

func (r *table) add(tr *trial, broken []string, passed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	verdict := "hold"
	switch {
	case len(broken) > 0:
		verdict = "BROKEN: " + strings.Join(broken, "; ")
	case !passed:
		verdict = "NOT REACHED, see the failure"
	}
	if !passed {
		r.bad++
	}
	r.rows = append(r.rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%d\t%s",
		tr.crash.point, tr.crash.flow, tr.crash.hits(), tr.deaths, tr.resent, tr.settledIn.Milliseconds(), verdict))
}

func (r *table) print() {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.rows)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "point\tflow\thit\tkill -9\tre-sent\tsettled in ms\tinvariants 1–6, 9")
	for _, row := range r.rows {
		fmt.Fprintln(w, row)
	}
	_ = w.Flush() // standard output is where the failure would be shown
	fmt.Printf("%d cases, %d failed, %.0f s\n", len(r.rows), r.bad, time.Since(r.begun).Seconds())
}
