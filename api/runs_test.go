package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

const (
	runA = "run_01JD3Z8Q4V7T9N2M5K6P8R0S1A"
	runB = "run_01JD3Z8Q4V7T9N2M5K6P8R0S1B"
	runs = "/v1/runs"
)

// run stores a run that has seen 1,000 customers in ten seconds.
func (f *fixture) run(id string, state tandem.RunState) *tandem.BulkRun {
	f.store.runs = append(f.store.runs, tandem.BulkRun{
		RunWish: tandem.RunWish{ID: id, Provider: "stripe", Mode: tandem.ModeReconcile}, State: state, Step: tandem.StepList,
		Ranges: []tandem.Range{{Cursor: "cus_canary"}}, After: "canary", Counts: tandem.Counts{Customers: 1000, Equal: 998, Conflicts: 2},
		WorkflowID: "reconcile/stripe/run_01JD0000000000000000000000", Version: 3, StartedAt: f.clock, UpdatedAt: f.clock.Add(10 * time.Second),
	})
	return &f.store.runs[len(f.store.runs)-1]
}

func withSecond(d *api.Deps) { d.Providers = append(d.Providers, named{name: "second"}) }

type named struct {
	fakeProvider
	name string
}

func (n named) Name() string { return n.name }

func TestBeginRun(t *testing.T) {
	t.Parallel()

	t.Run("starts_what_was_wished", func(t *testing.T) {
		t.Parallel()
		for body, want := range map[string]tandem.RunWish{
			`{"mode":"import"}`: {Provider: "stripe", Mode: tandem.ModeImport},
			`{"provider":"stripe","mode":"export","plan":true,"match_email":true}`: {Provider: "stripe", Mode: tandem.ModeExport, Plan: true, MatchEmail: true},
			`{"mode":"reconcile","plan":null,"match_email":false}`:                 {Provider: "stripe", Mode: tandem.ModeReconcile},
		} {
			f := setup(t)
			r := f.call(t, http.MethodPost, runs, body)
			require.Equal(t, http.StatusAccepted, r.status, string(r.body))
			id := r.json(t)["id"].(string)
			assert.Equal(t, runs+"/"+id, r.header.Get("Location"))
			want.ID = id
			assert.Equal(t, []any{want}, f.starter.wishes)
			assert.Equal(t, "running", r.json(t)["state"])
			assert.Zero(t, r.json(t)["rate"])
			assert.Contains(t, f.logs.String(), `"msg":"run.begun"`)
		}
	})

	for _, tc := range []struct {
		status int
		body   string
		fields []string
	}{
		{422, `{}`, []string{"mode required"}},
		{422, `{"mode":"all"}`, []string{"mode invalid"}},
		{422, `{"mode":"import","provider":"other"}`, []string{"provider provider_unknown"}},
		{422, `{"mode":"x","provider":"y"}`, []string{"provider provider_unknown", "mode invalid"}},
		{400, `{"mode":"import","plan":"true"}`, []string{"plan wrong_type"}},
		{400, `{"mode":"import","match_email":1}`, []string{"match_email wrong_type"}},
		{400, `{"mode":"import","dry_run":true}`, []string{"dry_run unknown_field"}},
		{400, `{"mode":"import","id":"` + runA + `"}`, []string{"id read_only"}},
		{400, `{"mode":"import","plan":1,"plan":false}`, []string{"plan duplicate", "plan wrong_type"}},
	} {
		t.Run("refuses_"+tc.body, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			code := map[int]string{400: "malformed_request", 422: tandem.CodeInvalidRequest}[tc.status]
			assert.Equal(t, tc.fields, f.call(t, http.MethodPost, runs, tc.body).problem(t, tc.status, code).fields())
			assert.Zero(t, f.starter.started())
		})
	}

	t.Run("wants_a_provider_where_there_are_two", func(t *testing.T) {
		t.Parallel()
		f := setup(t, withSecond)
		p := f.call(t, http.MethodPost, runs, `{"mode":"import"}`).problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
		assert.Equal(t, []string{"provider required"}, p.fields())
		assert.Equal(t, http.StatusAccepted, f.call(t, http.MethodPost, runs, `{"mode":"import","provider":"second"}`).status)
	})

	t.Run("names_the_run_that_is_in_the_way", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.run(runA, tandem.RunDone)
		f.run(runB, tandem.RunPaused)
		f.starter.err = tandem.Errorf(tandem.Conflict, tandem.CodeRunOpen, "open")
		p := f.call(t, http.MethodPost, runs, `{"mode":"import"}`).problem(t, http.StatusConflict, tandem.CodeRunOpen)
		assert.Contains(t, p.Detail, runB)
		assert.Contains(t, p.Detail, "paused")
	})

	t.Run("starts_nothing_while_temporal_is_away", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(d *api.Deps) { d.Reachable = func(context.Context) error { return errNotFound } })
		f.run(runA, tandem.RunRunning)
		for target, body := range map[string]string{runs: `{"mode":"import"}`, runs + "/" + runA + "/control": `{"action":"pause"}`, "/v1/providers/stripe/catch-up": ""} {
			p := f.call(t, http.MethodPost, target, body).problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
			assert.Contains(t, p.Detail, "nothing was started")
		}
		assert.Zero(t, f.starter.started())
	})
}

