package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const (
	pevA   = "pev_01JD3Z8Q4V7T9N2M5K6P8R0S1A"
	pevB   = "pev_01JD3Z8Q4V7T9N2M5K6P8R0S1B"
	events = "/v1/provider-events"
)

// ledger stores one finished event.
func (f *fixture) ledger() *tandem.LedgerRow {
	f.store.rows = append(f.store.rows, tandem.LedgerRow{
		ID: pevA, Provider: "stripe", EventID: "evt_1", Type: "customer.updated", ObjectID: "cus_1", Created: f.clock, ReceivedAt: f.clock,
		APIVersion: "2023-10-16", Livemode: true, Key: "tandem:test:update", Payload: []byte(updated), Deliveries: 2, State: tandem.EventApplied,
		ProcessedAt: &f.clock,
	})
	return &f.store.rows[len(f.store.rows)-1]
}

func TestEvents(t *testing.T) {
	t.Parallel()

	t.Run("shows_everything", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.ledger().Reason = "own_write"
		at := "2026-01-15T09:30:00Z"
		want := object{
			"id": pevA, "provider_type": "stripe", "event_id": "evt_1", "type": "customer.updated", "object_id": "cus_1", "created": at,
			"received_at": at, "api_version": "2023-10-16", "livemode": true, "request_idempotency_key": "tandem:test:update",
			"deliveries": 2.0, "state": "applied", "reason": "own_write", "processed_at": at,
		}
		assert.Equal(t, []any{want}, f.call(t, http.MethodGet, events, "").json(t)["items"], "without the payload")
		want["payload"] = object{"id": "evt_1", "type": "customer.updated", "customer": "cus_1", "email": "canary-person@example.com"}
		assert.Equal(t, want, f.call(t, http.MethodGet, events+"/"+pevA, "").json(t))
		assert.NotContains(t, f.logs.String(), "canary")
	})

	t.Run("walks_through_all_pages", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		var want []any
		for n := range 5 {
			row := tandem.LedgerRow{ID: fmt.Sprintf("pev_01JD3Z8Q4V7T9N2M5K6P8R0S%02d", n), Provider: "stripe", EventID: "evt", Deliveries: 1, State: tandem.EventReceived}
			f.store.rows = append(f.store.rows, row)
			want = append([]any{row.ID}, want...)
		}
		assert.Equal(t, want, f.walk(t, events+"?limit=2", 3))
		assert.Equal(t, map[string]int{"ListEvents": 3}, f.store.calls)
	})

	t.Run("passes_the_filters_on", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.call(t, http.MethodGet, events+"?provider_type=stripe&event_id=evt_1&object_id=cus_1&type=customer.updated&state=conflict&limit=100", "")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		assert.Equal(t, tandem.EventQuery{
			Provider: "stripe", EventID: "evt_1", ObjectID: "cus_1", Type: "customer.updated", State: tandem.EventConflict, Limit: 101,
		}, f.store.asked)
	})

	refusesQueries(t, events, map[string]string{
		"state=done": "state", "state=synced": "state", "type=": "type", "event_id=%ff": "event_id", "id=" + pevA: "id", "payload=true": "payload",
		"cursor=" + cursor(eimA): "cursor",
	})

	for _, id := range []string{pevB, "evt_1", "42", strings.ToLower(pevA)} {
		t.Run("answers_404_to_"+id, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.ledger()
			f.call(t, http.MethodGet, events+"/"+id, "").problem(t, http.StatusNotFound, tandem.CodeEventNotFound)
			f.call(t, http.MethodPost, events+"/"+id+"/replay", "").problem(t, http.StatusNotFound, tandem.CodeEventNotFound)
			assert.Zero(t, f.starter.started()+f.store.written())
		})
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()

	t.Run("opens_the_row_and_wakes_the_workflow", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		row := f.ledger()
		for range 2 { // the second time it is open already
			r := f.call(t, http.MethodPost, events+"/"+pevA+"/replay", "", "X-Request-Id", "req-7")
			require.Equal(t, http.StatusAccepted, r.status, string(r.body))
			assert.Equal(t, object{"workflow_id": "inbound/stripe/cus_1", "run_id": "run_2"}, r.json(t))
			assert.Equal(t, tandem.EventReceived, row.State)
		}
		assert.Equal(t, []string{"stripe cus_1 [" + pevA + "]", "stripe cus_1 [" + pevA + "]"}, f.starter.inbound)
		assert.Contains(t, f.logs.String(), `"msg":"event.replayed","provider":"stripe","event_id":"evt_1"`)
		assert.NotContains(t, f.logs.String(), "canary")
	})

	t.Run("leaves_the_row_open_when_nothing_could_be_started", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		row := f.ledger()
		f.starter.err = tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away")
		f.call(t, http.MethodPost, events+"/"+pevA+"/replay", "").problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
		assert.Equal(t, tandem.EventReceived, row.State)
		f.starter.err = nil
		assert.Equal(t, http.StatusAccepted, f.call(t, http.MethodPost, events+"/"+pevA+"/replay", "").status)
	})

	t.Run("starts_nothing_when_the_ledger_is_away", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.ledger()
		f.store.err = errors.New("broken")
		f.call(t, http.MethodPost, events+"/"+pevA+"/replay", "").problem(t, http.StatusInternalServerError, tandem.CodeInternal)
		assert.Zero(t, f.starter.started())
	})

	for name, tc := range map[string]struct {
		change func(*tandem.LedgerRow)
		says   string
	}{
		"something_else":      {func(r *tandem.LedgerRow) { r.Payload = []byte(`{"id":"evt_1","type":"invoice.paid"}`) }, "not about a customer"},
		"nothing":             {func(r *tandem.LedgerRow) { r.ObjectID = "" }, "not about a customer"},
		"nobody_knows_what":   {func(r *tandem.LedgerRow) { r.Payload = []byte(`{"unreadable":"x"}`) }, "cannot be read"},
		"a_former_provider's": {func(r *tandem.LedgerRow) { r.Provider = "former" }, "not configured"},
	} {
		t.Run("refuses_what_is_about_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			tc.change(f.ledger())
			p := f.call(t, http.MethodPost, events+"/"+pevA+"/replay", "").problem(t, http.StatusConflict, "event_not_replayable")
			assert.Contains(t, p.Detail, tc.says)
			assert.Zero(t, f.starter.started()+f.store.written())
		})
	}

	t.Run("takes_no_parameters", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.ledger()
		f.call(t, http.MethodPost, events+"/"+pevA+"/replay?force=true", "").problem(t, http.StatusBadRequest, "invalid_parameter")
		assert.Empty(t, f.store.calls)
	})
}
