package stripetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func (w *world) ctl(method, path, body string) reply {
	w.t.Helper()
	r := w.must(method, w.ControlURL()+path, body, "Content-Type", "application/json")
	require.Less(w.t, r.status, 300, "%s %s: %s", method, path, r.raw)
	return r
}

func TestControl(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	w := setup(t, stripetest.Options{Clock: frozen(noon)})

	w.ctl("POST", "/endpoints", `{"url":"`+rc.URL+`","secrets":["whsec_a"]}`)
	ep := w.Endpoints()[0].ID
	made := w.ctl("POST", "/customers", `{"name":"Jane","metadata":{"a":"1"},"preferred_locales":["nb"],"balance":5}`)
	require.Equal(t, "Jane", made.body["name"])
	edited := w.ctl("PATCH", "/customers/"+made.id(), `{"name":null,"metadata":{"b":"2"},"address":{"city":"Oslo"},"delinquent":true}`)
	require.Nil(t, edited.body["name"])
	require.Equal(t, map[string]any{"a": "1", "b": "2"}, edited.body["metadata"])
	w.must("POST", w.ControlURL()+"/customers/"+made.id(), "phone=1")
	require.Equal(t, "1", w.ctl("GET", "/customers/"+made.id(), "").body["phone"])
	w.ctl("DELETE", "/customers/"+made.id(), "")
	require.Equal(t, true, w.ctl("GET", "/customers/"+made.id(), "").body["deleted"])

	state := w.ctl("POST", "/wait-idle?timeout=20s", "").body
	require.EqualValues(t, 0, state["deliveries_pending"])
	require.EqualValues(t, 4, state["operations"])
	require.EqualValues(t, 1, state["deleted"])
	require.Len(t, rc.all(), 4)
	require.Contains(t, string(w.ctl("GET", "/operations?since=3", "").raw), `"op": "delete"`)
	require.NotContains(t, string(w.ctl("GET", "/operations?since=3", "").raw), `"op": "update"`)
	require.Contains(t, string(w.ctl("GET", "/customers", "").raw), "[]")

	w.ctl("POST", "/events/"+w.Events()[0].ID+"/redeliver", "")
	w.ctl("POST", "/events", `{"type":"customer.discount.created","object":{"id":"di_1"}}`)
	w.idle()
	require.Len(t, rc.all(), 6)
	require.Contains(t, string(w.ctl("GET", "/deliveries?event="+w.Events()[0].ID, "").raw), `"manual": true`)
	w.ctl("GET", "/events", "")

	w.ctl("POST", "/webhooks/pause", "")
	require.True(t, w.DeliveryPaused())
	w.ctl("POST", "/webhooks/resume", "")
	require.NotEmpty(t, w.ctl("POST", "/endpoints/"+ep+"/roll", `{"keep_old":"1h"}`).body["secret"])
	w.ctl("POST", "/endpoints/"+ep+"/disable", "")
	require.Equal(t, "disabled", w.Endpoints()[0].Status)
	w.ctl("POST", "/endpoints/"+ep+"/enable", "")
	w.ctl("GET", "/endpoints", "")

	w.ctl("PATCH", "/settings", `{"latency":"1ms","echo_first":true,"webhook_drop_rate":0.5,"max_attempts":2,"deleted_object":"stub"}`)
	s := w.Settings()
	require.Equal(t, time.Millisecond, s.Latency)
	require.True(t, s.EchoFirst)
	require.Equal(t, 2, s.MaxAttempts)
	require.Equal(t, "1ms", w.ctl("GET", "/settings", "").body["latency"])

	fault := w.ctl("POST", "/faults", `{"kind":"slow","op":"create","count":3,"delay":"2ms"}`).body["id"].(string)
	require.Equal(t, 2*time.Millisecond, w.Faults()[0].Delay)
	w.ctl("GET", "/faults", "")
	w.ctl("DELETE", "/faults/"+fault, "")
	w.ctl("DELETE", "/faults", "")

	require.Equal(t, "2024-03-03T12:00:00.5Z", w.ctl("POST", "/clock", `{"advance":"48h"}`).body["now"])
	require.Equal(t, "2030-01-01T00:00:00Z", w.ctl("POST", "/clock", `{"now":"2030-01-01T00:00:00Z","frozen":true}`).body["now"])
	w.ctl("POST", "/clock", `{"now":"2031-01-01T00:00:00Z"}`)
	require.Contains(t, w.ctl("GET", "/clock", "").body["now"], "2031-01-01")

	page := w.ctl("GET", "/", "")
	for _, want := range []string{
		"POST /faults", "webhook_reorder", "apply_then_drop", w.URL(),
		"a duration in quotes", "true or false", "a whole number", "a number", "a text in quotes",
	} {
		require.Contains(t, string(page.raw), want)
	}
}