func TestRuns(t *testing.T) {
	t.Parallel()

	t.Run("shows_a_run_without_where_its_walk_stands", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.run(runA, tandem.RunPaused)
		r.LastError = &tandem.LastError{Class: tandem.Auth, Code: "api_key_expired", Message: "expired", At: f.clock, Attempt: 3}
		got := f.call(t, http.MethodGet, runs+"/"+runA, "")
		body := got.json(t)
		assert.InDelta(t, 100, body["rate"], 0.01)
		assert.NotContains(t, body, "seconds_left")
		assert.Equal(t, "auth", body["last_error"].(object)["class"])
		assert.InDelta(t, 998, body["counts"].(object)["equal"], 0)
		assert.NotContains(t, string(got.body), "canary")
	})

	t.Run("estimates_the_rest_by_the_last_run_that_saw_the_whole_list", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.run(runA, tandem.RunDone).Counts.Customers = 5001
		r := f.run(runB, tandem.RunRunning)
		assert.InDelta(t, 41, f.call(t, http.MethodGet, runs+"/"+runB, "").json(t)["seconds_left"], 0)
		for name, change := range map[string]func(){
			"another_step":       func() { r.Step = tandem.StepSend },
			"more_than_expected": func() { r.Step, r.Counts.Customers = tandem.StepList, 5001 },
			"nothing_yet":        func() { r.Counts.Customers = 0 },
			"paused":             func() { r.Counts.Customers, r.State = 1000, tandem.RunPaused },
		} {
			change()
			assert.NotContains(t, f.call(t, http.MethodGet, runs+"/"+runB, "").json(t), "seconds_left", name)
		}
	})

	t.Run("walks_through_all_pages", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		var want []any
		for n := range 5 {
			r := f.run(fmt.Sprintf("run_01JD3Z8Q4V7T9N2M5K6P8R0S%02d", n), tandem.RunDone)
			want = append([]any{r.ID}, want...)
		}
		assert.Equal(t, want, f.walk(t, runs+"?limit=2", 3))
	})

	t.Run("passes_the_filters_on", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		require.Equal(t, http.StatusOK, f.call(t, http.MethodGet, runs+"?provider=stripe&state=paused", "").status)
		assert.Equal(t, tandem.RunQuery{Provider: "stripe", State: tandem.RunPaused, Limit: 21}, f.store.asked)
	})

	refusesQueries(t, runs, map[string]string{"state=open": "state", "mode=import": "mode", "provider=": "provider", "cursor=" + cursor(idA): "cursor"})

	for _, id := range []string{runB, "42", strings.ToLower(runA), "run_'%20OR%201=1--"} {
		t.Run("answers_404_to_"+id, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.run(runA, tandem.RunRunning)
			f.call(t, http.MethodGet, runs+"/"+id, "").problem(t, http.StatusNotFound, tandem.CodeRunNotFound)
			f.call(t, http.MethodGet, runs+"/"+id+"/findings", "").problem(t, http.StatusNotFound, tandem.CodeRunNotFound)
			f.call(t, http.MethodGet, runs+"/"+id+"/findings?format=csv", "").problem(t, http.StatusNotFound, tandem.CodeRunNotFound)
			f.call(t, http.MethodPost, runs+"/"+id+"/control", `{"action":"pause"}`).problem(t, http.StatusNotFound, tandem.CodeRunNotFound)
			assert.Zero(t, f.starter.started())
		})
	}
}

func TestSteerRun(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"pause", "resume", "cancel"} {
		t.Run("passes_on_"+word, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.run(runA, tandem.RunRunning)
			r := f.call(t, http.MethodPost, runs+"/"+runA+"/control", `{"action":"`+word+`"}`)
			require.Equal(t, http.StatusAccepted, r.status, string(r.body))
			assert.Equal(t, runA, r.json(t)["id"])
			assert.Equal(t, []any{word + " reconcile/stripe/run_01JD0000000000000000000000"}, f.starter.wishes)
		})
	}
	for _, state := range []tandem.RunState{tandem.RunDone, tandem.RunCancelled} {
		t.Run("refuses_a_run_that_is_"+string(state), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.run(runA, state)
			p := f.call(t, http.MethodPost, runs+"/"+runA+"/control", `{"action":"resume"}`).problem(t, http.StatusConflict, tandem.CodeRunEnded)
			assert.Contains(t, p.Detail, state)
			assert.Zero(t, f.starter.started())
		})
	}
	for body, field := range map[string]string{`{}`: "action required", `{"action":"stop"}`: "action invalid", `{"action":"retry"}`: "action invalid"} {
		t.Run("refuses_"+body, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.run(runA, tandem.RunRunning)
			p := f.call(t, http.MethodPost, runs+"/"+runA+"/control", body).problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
			assert.Equal(t, []string{field}, p.fields())
			assert.Empty(t, f.store.calls)
		})
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	at := "2026-01-15T09:30:00Z"

	t.Run("says_how_far_their_events_were_read", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		assert.Equal(t, []any{object{"name": "stripe", "catch_up": object{"missed": 0.0, "reconcile_needed": false}}},
			f.call(t, http.MethodGet, "/v1/providers", "").json(t)["items"], "never read")
		f.store.catchUp = tandem.CatchUp{UpTo: f.clock, CheckedAt: f.clock, Missed: 2, GapSince: &f.clock}
		want := object{"up_to": at, "checked_at": at, "missed": 2.0, "gap_since": at, "reconcile_needed": true}
		assert.Equal(t, []any{object{"name": "stripe", "catch_up": want}}, f.call(t, http.MethodGet, "/v1/providers", "").json(t)["items"])
	})

	t.Run("are_caught_up_with", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.call(t, http.MethodPost, "/v1/providers/stripe/catch-up", "")
		require.Equal(t, http.StatusAccepted, r.status)
		assert.Equal(t, object{"workflow_id": "catchup/stripe", "run_id": "run_3"}, r.json(t))
		f.call(t, http.MethodPost, "/v1/providers/other/catch-up", "").problem(t, http.StatusNotFound, tandem.CodeProviderUnknown)
		assert.Equal(t, []any{"catch up stripe"}, f.starter.wishes)
	})
}
