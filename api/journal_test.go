package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	line := func(n int) tandem.JournalEntry {
		return tandem.JournalEntry{ID: fmt.Sprintf("jrn_01JD3Z8Q4V7T9N2M5K6P8R0S%02d", n), CustomerID: idA, Direction: tandem.Outbound, Action: "update", Work: tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI}}}
	}

	t.Run("tells_everything", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		e := line(1)
		e.At = f.clock.In(time.FixedZone("", 3600))
		e.Provider, e.RemoteID, e.Direction, e.Detail = "stripe", "cus_1", tandem.Inbound, "why not"
		e.Work = tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_1"}, WorkflowID: "inbound/stripe/cus_1", RunID: "run_2"}
		e.Changes = []tandem.FieldChange{{Field: "email", Before: "a@b.co", After: ""}}
		bare := line(2)
		bare.At = f.clock
		f.store.journal = []tandem.JournalEntry{e, bare}
		r := f.call(t, http.MethodGet, "/v1/customers/"+idA+"/journal", "")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		assert.Equal(t, object{
			"items": []any{
				object{
					"id": e.ID, "at": "2026-01-15T09:30:00Z", "direction": "inbound", "action": "update", "provider": "stripe",
					"provider_entity_id": "cus_1", "cause": "webhook", "cause_id": "evt_1", "workflow_id": "inbound/stripe/cus_1",
					"run_id": "run_2", "changes": []any{object{"field": "email", "before": "a@b.co", "after": ""}}, "detail": "why not",
				},
				object{"id": bare.ID, "at": "2026-01-15T09:30:00Z", "direction": "outbound", "action": "update", "cause": "api", "changes": []any{}},
			},
			"pagination": object{"limit": 20.0},
		}, r.json(t))
	})

	t.Run("walks_from_the_beginning", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, Status: tandem.Archived})
		var want []any
		for n := range 5 {
			f.store.journal = append(f.store.journal, line(n))
			want = append(want, line(n).ID)
		}
		assert.Equal(t, want, f.walk(t, "/v1/customers/"+idA+"/journal?limit=2", 3))
		assert.Equal(t, map[string]int{"Customer": 3, "JournalPage": 3}, f.store.calls)
	})

	t.Run("of_a_customer_without_one_is_empty", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		assert.Equal(t, []any{}, f.call(t, http.MethodGet, "/v1/customers/"+idA+"/journal", "").json(t)["items"])
	})

	for _, id := range []string{idB, "42"} {
		t.Run("answers_404_to_"+id, func(t *testing.T) {
			t.Parallel()
			setup(t).call(t, http.MethodGet, "/v1/customers/"+id+"/journal", "").problem(t, http.StatusNotFound, tandem.CodeCustomerNotFound)
		})
	}
	refusesQueries(t, "/v1/customers/"+idA+"/journal", map[string]string{"cause=api": "cause", "cursor=" + cursor(idA): "cursor"})
}

func cursor(id string) string { return base64.RawURLEncoding.EncodeToString([]byte("1:" + id)) }

// walk follows a list to its end and returns the ids on it.
func (f *fixture) walk(t *testing.T, first string, pages int) []any {
	t.Helper()
	var ids []any
	target := first
	for range pages {
		require.NotEmpty(t, target)
		r := f.call(t, http.MethodGet, target, "")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		for _, item := range r.json(t)["items"].([]any) {
			ids = append(ids, item.(object)["id"])
		}
		target = ""
		if next, ok := r.json(t)["pagination"].(object)["next_cursor"]; ok {
			target = first + "&cursor=" + next.(string)
		}
	}
	require.Empty(t, target, "more pages than expected")
	return ids
}

// refusesQueries sends what no list takes, and the list's own: nothing of it may reach the store.
func refusesQueries(t *testing.T, target string, own map[string]string) {
	t.Helper()
	bad := map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=ten": "limit", "limit=": "limit", "cursor=nonsense": "cursor", "cursor=": "cursor",
		"cursor=" + cursor("' OR 1=1"): "cursor", "cursor=" + cursor(""): "cursor", "offset=3": "offset", "limit=1&limit=2": "limit", "a=%": "query",
	}
	for query, field := range own {
		bad[query] = field
	}
	for query, field := range bad {
		t.Run("refuses_"+query, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			p := f.call(t, http.MethodGet, target+"?"+query, "").problem(t, http.StatusBadRequest, "invalid_parameter")
			assert.Equal(t, []string{field + " invalid"}, p.fields())
			assert.Empty(t, f.store.calls)
		})
	}
}
