package stripetest_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func stateFile(t *testing.T) string { return filepath.Join(t.TempDir(), "stripe.json") }

// killed is what a restart would find if the process died after the file came
// to contain text.
func killed(t *testing.T, file, text string) string {
	t.Helper()
	var raw []byte
	require.Eventually(t, func() bool {
		raw, _ = os.ReadFile(file)
		return strings.Contains(string(raw), text)
	}, 20*time.Second, time.Millisecond)
	left := stateFile(t)
	require.NoError(t, os.WriteFile(left, raw, 0o600))
	return left
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestRestartKeepsTheAccount(t *testing.T) {
	t.Parallel()
	for name, deterministic := range map[string]bool{"random ids": false, "deterministic ids": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := stripetest.Options{StateFile: stateFile(t), Clock: frozen(noon), DeterministicIDs: deterministic}
			w := setup(t, opts)
			var ids []string // newest first
			for _, f := range []string{"name=a&address[line2]=&shipping[name]=x&shipping[address][city]=Oslo", "name=b&metadata[k]=v", "name=c&preferred_locales[]=nb"} {
				ids = append([]string{w.ok("POST", "/v1/customers", f).id()}, ids...)
			}
			w.AdvanceClock(48 * time.Hour)
			w.ok("POST", "/v1/customers/"+ids[2], "name=%3Cb%3E&balance=5&metadata[n]=1&address=")
			w.ok("POST", "/v1/customers/"+ids[2], "address[city]=Oslo&address[line2]=")
			w.ok("DELETE", "/v1/customers/"+ids[1], "")
			_, err := w.Emit("invoice.paid", []byte(`{"z":"<b>","id":"in_1","n":12345678901234567890}`))
			require.NoError(t, err)
			ep := w.AddEndpoint(stripetest.Endpoint{URL: "http://127.0.0.1:1", EnabledEvents: []string{"none"}, Metadata: map[string]string{"k": "v"}})
			_, err = w.RollSecret(ep.ID, "whsec_next", time.Hour)
			require.NoError(t, err)
			require.NoError(t, w.EnableEndpoint(ep.ID, false))
			list := string(w.ok("GET", "/v1/customers", "").raw)
			w.Close()
			info, err := os.Stat(opts.StateFile)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

			again := setup(t, opts)
			require.Equal(t, w.Customers(), again.Customers())
			require.Equal(t, w.Events(), again.Events())
			require.Equal(t, w.Endpoints(), again.Endpoints())
			require.Equal(t, w.State(), again.State())
			require.Equal(t, noon.Add(48*time.Hour), again.Now())
			require.JSONEq(t, jsonOf(t, w.Operations()), jsonOf(t, again.Operations()))
			require.Equal(t, list, string(again.ok("GET", "/v1/customers", "").raw))
			require.Equal(t, ids[:1], again.ok("GET", "/v1/customers?limit=1", "").ids())
			require.Equal(t, ids[2:], again.ok("GET", "/v1/customers?starting_after="+ids[1], "").ids(), "a deleted one is still a cursor")
			require.Equal(t, true, again.ok("GET", "/v1/customers/"+ids[1], "").body["deleted"])
			require.Equal(t, ids[:1], again.ok("GET", "/v1/customers/search?"+form("query", "name:'c'").Encode(), "").ids())

			edited := again.ok("POST", "/v1/customers/"+ids[2], "metadata[n]=2&address[line1]=Way+1")
			require.Equal(t, map[string]any{"city": "Oslo", "country": nil, "line1": "Way 1", "line2": "", "postal_code": nil, "state": nil},
				edited.body["address"])
			require.NotContains(t, ids, again.ok("POST", "/v1/customers", "").id())
			before := len(w.Operations())
			require.Equal(t, before+6, again.Operations()[before+5].Seq)
			require.Equal(t, again.Operations()[before:], again.OperationsSince(before))
			again.ok("GET", "/v1/events?limit=1&starting_after="+again.Events()[6].ID, "")
		})
	}
}

