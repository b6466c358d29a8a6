package api_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		query    string
		header   []string
		remote   tandem.RemoteWish
		expected int64
	}{
		"by_policy":         {"", nil, "", 0},
		"deletes":           {"?provider=delete", nil, tandem.DeleteRemote, 0},
		"keeps":             {"?provider=keep", nil, tandem.KeepRemote, 0},
		"guarded":           {"", []string{"If-Match", `"3"`}, "", 3},
		"waited_for":        {"?wait=10s&provider=keep", nil, tandem.KeepRemote, 0},
		"body_is_not_asked": {"", []string{"Content-Type", "text/plain"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			waited := 0
			f.starter.settle = func(_ context.Context, id string) error { waited++; assert.Equal(t, idA, id); return nil }
			r := f.call(t, http.MethodDelete, "/v1/customers/"+idA+tc.query, "", tc.header...)
			require.Equal(t, http.StatusNoContent, r.status, string(r.body))
			assert.Empty(t, r.body)
			require.Len(t, f.starter.changes, 1)
			ch := f.starter.changes[0]
			assert.Len(t, ch.ID, 26)
			assert.Equal(t, tandem.Change{
				ID: ch.ID, Kind: tandem.ChangeArchive, CustomerID: idA, ExpectedVersion: tc.expected, Remote: tc.remote,
			}, ch)
			assert.Equal(t, name == "waited_for", waited == 1)
			assert.Equal(t, "archived", f.call(t, http.MethodGet, "/v1/customers/"+idA, "").json(t)["status"])
		})
	}

	t.Run("twice_is_once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		for range 2 { // the second time the version is another one
			r := f.call(t, http.MethodDelete, "/v1/customers/"+idA, "", "If-Match", "3")
			require.Equal(t, http.StatusNoContent, r.status, string(r.body))
		}
		assert.Len(t, f.starter.changes, 1)
	})

	t.Run("by_somebody_else_at_the_same_time_is_fine", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.starter.err = tandem.Errorf(tandem.Conflict, tandem.CodeCustomerArchived, "archived")
		assert.Equal(t, http.StatusNoContent, f.call(t, http.MethodDelete, "/v1/customers/"+idA, "").status)
	})

	t.Run("is_no_longer_what_the_caller_has_seen", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.call(t, http.MethodDelete, "/v1/customers/"+idA, "", "If-Match", "2").problem(t, http.StatusPreconditionFailed, tandem.CodeVersionMismatch)
		assert.Zero(t, f.starter.started())
		f.starter.err = tandem.Errorf(tandem.Conflict, tandem.CodeVersionMismatch, "changed since it was read")
		f.call(t, http.MethodDelete, "/v1/customers/"+idA, "", "If-Match", "3").problem(t, http.StatusPreconditionFailed, tandem.CodeVersionMismatch)
	})

	t.Run("answers_503_while_temporal_is_away", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.starter.err = tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away")
		f.call(t, http.MethodDelete, "/v1/customers/"+idA, "").problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
	})

	for _, id := range []string{idB, "42", "external"} {
		t.Run("answers_404_to_"+id, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.call(t, http.MethodDelete, "/v1/customers/"+id, "").problem(t, http.StatusNotFound, tandem.CodeCustomerNotFound)
			assert.Zero(t, f.starter.started())
		})
	}

	for query, field := range map[string]string{
		"provider=destroy": "provider", "provider=Delete": "provider", "provider=": "provider", "provider=keep&provider=delete": "provider",
		"wait=soon": "wait", "wait=61s": "wait", "remote=keep": "remote", "force=true": "force",
	} {
		t.Run("refuses_"+query, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			p := f.call(t, http.MethodDelete, "/v1/customers/"+idA+"?"+query, "").problem(t, http.StatusBadRequest, "invalid_parameter")
			assert.Equal(t, []string{field + " invalid"}, p.fields())
			assert.Zero(t, f.starter.started())
			assert.Empty(t, f.store.calls)
		})
	}

	t.Run("refuses_a_version_that_is_none", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.call(t, http.MethodDelete, "/v1/customers/"+idA, "", "If-Match", "latest").problem(t, http.StatusBadRequest, "invalid_parameter")
		assert.Empty(t, f.store.calls)
	})
}
