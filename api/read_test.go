package api_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestRead(t *testing.T) {
	t.Parallel()

	t.Run("shows_every_provider", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.store.mappings = []tandem.Mapping{
			{CustomerID: idA, Provider: "stripe", State: tandem.Parked, RemoteID: "cus_1", CreatedAt: f.clock, UpdatedAt: f.clock,
				LastError: &tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", Message: "Invalid email", Param: "email", RequestID: "req_1", At: f.clock, Attempt: 2},
				Conflicts: []tandem.FieldConflict{{Field: "name", Platform: "a", Provider: "b"}}},
			{CustomerID: idA, Provider: "second", State: tandem.Ended, ArchivedAt: &f.clock, ArchivedReason: tandem.Unlinked,
				CreatedAt: f.clock.In(time.FixedZone("", 3600)), UpdatedAt: f.clock, Metadata: map[string]string{"created_via": "api"}},
		}
		r := f.call(t, http.MethodGet, "/v1/customers/"+idA, "")
		require.Equal(t, http.StatusOK, r.status)
		assert.Equal(t, `"3"`, r.header.Get("ETag"))
		at := "2026-01-15T09:30:00Z"
		assert.Equal(t, object{
			"stripe": object{
				"provider_entity_id": "cus_1", "state": "parked", "metadata": object{}, "created_at": at, "updated_at": at,
				"last_error": object{"class": "invalid", "code": "email_invalid", "message": "Invalid email", "param": "email", "request_id": "req_1", "at": at, "attempt": 2.0},
				"conflicts":  []any{object{"field": "name", "platform": "a", "provider": "b"}},
			},
			"second": object{
				"state": "archived", "metadata": object{"created_via": "api"}, "created_at": at, "updated_at": at,
				"archived_at": at, "archived_reason": "unlinked",
			},
		}, r.json(t)["provider_info"])
	})

	t.Run("answers_for_archived_customers", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, ExternalID: "x", Status: tandem.Archived, ArchivedAt: &f.clock})
		got := f.call(t, http.MethodGet, "/v1/customers/"+idA, "").json(t)
		assert.Equal(t, "archived", got["status"])
		assert.Equal(t, object{}, got["provider_info"])
		f.call(t, http.MethodGet, "/v1/customers/external/x", "").problem(t, http.StatusNotFound, tandem.CodeCustomerNotFound)
	})

	for _, externalID := range []string{"acct-1042", "a/b c", "100%", "ä?#&+", "%2F"} {
		t.Run("finds_external_id_"+url.PathEscape(externalID), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.store.put(tandem.Customer{ID: idA, ExternalID: externalID})
			r := f.call(t, http.MethodGet, "/v1/customers/external/"+url.PathEscape(externalID), "")
			require.Equal(t, http.StatusOK, r.status, string(r.body))
			assert.Equal(t, externalID, r.json(t)["external_id"])
		})
	}

	for name, target := range map[string]string{
		"unknown_id":          "/v1/customers/" + idB,
		"shapeless_id":        "/v1/customers/1",
		"unknown_external_id": "/v1/customers/external/nobody",
		"nul_in_external_id":  "/v1/customers/external/a%00b",
		"no_utf8":             "/v1/customers/external/a%ffb",
		"no_external_id":      "/v1/customers/external",
	} {
		t.Run("answers_404_to_"+name, func(t *testing.T) {
			t.Parallel()
			setup(t).call(t, http.MethodGet, target, "").problem(t, http.StatusNotFound, tandem.CodeCustomerNotFound)
		})
	}

	t.Run("hides_what_went_wrong_inside", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.err = errors.New("pq: relation customers does not exist")
		r := f.call(t, http.MethodGet, "/v1/customers/"+idA, "", "X-Request-Id", "req-7")
		r.problem(t, http.StatusInternalServerError, tandem.CodeInternal)
		assert.NotContains(t, string(r.body), "pq")
		assert.Contains(t, f.logs.String(), "pq: relation")
		assert.Contains(t, f.logs.String(), `"request_id":"req-7"`)
	})

	t.Run("answers_503_when_a_retry_helps", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.err = tandem.Errorf(tandem.Transient, "database_race", "lost")
		f.call(t, http.MethodGet, "/v1/customers/"+idA, "").problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
	})
}

func TestList(t *testing.T) {
	t.Parallel()

	t.Run("walks_through_all_pages", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		var want []any
		for i := range 7 {
			c := f.store.put(tandem.Customer{ID: fmt.Sprintf("cust_01JD3Z8Q4V7T9N2M5K6P8R0S%02d", 20-i)})
			want = append(want, c.ID)
		}
		var got []any
		target, pages := "/v1/customers?limit=3", 0
		for target != "" {
			body := f.call(t, http.MethodGet, target, "").json(t)
			for _, item := range body["items"].([]any) {
				got = append(got, item.(object)["id"])
				assert.Contains(t, item, "provider_info")
			}
			p := body["pagination"].(object)
			assert.InDelta(t, 3, p["limit"], 0)
			target, pages = "", pages+1
			if next, ok := p["next_cursor"]; ok {
				target = "/v1/customers?limit=3&cursor=" + next.(string)
			}
		}
		assert.Equal(t, want, got)
		assert.Equal(t, 3, pages)
		assert.Equal(t, map[string]int{"Customers": 3, "Mappings": 3}, f.store.calls)
	})

	t.Run("passes_the_filters_on", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.call(t, http.MethodGet, "/v1/customers?email=a%2Bb@example.com&external_id=x&status=active&state=parked&provider_entity_id=cus_1", "")
		require.Equal(t, http.StatusOK, r.status)
		assert.Equal(t, []any{}, r.json(t)["items"])
		assert.Equal(t, tandem.CustomerQuery{
			Email: "a+b@example.com", ExternalID: "x", Status: tandem.Active, State: tandem.Parked, ProviderEntityID: "cus_1", Limit: 21,
		}, f.store.query)
	})

	cursor := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=-1": "limit", "limit=ten": "limit", "limit=1e2": "limit", "limit=": "limit",
		"cursor=nonsense": "cursor", "cursor=": "cursor", "cursor=" + idA: "cursor",
		"cursor=" + cursor("2:"+idA): "cursor", "cursor=" + cursor("1:' OR 1=1"): "cursor",
		"status=deleted": "status", "state=done": "state", "state=": "state", "email=": "email", "email=a%00": "email", "email=%ff": "email",
		"emial=a@b.co": "emial", "email=a&email=b": "email", "offset=3": "offset", "a=%": "query", "limit=3;email=x": "query",
	} {
		t.Run("refuses_"+query, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			p := f.call(t, http.MethodGet, "/v1/customers?"+query, "").problem(t, http.StatusBadRequest, "invalid_parameter")
			assert.Equal(t, []string{field + " invalid"}, p.fields())
			assert.Empty(t, f.store.calls)
		})
	}
}
