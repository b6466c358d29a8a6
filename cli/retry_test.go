package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/cli"
)

// crowd is an API with n mappings, on pages of 100, whose retries fail for every tenth.
type crowd struct {
	t           *testing.T
	n           int
	together    atomic.Int32
	most        atomic.Int32
	retries     atomic.Int32
	lists       atomic.Int32
	everyTenth  bool
	wrongFilter atomic.Bool
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		c.list(w, r)
		return
	}
	now := c.together.Add(1)
	defer c.together.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	c.retries.Add(1)
	id := strings.Split(r.URL.Path, "/")[3]
	if c.everyTenth && strings.HasSuffix(id, "0") {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":503,"code":"unavailable","detail":"not just now"}`)
		return
	}
	_, _ = io.WriteString(w, `{"workflow_id":"w","run_id":"r"}`)
}

func (c *crowd) list(w http.ResponseWriter, r *http.Request) {
	c.lists.Add(1)
	q := r.URL.Query()
	if q.Get("error_class") != "auth" || q.Get("state") != "" {
		c.wrongFilter.Store(true)
	}
	from := 0
	_, _ = fmt.Sscan(q.Get("cursor"), &from)
	to := min(from+100, c.n)
	items := []string{}
	for i := from; i < to; i++ {
		items = append(items, fmt.Sprintf(`{"id":"eim_%d","entity_id":"cust_%d","provider_type":"stripe"}`, i, i))
	}
	next := ""
	if to < c.n {
		next = fmt.Sprintf(`,"next_cursor":"%d"`, to)
	}
	_, _ = fmt.Fprintf(w, `{"items":[%s],"pagination":{"limit":100%s}}`, strings.Join(items, ","), next)
}

func (c *crowd) run(args ...string) result {
	server := httptest.NewServer(c)
	c.t.Cleanup(server.Close)
	return run(c.t, c.t.Context(), map[string]string{cli.EnvURL: server.URL, cli.EnvKey: key}, args...)
}

func TestRetryAll(t *testing.T) {
	t.Parallel()

	t.Run("asks_for_everyone_a_few_at_a_time", func(t *testing.T) {
		t.Parallel()
		c := &crowd{t: t, n: 250}
		r := c.run("retry", "--all", "--class", "auth")
		assert.Equal(t, result{"asked   250\nfailed  0\n", "", 0}, r)
		assert.EqualValues(t, 250, c.retries.Load())
		assert.EqualValues(t, 3, c.lists.Load())
		assert.LessOrEqual(t, c.most.Load(), int32(4))
		assert.False(t, c.wrongFilter.Load())
	})

	t.Run("says_who_could_not_be_asked", func(t *testing.T) {
		t.Parallel()
		c := &crowd{t: t, n: 15, everyTenth: true}
		r := c.run("retry", "--all", "--class", "auth")
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Equal(t, "2 of 15 could not be asked to retry", r.errOut)
		assert.Contains(t, r.out, "asked   15\nfailed  2\nCUSTOMER")
		assert.Contains(t, r.out, "cust_10   stripe    not just now (503, unavailable)")
	})

	t.Run("tells_machines_the_same", func(t *testing.T) {
		t.Parallel()
		c := &crowd{t: t, n: 5, everyTenth: true}
		var got struct {
			Asked  int
			Failed []map[string]string
		}
		require.NoError(t, json.Unmarshal([]byte(c.run("retry", "--all", "--class", "auth", "-o", "json").out), &got))
		assert.Equal(t, 5, got.Asked)
		assert.Equal(t, []map[string]string{{"customer_id": "cust_0", "provider": "stripe", "error": "not just now (503, unavailable)"}}, got.Failed)
	})

	t.Run("finds_nobody", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, result{"asked   0\nfailed  0\n", "", 0}, (&crowd{t: t}).run("retry", "--all", "--class", "auth"))
	})
}
