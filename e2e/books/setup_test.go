// Package books_test holds whole books against each other: a real tandem process, a real Postgres, a real Temporal and the
// stand-in, with hundreds to thousands of customers on both sides.
package books_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver of the facts
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/app"
	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	apiKey  = "key of the books"
	secret  = "whsec_of_the_books"
	patient = 90 * time.Second
	tick    = 20 * time.Millisecond
)

// ground is what all cases share: the binary and Temporal.
type ground struct {
	program, cli string
	temporal     *devstack.Temporal
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{program: filepath.Join(t.TempDir(), "tandem")}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", g.program, "../../cmd/tandem").CombinedOutput()
	require.NoError(t, err, string(out))
	g.cli, err = devstack.EnsureTemporal(t.Context(), devstack.BinaryOptions{})
	require.NoError(t, err)
	g.temporal, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true, Binary: g.cli})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.temporal.Stop()) })
	return g
}

// shelf is both sides of one case.
type shelf struct {
	t       *testing.T
	program string
	server  *stripetest.Server
	db      *sqlx.DB
	env     []string
	process *exec.Cmd
	ended   chan struct{}
	out     *said
	api     string
}

// said is what the process says, with the address it answers at.
type said struct {
	mu      sync.Mutex
	b       bytes.Buffer
	address chan string
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		var ready struct {
			Msg, API string
		}
		if strings.Contains(line, `"app.ready"`) && json.Unmarshal([]byte(line), &ready) == nil {
			select {
			case s.address <- ready.API:
			default:
			}
		}
	}
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()[max(0, s.b.Len()-3000):]
}

func (g *ground) shelf(t *testing.T, settings stripetest.Settings, env ...string) *shelf {
	t.Helper()
	s := &shelf{t: t, program: g.program}
	var err error
	s.server, err = stripetest.Start(stripetest.Options{Settings: settings})
	require.NoError(t, err)
	t.Cleanup(s.server.Close)
	url, namespace := dbtest.NewURL(t), fmt.Sprint("books-", time.Now().UnixNano())
	out, err := exec.CommandContext(t.Context(), g.cli, "operator", "namespace", "create",
		"--address", g.temporal.Address(), "--namespace", namespace, "--retention", "24h").CombinedOutput()
	require.NoError(t, err, string(out))
	s.db, err = sqlx.Open("postgres", url)
	require.NoError(t, err)
	s.db.SetMaxOpenConns(2)
	t.Cleanup(func() { _ = s.db.Close() })
	s.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"DATABASE_URL=" + url, "TANDEM_DATABASE_MAX_CONNS=6", "TEMPORAL_ADDRESS=" + g.temporal.Address(), "TEMPORAL_NAMESPACE=" + namespace,
		"STRIPE_API_KEY=sk_test_books", "STRIPE_API_BASE=" + s.server.URL(), "STRIPE_WEBHOOK_SECRETS=" + secret, "STRIPE_REQUESTS_PER_SECOND=100",
		"TANDEM_HTTP_ADDR=127.0.0.1:0", "TANDEM_ADMIN_ADDR=127.0.0.1:0", "TANDEM_ENVIRONMENT=books", "TANDEM_API_KEYS=" + string(app.HashKey(apiKey)),
		"TANDEM_CATCH_UP_EVERY=0", "TANDEM_RECONCILE_EVERY=0",
	}, env...)
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *shelf) start() {
	s.t.Helper()
	s.process, s.out, s.ended = exec.Command(s.program, "all"), &said{address: make(chan string, 1)}, make(chan struct{})
	s.process.Env, s.process.Stdout, s.process.Stderr = s.env, s.out, s.out
	require.NoError(s.t, s.process.Start())
	go func(p *exec.Cmd, ended chan struct{}) {
		_ = p.Wait() // killed, most often
		close(ended)
	}(s.process, s.ended)
	select {
	case s.api = <-s.out.address:
	case <-s.ended:
		require.Fail(s.t, "tandem ended during its start", s.out.String())
	case <-time.After(patient):
		require.Fail(s.t, "tandem is not ready", s.out.String())
	}
}

func (s *shelf) kill() {
	_ = s.process.Process.Kill()
	<-s.ended
	if s.t.Failed() {
		s.t.Log(s.out.String())
	}
}

type object = map[string]any

func (s *shelf) call(method, path string, body any, out any) int {
	s.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.api+path, bytes.NewReader(raw))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	raw, err = io.ReadAll(res.Body)
	require.NoError(s.t, err)
	if out != nil && res.StatusCode < http.StatusBadRequest {
		require.NoError(s.t, json.Unmarshal(raw, out), string(raw))
	}
	if res.StatusCode >= http.StatusInternalServerError {
		require.Fail(s.t, "server error", "%d %s", res.StatusCode, raw)
	}
	return res.StatusCode
}

type bookRun struct {
	ID     string         `json:"id"`
	State  string         `json:"state"`
	Step   string         `json:"step"`
	Counts map[string]int `json:"counts"`
}

func (s *shelf) begin(wish object) bookRun {
	s.t.Helper()
	var run bookRun
	require.Equal(s.t, http.StatusAccepted, s.call(http.MethodPost, "/v1/runs", wish, &run))
	return run
}

// finished begins a run and returns it ended.
func (s *shelf) finished(wish object) bookRun {
	s.t.Helper()
	return s.end(s.begin(wish).ID)
}

func (s *shelf) get(id string) (run bookRun) {
	s.t.Helper()
	require.Equal(s.t, http.StatusOK, s.call(http.MethodGet, "/v1/runs/"+id, nil, &run))
	return run
}

func (s *shelf) end(id string) (run bookRun) {
	s.t.Helper()
	s.until("the run ends", func() string {
		run = s.get(id)
		if run.State == "done" || run.State == "cancelled" {
			return ""
		}
		return fmt.Sprintf("%+v", run)
	})
	return run
}

// until waits for a fact; what returns "" is one.
func (s *shelf) until(what string, complaint func() string) {
	s.t.Helper()
	for deadline := time.Now().Add(patient); ; time.Sleep(tick) {
		c := complaint()
		if c == "" {
			return
		}
		require.Less(s.t, time.Now(), deadline, "%s: %s\n%s", what, c, s.out)
	}
}

func (s *shelf) count(query string, args ...any) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.db.Get(&n, query, args...))
	return n
}

// lists counts the requests for the customers list so far.
func (s *shelf) lists() (n int) {
	for _, op := range s.server.Operations() {
		if op.Op == "list" {
			n++
		}
	}
	return n
}

// ranges is how many pieces the run's list was walked in: each may end in a page that is not full.
func (s *shelf) ranges(run string) int {
	s.t.Helper()
	return s.count(`SELECT jsonb_array_length(ranges) FROM reconcile_runs WHERE id = $1`, run)
}

// writes counts what was written over there by us.
func (s *shelf) writes() (n int) {
	for _, op := range s.server.Operations() {
		if op.Actor == stripetest.ActorAPI && op.Applied {
			n++
		}
	}
	return n
}