// A mistake is answered with the field that is wrong.
func TestControlMistakes(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{WebhookURL: "http://127.0.0.1:1"})
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "/faults", `{"kind":"nonsense"}`, 400, "kind"},
		{"POST", "/faults", `{"kind":"slow","delay":"soon"}`, 400, "delay"},
		{"POST", "/faults", `{"kind":"slow","count":"many"}`, 400, "count"},
		{"POST", "/faults", `{"kind":"slow","skip":-1}`, 400, "skip"},
		{"POST", "/faults", `{"kind":"custom","status":42}`, 400, "status"},
		{"POST", "/faults", `{"kind":"slow","colour":"red"}`, 400, "colour"},
		{"POST", "/faults", `not json`, 400, "body"},
		{"DELETE", "/faults/x", "", 404, "fault"},
		{"PATCH", "/settings", `{"latency":5}`, 400, "latency"},
		{"PATCH", "/settings", `{"latency":"-5s"}`, 400, "latency"},
		{"PATCH", "/settings", `{"echo_first":"yes"}`, 400, "echo_first: must be true or false"},
		{"PATCH", "/settings", `{"max_attempts":-1}`, 400, "max_attempts"},
		{"PATCH", "/settings", `{"webhook_drop_rate":-1}`, 400, "webhook_drop_rate"},
		{"PATCH", "/settings", `{"speed":1}`, 400, "speed"},
		{"PATCH", "/settings", `{"deleted_object":"gone"}`, 400, "deleted_object"},
		{"POST", "/clock", `{}`, 400, "advance or now"},
		{"POST", "/clock", `{"advance":"x"}`, 400, "advance"},
		{"POST", "/clock", `{"now":"yesterday"}`, 400, "now"},
		{"GET", "/operations?since=x", "", 400, "since"},
		{"POST", "/endpoints", `{"url":"nowhere"}`, 400, "url"},
		{"POST", "/endpoints/x/enable", ``, 404, "x"},
		{"POST", "/endpoints/x/roll", ``, 404, "x"},
		{"POST", "/events", `{"type":"a"}`, 400, "object"},
		{"POST", "/events/evt_x/redeliver", "", 404, "evt_x"},
		{"POST", "/customers", `{"email":"x"}`, 400, "email"},
		{"POST", "/customers", `{"balance":1.5}`, 400, "balance"},
		{"POST", "/customers", `{} {}`, 400, "body"},
		{"PATCH", "/customers/cus_x", `{"name":"a"}`, 404, "cus_x"},
		{"GET", "/customers/cus_x", "", 404, "cus_x"},
		{"POST", "/wait-idle?timeout=x", "", 400, "timeout"},
	} {
		r := w.must(tc.method, w.ControlURL()+tc.path, tc.body, "Content-Type", "application/json")
		require.Equal(t, tc.status, r.status, "%s %s %s: %s", tc.method, tc.path, tc.body, r.raw)
		require.Contains(t, r.body["error"], tc.says)
	}
	w.PauseDelivery()
	w.ctl("POST", "/customers", `{}`)
	require.Equal(t, 504, w.must("POST", w.ControlURL()+"/wait-idle?timeout=1ms", "").status)
	cross := w.must("POST", w.ControlURL()+"/webhooks/pause", "", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, cross.status, "a web page must not reach the control API")
}
