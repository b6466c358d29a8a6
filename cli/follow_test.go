package cli_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/cli"
)

// at is a run as the API shows it.
func at(state, counts string) string {
	return fmt.Sprintf(`{"id":%q,"provider":"stripe","mode":"import","plan":false,"match_email":false,"state":%q,"step":"list",
		"counts":{%s},"rate":100,"workflow_id":"reconcile/stripe/run_01JD0000000000000000000000","started_at":"2026-01-15T09:30:00Z","updated_at":"2026-01-15T09:30:10Z"}`, runA, state, counts)
}

const show = "GET " + runs + "/" + runA

func TestFollow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		last string
		code int
		says string
	}{
		"done":        {at("done", `"customers":9,"equal":9,"unlinked":4,"waiting":2`), 0, ""},
		"conflicts":   {at("done", `"conflicts":2`), cli.ExitPerson, "a person should look: 2 conflict; see"},
		"rejected":    {at("done", `"rejected":1,"review":3`), cli.ExitPerson, "1 rejected, 3 review"},
		"cancelled":   {at("cancelled", ``), cli.ExitPerson, "the run was cancelled"},
		"paused":      {at("paused", ``), cli.ExitPerson, "go on with: tandem runs resume " + runA},
		"paused_upon": {strings.Replace(at("paused", ``), `"rate"`, `"last_error":{"class":"auth","code":"x","message":"the key"},"rate"`, 1), cli.ExitPerson, "paused: the key"},
	} {
		t.Run("ends_as_the_run_does_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, map[string][]reply{
				"POST " + runs: ok(at("running", "")), show: ok(at("running", `"customers":3`), at("running", `"customers":3`), tc.last),
			})
			r := f.run("import", "--plan", "--match-email", "--follow")
			assert.Equal(t, tc.code, r.code, r.errOut)
			assert.Contains(t, r.errOut, tc.says)
			assert.Equal(t, 1, strings.Count(r.out, "running list: 3 customers, 100.0/s\n"), "a line when something has changed")
			assert.Contains(t, r.out, "workflow            reconcile/stripe/run_01JD0000000000000000000000")
			assert.Equal(t, []string{
				`POST /v1/runs {"mode":"import","plan":true,"match_email":true}`, show, show, show,
			}, f.requests())
		})
	}

	t.Run("shows_a_bar_at_a_terminal", func(t *testing.T) {
		t.Parallel()
		known := func(customers int) string {
			return strings.Replace(at("running", fmt.Sprintf(`"customers":%d`, customers)), `"rate"`, `"seconds_left":95,"rate"`, 1)
		}
		f := setup(t, map[string][]reply{show: ok(known(500), known(9_500_000), at("running", `"customers":9500001`), at("done", ""))})
		r := runAt(t, t.Context(), true, map[string]string{cli.EnvURL: f.URL, cli.EnvKey: key}, "runs", "show", runA, "--follow")
		require.Equal(t, 0, r.code, r.errOut)
		assert.Contains(t, r.out, "running list: 500 customers, 100.0/s, about 1m35s left")
		assert.Contains(t, r.out, "5%")
		assert.Contains(t, r.out, "running list: 9500001 customers, 100.0/s")
		assert.Contains(t, r.out, "done list: 0 customers")
		assert.Contains(t, r.out, "workflow            reconcile/stripe/run_01JD0000000000000000000000")
	})

	t.Run("prints_one_answer_for_machines", func(t *testing.T) {
		t.Parallel()
		last := at("done", "")
		f := setup(t, map[string][]reply{"POST " + runs: ok(at("running", "")), show: ok(at("running", ""), last)})
		assert.Equal(t, result{last + "\n", "", 0}, f.run("export", "--follow", "-o", "json"))
	})

	t.Run("outlives_a_restart_of_the_api", func(t *testing.T) {
		t.Parallel()
		away := reply{503, "", "text/plain"}
		f := setup(t, map[string][]reply{show: append([]reply{away, away, away}, ok(at("done", ""))...)})
		assert.Equal(t, 0, f.run("runs", "show", runA, "--follow").code)
	})

	t.Run("gives_up_in_the_end", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{show: {{503, "", "text/plain"}}})
		r := f.run("runs", "show", runA, "--follow")
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Contains(t, r.errOut, "which may well go on")
		assert.Len(t, f.requests(), 31)
	})

	t.Run("gives_up_at_once_on_a_run_that_is_not_there", func(t *testing.T) {
		t.Parallel()
		f := setup(t, nil)
		assert.Equal(t, cli.ExitFailed, f.run("runs", "show", runA, "--follow").code)
		assert.Len(t, f.requests(), 1)
	})

	t.Run("leaves_the_run_going", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"POST " + runs: ok(at("running", "")), show: ok(at("running", ""))})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan result, 1)
		go func() {
			ended <- run(t, ctx, map[string]string{cli.EnvURL: f.URL, cli.EnvKey: key}, "reconcile", "--follow")
		}()
		require.Eventually(t, func() bool { return len(f.requests()) > 3 }, 10*time.Second, time.Millisecond)
		stop()
		r := <-ended
		assert.Equal(t, cli.ExitInterrupted, r.code)
		assert.Contains(t, r.errOut, "the run goes on. Look at it with: tandem runs show "+runA+" --follow")
		for _, asked := range f.requests()[1:] {
			assert.Equal(t, show, asked, "nobody has cancelled it")
		}
	})
}