func TestRestartReplays(t *testing.T) {
	t.Parallel()
	opts := stripetest.Options{StateFile: stateFile(t)}
	w := setup(t, opts)
	first := w.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
	w.AddFault(stripetest.Fault{Kind: stripetest.Error500})
	failed := w.must("POST", "/v1/customers", "name=b", "Idempotency-Key", "k500")
	w.Close()

	w = setup(t, opts)
	again := w.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
	require.Equal(t, string(first.raw), string(again.raw))
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, first.header.Get("Request-Id"), again.header.Get("Original-Request"))
	require.NotEqual(t, first.header.Get("Request-Id"), again.header.Get("Request-Id"))
	require.Equal(t, string(failed.raw), string(w.must("POST", "/v1/customers", "name=b", "Idempotency-Key", "k500").raw))
	require.Equal(t, 400, w.must("POST", "/v1/customers", "name=other", "Idempotency-Key", "k").status)
	require.Len(t, w.Customers(), 1)
	w.AdvanceClock(24*time.Hour + time.Second)
	require.NotEqual(t, first.id(), w.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k").id(), "a loaded key expires too")
}

// A request that has run, but is not answered yet, survives a kill whole: the
// customer never without its key.
func TestKillBetweenCommitAndAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	rc := newReceiver(t, func(int) int { <-release; return 200 })
	opts := stripetest.Options{StateFile: stateFile(t), WebhookURL: rc.URL,
		Settings: stripetest.Settings{EchoFirst: true, EchoTimeout: time.Minute, WebhookTimeout: time.Minute}}
	w := setup(t, opts)
	var first reply
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { first, err = w.send("POST", "/v1/customers", "name=a", "Idempotency-Key", "k") })
	require.NoError(t, w.Wait(within(t), func() bool { return len(w.Customers()) == 1 }))
	left := killed(t, opts.StateFile, w.Customers()[0].ID)
	close(release)
	wg.Wait()
	require.NoError(t, err)

	again := setup(t, stripetest.Options{StateFile: left})
	replay := again.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
	require.Equal(t, "true", replay.header.Get("Idempotent-Replayed"))
	require.Equal(t, string(first.raw), string(replay.raw))
	again.idle()
	require.Equal(t, first.id(), rc.all()[1].object()["id"], "the delivery under way is made again")
}

func TestPendingDeliveriesSurvive(t *testing.T) {
	t.Parallel()
	refuses := newReceiver(t, func(int) int { return 503 })
	opts := stripetest.Options{StateFile: stateFile(t), WebhookURL: refuses.URL, WebhookSecrets: []string{"whsec_old"},
		Settings: stripetest.Settings{RetryFirst: time.Hour, RetryMax: time.Hour, WebhookConcurrency: 1}}
	w := setup(t, opts)
	w.Configure(func(s *stripetest.Settings) { s.WebhookDropNext = 1 })
	var want []string
	for range 3 {
		c, err := w.CreateCustomer(form("name", "a"))
		require.NoError(t, err)
		want = append(want, c.ID)
	}
	require.NoError(t, w.Wait(within(t), func() bool { return len(w.Deliveries()) == 2 }), "one lost, two refused")
	w.PauseDelivery()
	require.NoError(t, w.DeleteCustomer(want[0])) // not tried at all
	endpoint := w.Endpoints()[0].ID
	w.Close()

	takes := newReceiver(t, nil)
	opts.WebhookURL, opts.WebhookSecrets = takes.URL, []string{"whsec_new"}
	w = setup(t, opts)
	w.idle()
	require.Len(t, w.Endpoints(), 1)
	require.Equal(t, endpoint, w.Endpoints()[0].ID)
	require.Equal(t, takes.URL, w.Endpoints()[0].URL)
	require.Equal(t, []string{"whsec_new"}, w.Endpoints()[0].Secrets)
	var got, pending []string
	for _, r := range takes.all() {
		got = append(got, r.event["type"].(string)+" "+r.object()["id"].(string))
	}
	require.Equal(t, []string{"customer.deleted " + want[0], "customer.created " + want[1], "customer.created " + want[2]}, got,
		"in order of due time: the refused ones had longer to wait")
	for _, e := range w.Events() {
		if e.PendingWebhooks > 0 {
			pending = append(pending, e.CustomerID)
		}
	}
	require.Equal(t, want[:1], pending, "a lost delivery stays lost")
	require.Equal(t, 3, w.Deliveries()[0].Seq)
	w.Close()

	opts.WebhookURL, opts.WebhookSecrets = "", nil
	w = setup(t, opts)
	require.Equal(t, takes.URL, w.Endpoints()[0].URL, "without a URL the endpoint stays as it was")
	require.Zero(t, w.PendingDeliveries())
}

