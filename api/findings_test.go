package api_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const findings = runs + "/" + runA + "/findings"

// report stores a run with n findings.
func (f *fixture) report(n int) {
	f.run(runA, tandem.RunDone)
	for i := range n {
		f.store.findings = append(f.store.findings, tandem.Finding{
			ID: fmt.Sprintf("fnd_01JD3Z8Q4V7T9N2M5K6P8R%04d", i), RunID: runA, Kind: tandem.FoundUpdated, CustomerID: idA,
			RemoteID: "cus_1", Done: true, At: f.clock,
		})
	}
}

func readCSV(t *testing.T, r response) [][]string {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	require.Equal(t, "text/csv; charset=utf-8", r.header.Get("Content-Type"))
	lines, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
	require.NoError(t, err)
	return lines
}

func TestFindings(t *testing.T) {
	t.Parallel()

	t.Run("walks_through_all_pages", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(5)
		assert.Len(t, f.walk(t, findings+"?limit=2", 3), 5)
	})

	t.Run("shows_everything", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(1)
		f.store.findings[0].Reason = "on_hold"
		f.store.findings[0].Changes = []tandem.FieldChange{{Field: "name", Before: "a", After: "b"}}
		assert.Equal(t, []any{object{
			"id": f.store.findings[0].ID, "at": "2026-01-15T09:30:00Z", "kind": "updated", "done": true, "customer_id": idA,
			"provider_entity_id": "cus_1", "reason": "on_hold", "changes": []any{object{"field": "name", "before": "a", "after": "b"}},
		}}, f.call(t, http.MethodGet, findings, "", "Accept", "application/json").json(t)["items"])
	})

	t.Run("passes_the_filters_on", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(0)
		require.Equal(t, http.StatusOK, f.call(t, http.MethodGet, findings+"?kind=conflict&limit=100", "").status)
		assert.Equal(t, tandem.FindingQuery{RunID: runA, Kind: tandem.FoundConflict, Limit: 101}, f.store.asked)
		f.call(t, http.MethodGet, findings+"?kind=rejected&format=csv", "")
		assert.Equal(t, tandem.FindingQuery{RunID: runA, Kind: tandem.FoundRejected, Limit: 1000}, f.store.asked)
	})

	refusesQueries(t, findings, map[string]string{
		"kind=equal": "kind", "cursor=" + cursor(runA): "cursor", "format=xml": "format", "format=csv&limit=5": "limit", "format=csv&cursor=" + cursor("fnd_01JD3Z8Q4V7T9N2M5K6P8R0S1A"): "cursor",
	})
}

func TestReport(t *testing.T) {
	t.Parallel()

	t.Run("is_asked_for_by_header_or_parameter", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(1)
		assert.Len(t, readCSV(t, f.call(t, http.MethodGet, findings+"?format=csv", "")), 2)
		assert.Len(t, readCSV(t, f.call(t, http.MethodGet, findings, "", "Accept", "text/csv, */*;q=0.1")), 2)
		assert.NotEmpty(t, f.call(t, http.MethodGet, findings+"?format=json", "", "Accept", "text/csv").json(t)["items"], "the parameter goes first")
	})

	t.Run("has_a_line_for_each_changed_field", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(2)
		f.store.findings[1].Changes = []tandem.FieldChange{{Field: "name", Before: `He said "no", twice`, After: "two\nlines"}, {Field: "phone"}}
		a, b := f.store.findings[0].ID, f.store.findings[1].ID
		start := []string{"2026-01-15T09:30:00Z", "updated", "true", idA, "cus_1", ""}
		line := func(id string, rest ...string) []string { return append(append([]string{id}, start...), rest...) }
		assert.Equal(t, [][]string{
			{"id", "at", "kind", "done", "customer_id", "remote_id", "reason", "field", "before", "after"},
			line(a, "", "", ""), line(b, "name", `He said "no", twice`, "two\nlines"), line(b, "phone", "", ""),
		}, readCSV(t, f.call(t, http.MethodGet, findings+"?format=csv", "")))
	})

	t.Run("holds_no_formulas", func(t *testing.T) {
		t.Parallel()
		for _, evil := range []string{"=1+1", "+49 30 1", "-1", "@SUM(A1)", "\t=1", "\r=1"} {
			f := setup(t)
			f.report(1)
			f.store.findings[0].Changes = []tandem.FieldChange{{Field: "metadata." + evil, Before: evil, After: "a" + evil}}
			last := readCSV(t, f.call(t, http.MethodGet, findings+"?format=csv", ""))[1]
			assert.True(t, strings.HasPrefix(last[8], "'"), last)
			assert.False(t, strings.HasPrefix(last[9], "'"), last)
		}
	})

	for n, pages := range map[int]int{0: 1, 999: 1, 1000: 2, 2500: 3} {
		t.Run(fmt.Sprint("of_", n, "_lines_is_whole"), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.report(n)
			assert.Len(t, readCSV(t, f.call(t, http.MethodGet, findings+"?format=csv", "")), n+1)
			assert.Equal(t, pages, f.store.called("Findings"))
		})
	}

	t.Run("that_cannot_begin_is_a_problem", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(1)
		f.store.breakAt = 1
		f.call(t, http.MethodGet, findings+"?format=csv", "").problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
	})

	t.Run("that_breaks_off_does_not_pass_for_a_whole_one", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.report(2500)
		f.store.breakAt = 3
		server := httptest.NewServer(f.Handler())
		defer server.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+findings+"?format=csv", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+apiKey)
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, 2001, strings.Count(string(body), "\n"))
		assert.Contains(t, f.logs.String(), "http.report_broken_off")
	})
}
