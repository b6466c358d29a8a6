package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

// syncs makes Settle link the customer, as a sync would.
func (f *fixture) syncs() {
	f.starter.settle = func(_ context.Context, id string) error {
		f.store.mu.Lock()
		defer f.store.mu.Unlock()
		f.store.mappings = append(f.store.mappings, tandem.Mapping{
			CustomerID: id, Provider: "stripe", RemoteID: "cus_1", State: tandem.Synced, SyncedAt: &f.clock,
		})
		return nil
	}
}

func TestWait(t *testing.T) {
	t.Parallel()

	t.Run("answers_with_the_outcome_of_the_sync", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.syncs()
		r := f.call(t, http.MethodPost, "/v1/customers?wait=10s", jenny)
		require.Equal(t, http.StatusCreated, r.status)
		info := r.json(t)["provider_info"].(object)["stripe"].(object)
		assert.Equal(t, "cus_1", info["provider_entity_id"])
		assert.Equal(t, "synced", info["state"])
	})

	t.Run("works_for_changes", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.syncs()
		r := f.call(t, http.MethodPatch, "/v1/customers/"+idA+"?wait=10s", `{"name":"Jen"}`)
		assert.Contains(t, r.json(t)["provider_info"], "stripe")
	})

	t.Run("is_no_error_when_the_time_runs_out", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.settle = func(ctx context.Context, _ string) error { <-ctx.Done(); return nil }
		r := f.call(t, http.MethodPost, "/v1/customers?wait=20ms", jenny)
		assert.Equal(t, http.StatusCreated, r.status)
		assert.Equal(t, object{}, r.json(t)["provider_info"])
	})

	t.Run("of_zero_does_not_wait", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.settle = func(context.Context, string) error { panic("waited") }
		r := f.call(t, http.MethodPost, "/v1/customers?wait=0s", jenny)
		assert.Equal(t, object{}, r.json(t)["provider_info"])
	})

	t.Run("does_not_make_a_stored_customer_look_lost", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.settle = func(context.Context, string) error {
			f.store.mu.Lock()
			defer f.store.mu.Unlock()
			f.store.err = errors.New("database away")
			return errors.New("temporal away")
		}
		r := f.call(t, http.MethodPost, "/v1/customers?wait=1s", jenny)
		assert.Equal(t, http.StatusCreated, r.status)
		assert.Equal(t, "Jenny Rosen", strings.TrimSpace(r.json(t)["name"].(string)))
	})

	t.Run("outlasts_the_servers_deadlines", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		var cut error
		f.starter.settle = func(ctx context.Context, _ string) error {
			select {
			case <-ctx.Done():
				cut = ctx.Err()
			case <-time.After(400 * time.Millisecond):
			}
			return nil
		}
		url := serve(t, f, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 100*time.Millisecond, 200*time.Millisecond })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/customers?wait=5s", strings.NewReader(`{}`))
		require.NoError(t, err)
		req.Header.Set("X-Api-Key", apiKey)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		assert.Equal(t, http.StatusCreated, res.StatusCode)
		assert.NoError(t, cut, "a deadline ended the wait")
	})
}

// serve runs the handler behind a real connection.
func serve(t *testing.T, f *fixture, change func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := api.NewHTTPServer("", f.Handler())
	change(s)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}