// An attempt that Close cuts short was not made.
func TestCloseCutsAnAttempt(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	rc := newReceiver(t, func(n int) int {
		if n == 1 {
			<-release
		}
		return 200
	})
	opts := stripetest.Options{StateFile: stateFile(t), WebhookURL: rc.URL, Settings: stripetest.Settings{MaxAttempts: 1}}
	w := setup(t, opts)
	w.ok("POST", "/v1/customers", "")
	require.Eventually(t, func() bool { return len(rc.all()) == 1 }, 20*time.Second, time.Millisecond)
	w.Close()
	close(release)
	w = setup(t, opts)
	w.idle()
	require.Len(t, rc.all(), 2)
	require.Equal(t, 200, w.Deliveries()[0].Status)
}

func TestSetClockSurvives(t *testing.T) {
	t.Parallel()
	opts := stripetest.Options{StateFile: stateFile(t)}
	w := setup(t, opts)
	w.SetClock(func() time.Time { return time.Now().AddDate(5, 0, 0) })
	w.Close()
	w = setup(t, opts)
	require.WithinDuration(t, time.Now().AddDate(5, 0, 0), w.Now(), time.Minute)
}

func TestBadStateFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ content, says string }{
		"empty":            {"", "not readable"},
		"cut off":          {`{"format":1,"customers":[{"ID":"cus_`, "not readable"},
		"trailing":         {`{"format":1} x`, "not readable"},
		"other version":    {`{"format":99,"new_shape":true}`, "format 99, but this stand-in reads only format 1"},
		"another file":     {`{"name":"package"}`, "format 0"},
		"unknown field":    {`{"format":1,"colour":"red"}`, "colour"},
		"nobody":           {`{"format":1,"customers":[null]}`, "customer 0 has no id"},
		"dangling":         {`{"format":1,"deliveries":[{"event":"evt_1","endpoint":"we_1"}]}`, "evt_1"},
		"of another shape": {`{"format":1,"events":{}}`, "not readable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := stateFile(t)
			require.NoError(t, os.WriteFile(file, []byte(tc.content), 0o600))
			_, err := stripetest.Start(stripetest.Options{StateFile: file})
			require.ErrorContains(t, err, tc.says)
			require.ErrorContains(t, err, file)
			require.ErrorContains(t, err, "delete the file")
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, tc.content, string(raw), "never overwritten")
		})
	}
	_, err := stripetest.New(stripetest.Options{StateFile: filepath.Join(t.TempDir(), "missing", "stripe.json")})
	require.ErrorContains(t, err, "save state", "what cannot be saved is known at the start")
}

// Whoever cannot start, or has closed, leaves the file to its owner.
func TestStateFileHasOneWriter(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	file := stateFile(t)
	_, err = stripetest.Start(stripetest.Options{StateFile: file, Addr: taken.Addr().String()})
	require.Error(t, err)
	require.NoFileExists(t, file)

	old := setup(t, stripetest.Options{StateFile: file})
	old.Close()
	next := setup(t, stripetest.Options{StateFile: file})
	id := next.ok("POST", "/v1/customers", "").id()
	next.Close()
	old.Close()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(raw), id)
}

// Changes reach the file while it runs, again and again.
func TestBackgroundSaves(t *testing.T) {
	t.Parallel()
	opts := stripetest.Options{StateFile: stateFile(t)}
	w := setup(t, opts)
	for range 3 {
		id := w.ok("POST", "/v1/customers", "").id()
		again := setup(t, stripetest.Options{StateFile: killed(t, opts.StateFile, id)})
		_, ok := again.Customer(id)
		require.True(t, ok)
		require.NotEqual(t, id, again.ok("POST", "/v1/customers", "").id())
	}
	require.Contains(t, string(w.ctl("GET", "/", "").raw), opts.StateFile)
}
