package stripetest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a stand-in with a client of its own, so that no test shares
// connections with another.
type world struct {
	*stripetest.Server
	t      *testing.T
	client *http.Client
}

func setup(t *testing.T, opts stripetest.Options) *world {
	t.Helper()
	srv, err := stripetest.Start(opts)
	require.NoError(t, err)
	transport := &http.Transport{}
	w := &world{Server: srv, t: t, client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
	t.Cleanup(func() {
		srv.Close()
		transport.CloseIdleConnections()
	})
	return w
}

type reply struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (r reply) errorField(name string) any {
	e, _ := r.body["error"].(map[string]any)
	return e[name]
}

func (r reply) id() string { id, _ := r.body["id"].(string); return id }

func (r reply) ids() []string {
	var out []string
	for _, v := range r.body["data"].([]any) {
		out = append(out, v.(map[string]any)["id"].(string))
	}
	return out
}

// send makes one request; headers come in pairs.
func (w *world) send(method, path, form string, headers ...string) (reply, error) {
	base := w.URL()
	if strings.HasPrefix(path, "http") {
		base = ""
	}
	req, err := http.NewRequest(method, base+path, strings.NewReader(form))
	if err != nil {
		return reply{}, err
	}
	req.GetBody = nil // net/http must not send a keyed POST twice by itself
	req.Header.Set("Authorization", "Bearer sk_test_abc")
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	out := reply{status: resp.StatusCode, header: resp.Header, raw: raw}
	_ = json.Unmarshal(raw, &out.body)
	return out, err
}

func (w *world) must(method, path, form string, headers ...string) reply {
	w.t.Helper()
	r, err := w.send(method, path, form, headers...)
	require.NoError(w.t, err)
	return r
}

func (w *world) ok(method, path, form string, headers ...string) reply {
	w.t.Helper()
	r := w.must(method, path, form, headers...)
	require.Equal(w.t, 200, r.status, "%s", r.raw)
	return r
}

func (w *world) idle() {
	w.t.Helper()
	require.NoError(w.t, w.WaitIdle(within(w.t)))
}

// within bounds every wait; it is far above what a fact takes to come true.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// form makes url.Values of pairs.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

type received struct {
	header http.Header
	raw    []byte
	event  map[string]any
}

func (r received) id() string { return r.event["id"].(string) }
func (r received) object() map[string]any {
	return r.event["data"].(map[string]any)["object"].(map[string]any)
}

// receiver is a webhook endpoint that answers as told.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	rc := &receiver{}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		in := received{header: r.Header, raw: raw}
		_ = json.Unmarshal(raw, &in.event)
		rc.mu.Lock()
		rc.got = append(rc.got, in)
		n := len(rc.got)
		rc.mu.Unlock()
		status := 200
		if answer != nil {
			status = answer(n)
		}
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) all() []received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]received(nil), rc.got...)
}

// frozen is a clock that moves only by AdvanceClock.
func frozen(at time.Time) func() time.Time { return func() time.Time { return at } }

var noon = time.Date(2024, 3, 1, 12, 0, 0, 500_000_000, time.UTC)
