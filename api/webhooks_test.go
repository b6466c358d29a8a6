package api_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const updated = `{"id":"evt_1","type":"customer.updated","customer":"cus_1","email":"canary-person@example.com"}`

// deliver sends a webhook, signed that long ago, without an API key.
func (f *fixture) deliver(t testing.TB, body string, age time.Duration, headers ...string) response {
	t.Helper()
	at := f.clock.Add(-age).Unix()
	h := append([]string{
		"Authorization", "", "Test-Time", strconv.FormatInt(at, 10), "Test-Signature", signature(at, []byte(body)),
	}, headers...)
	return f.call(t, http.MethodPost, "/v1/webhooks/stripe", body, h...)
}

// webhookResult expects one delivery, counted under these labels.
func (f *fixture) webhookResult(t *testing.T, provider, eventType, result string) {
	t.Helper()
	_, metrics := f.admin(t, "/metrics")
	assert.Contains(t, metrics,
		`tandem_webhook_received_total{provider="`+provider+`",result="`+result+`",type="`+eventType+`"} 1`)
	assert.Equal(t, 1, strings.Count(metrics, "tandem_webhook_received_total{"))
}

func TestWebhook(t *testing.T) {
	t.Parallel()

	t.Run("is_stored_and_handed_over", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.deliver(t, updated, 0, "Content-Type", "text/plain")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		assert.Equal(t, object{"state": "received"}, r.json(t))
		assert.Equal(t, updated, string(f.store.events["evt_1"].Payload))
		f.eventually(t, func() bool { return len(f.starter.inbounds()) == 1 })
		assert.Equal(t, []string{"stripe cus_1 [pev_1]"}, f.starter.inbounds())
		f.webhookResult(t, "stripe", "customer.updated", "accepted")
	})

	t.Run("that_is_settled_starts_nothing", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.open = false
		assert.Equal(t, object{"state": "echo"}, f.deliver(t, updated, 0).json(t))
		assert.Zero(t, f.starter.started())
		f.webhookResult(t, "stripe", "customer.updated", "echo")
	})

	t.Run("about_something_else_starts_nothing", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		assert.Equal(t, http.StatusOK, f.deliver(t, `{"id":"evt_2","type":"invoice.paid"}`, 0).status)
		assert.Zero(t, f.starter.started())
		f.webhookResult(t, "stripe", "other", "accepted")
	})

	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"away":   {tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away"), http.StatusServiceUnavailable, tandem.CodeUnavailable},
		"broken": {errors.New("syntax error"), http.StatusInternalServerError, tandem.CodeInternal},
	} {
		t.Run("comes_again_when_the_ledger_is_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.store.err = tc.err
			f.deliver(t, updated, 0).problem(t, tc.status, tc.code)
			assert.Zero(t, f.starter.started())
		})
	}
}

func TestBadWebhooks(t *testing.T) {
	t.Parallel()
	large := `{"id":"evt_1","pad":"` + strings.Repeat("x", 2<<20) + `"}`
	for name, tc := range map[string]struct {
		body   string
		age    time.Duration
		header []string
		status int
		code   string
	}{
		"unsigned":       {updated, 0, []string{"Test-Signature", ""}, http.StatusBadRequest, tandem.CodeSignatureInvalid},
		"forged":         {updated, 0, []string{"Test-Signature", signature(1, []byte(updated))}, http.StatusBadRequest, tandem.CodeSignatureInvalid},
		"old":            {updated, 6 * time.Minute, nil, http.StatusBadRequest, tandem.CodeSignatureInvalid},
		"of_the_future":  {updated, -6 * time.Minute, nil, http.StatusBadRequest, tandem.CodeSignatureInvalid},
		"malformed_json": {`{"id":`, 0, nil, http.StatusBadRequest, tandem.CodeEventInvalid},
		"without_id":     {`{"type":"customer.updated"}`, 0, nil, http.StatusBadRequest, tandem.CodeEventInvalid},
		"empty":          {"", 0, nil, http.StatusBadRequest, tandem.CodeEventInvalid},
		"two_mebibytes":  {large, 0, nil, http.StatusRequestEntityTooLarge, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.deliver(t, tc.body, tc.age, tc.header...).problem(t, tc.status, tc.code)
			assert.Zero(t, f.starter.started()+f.store.written())
			f.webhookResult(t, "stripe", "other", tc.code)
		})
	}

	t.Run("of_a_wrong_clock_say_how_wrong_in_the_log", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		p := f.deliver(t, updated, 6*time.Minute).problem(t, http.StatusBadRequest, tandem.CodeSignatureInvalid)
		assert.NotEmpty(t, p.Detail)
		assert.Contains(t, f.logs.String(), `"why":"`)
		assert.Contains(t, f.logs.String(), p.Detail)
	})

	t.Run("of_an_unknown_provider", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		p := f.call(t, http.MethodPost, "/v1/webhooks/nobody", updated).problem(t, http.StatusNotFound, tandem.CodeProviderUnknown)
		assert.NotContains(t, p.Detail, "nobody")
		f.webhookResult(t, "unknown", "other", tandem.CodeProviderUnknown)
	})

	t.Run("api_keys_do_not_help", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.call(t, http.MethodPost, "/v1/webhooks/stripe", updated).problem(t, http.StatusBadRequest, tandem.CodeSignatureInvalid)
	})
}
