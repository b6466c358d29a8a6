//go:build bench

package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/tandem-sync/tandem/app"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

const benchKey = "key of the bench"

// TestImport imports whole books from the stand-in, which answers at once, or after 50 ms a page, or within Stripe's
// default limit. Everything is on one machine: stand-in, Postgres, Temporal and Tandem share its processors.
func TestImport(t *testing.T) {
	b := newBooks(t)
	fmt.Printf("%s, %d processors, %s\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	fmt.Printf("%-34s %9s %11s %9s %10s %8s %9s %9s %s\n", "import of", "customers", "customers/s", "requests", "statements", "MiB peak", "events", "again, s", "µs of processor per customer")
	small, large := number("BENCH_SMALL", 10_000), number("BENCH_LARGE", 100_000)
	first := b.measure(t, "pages at once", small, stripetest.Settings{}, 0)
	second := b.measure(t, "pages at once", large, stripetest.Settings{}, 0)
	fmt.Printf("  (peak memory: %.0f %% of the small one's)\n", 100*float64(second.peak)/float64(first.peak))
	b.measure(t, "pages of 50 ms", small, stripetest.Settings{Latency: 50 * time.Millisecond}, 0)
	limited := b.measure(t, "25 requests a second allowed", small, stripetest.Settings{Latency: 50 * time.Millisecond, RatePerEndpoint: 25}, 25)
	fmt.Printf("  (%.0f %% of what is allowed, %d refused)\n", 100*float64(limited.requests)/limited.took.Seconds()/25, limited.refused)
	b.killed(t, number("BENCH_KILLED", 20_000))
}

// books is the ground of all measurements.
type books struct {
	program  string
	temporal *devstack.Temporal
	cli      string
	postgres *devstack.Postgres
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{program: filepath.Join(t.TempDir(), "tandem")}
	out, err := exec.Command("go", "build", "-o", b.program, "../cmd/tandem").CombinedOutput()
	require.NoError(t, err, string(out))
	b.cli, err = devstack.EnsureTemporal(t.Context(), devstack.BinaryOptions{})
	require.NoError(t, err)
	b.temporal, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true, Binary: b.cli})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.temporal.Stop()) })
	b.postgres, err = devstack.StartPostgres(t.Context(), devstack.PostgresOptions{DataDir: filepath.Join(home(t), "postgres")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.postgres.Stop()) })
	return b
}

// shop is one tandem process on a database, a namespace and a stand-in of its own.
type shop struct {
	*books
	server *stripetest.Server
	db     *sqlx.DB
	env    []string
	cmd    *exec.Cmd
	api    string
	temp   client.Client
	count  *counter
}

func (b *books) open(t *testing.T, customers int, settings stripetest.Settings, perSecond int) *shop {
	t.Helper()
	name := fmt.Sprint("books", time.Now().UnixNano())
	admin, err := sqlx.Open("postgres", b.postgres.DSN("postgres"))
	require.NoError(t, err)
	_, err = admin.Exec(`CREATE DATABASE ` + name)
	require.NoError(t, err)
	require.NoError(t, admin.Close())
	out, err := exec.Command(b.cli, "operator", "namespace", "create", "--address", b.temporal.Address(), "--namespace", name, "--retention", "24h").CombinedOutput()
	require.NoError(t, err, string(out))
	s := &shop{books: b}
	s.server, err = stripetest.Start(stripetest.Options{Settings: settings})
	require.NoError(t, err)
	for i := range customers {
		raw := fmt.Appendf(nil, `{"id":"cus_book%07d","created":%d,"name":"Person %d","email":"p%d@example.org","phone":"+44 %d",
			"address":{"line1":"%d Long Street","city":"Bath","country":"GB"},"metadata":{"plan":"pro"}}`, i, 1_500_000_000+i/3*641, i, i, i, i)
		require.NoError(t, s.server.Seed(raw))
	}
	url := b.postgres.DSN(name)
	s.db, err = sqlx.Open("postgres", url)
	require.NoError(t, err)
	s.count, url = count(t, url)
	s.temp, err = client.NewLazyClient(client.Options{HostPort: b.temporal.Address(), Namespace: name})
	require.NoError(t, err)
	if perSecond == 0 {
		perSecond = 10_000 // no limit of ours
	}
	s.env = append(os.Environ(), "DATABASE_URL="+url, "TEMPORAL_ADDRESS="+b.temporal.Address(), "TEMPORAL_NAMESPACE="+name,
		"STRIPE_API_KEY=sk_test_bench", "STRIPE_API_BASE="+s.server.URL(), "STRIPE_WEBHOOK_SECRETS=whsec_of_the_bench",
		fmt.Sprint("STRIPE_REQUESTS_PER_SECOND=", perSecond), "TANDEM_HTTP_ADDR=127.0.0.1:0", "TANDEM_ADMIN_ADDR=127.0.0.1:0",
		"TANDEM_ENVIRONMENT=bench", "TANDEM_API_KEYS="+string(app.HashKey(benchKey)), "TANDEM_CATCH_UP_EVERY=0", "TANDEM_RECONCILE_EVERY=0")
	migrate := exec.Command(b.program, "migrate")
	migrate.Env = s.env
	out, err = migrate.CombinedOutput()
	require.NoError(t, err, string(out))
	s.start(t)
	return s
}

func (s *shop) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(s.program, "all")
	s.cmd.Env, s.cmd.Stderr = s.env, os.Stderr
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		for dec := json.NewDecoder(out); ; {
			var line struct{ Msg, API string }
			if dec.Decode(&line) != nil {
				return
			}
			if line.Msg == "app.ready" {
				select {
				case ready <- line.API:
				default:
				}
			}
		}
	}()
	select {
	case s.api = <-ready:
	case <-time.After(time.Minute):
		require.FailNow(t, "tandem is not ready")
	}
}

func (s *shop) close() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // killed
	s.server.Close()
	s.temp.Close()
	_ = s.db.Close()
}

type measured struct {
	took              time.Duration
	peak              int // KiB
	requests, refused int
}

func (b *books) measure(t *testing.T, what string, customers int, settings stripetest.Settings, perSecond int) measured {
	t.Helper()
	s := b.open(t, customers, settings, perSecond)
	defer s.close()
	before, begun, statements := s.used(t), time.Now(), s.count.statements()
	id := s.begin(t)
	s.done(t, id)
	m := measured{took: time.Since(begun), peak: s.peak(t)}
	cost := s.used(t)
	statements = s.count.statements() - statements
	for _, op := range s.server.Operations() {
		if op.Op == "list" {
			m.requests++
			if op.Status == http.StatusTooManyRequests {
				m.refused++
			}
		}
	}
	var n int
	require.NoError(t, s.db.Get(&n, `SELECT count(*) FROM entity_integration_mappings WHERE state = 'synced'`))
	require.Equal(t, customers, n)
	again := time.Now()
	s.done(t, s.begin(t))
	took := time.Since(again)
	history, err := s.temp.DescribeWorkflowExecution(t.Context(), workflows.ReconcileID("stripe", id), "")
	require.NoError(t, err)
	fmt.Printf("%-34s %9d %11.0f %9d %10.3f %8.0f %9d %9.1f %s\n", what, customers, float64(customers)/m.took.Seconds(), m.requests,
		float64(statements)/float64(customers), float64(m.peak)/1024, history.GetWorkflowExecutionInfo().GetHistoryLength(), took.Seconds(), cost.per(customers, before))
	return m
}

// killed kills in the middle, and starts again.
func (b *books) killed(t *testing.T, customers int) {
	t.Helper()
	s := b.open(t, customers, stripetest.Settings{}, 0)
	defer s.close()
	id := s.begin(t)
	n := 0
	for n < customers/3 {
		require.NoError(t, s.db.Get(&n, `SELECT count(*) FROM customers`))
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	asked := len(s.server.Operations())
	require.NoError(t, s.db.Get(&n, `SELECT count(*) FROM customers`))
	begun := time.Now()
	s.start(t)
	s.done(t, id)
	more := len(s.server.Operations()) - asked
	var all int
	require.NoError(t, s.db.Get(&all, `SELECT count(*) FROM customers c JOIN entity_integration_mappings m ON m.entity_id = c.id AND m.state = 'synced'`))
	require.Equal(t, customers, all)
	fmt.Printf("kill -9 after %d of %d: done %.1f s after the start, %d pages were asked for twice\n", n, customers, time.Since(begun).Seconds(), more-(customers-n+99)/100)
}

func (s *shop) used(t *testing.T) cpu {
	t.Helper()
	c := (&stack{pid: s.cmd.Process.Pid}).used(t)
	c.postgres = 0
	parents, names, spent := processes(t)
	for pid, name := range names { // the server's processes are children of one, which is a child of ours
		if name == "postgres" && (parents[pid] == os.Getpid() || parents[parents[pid]] == os.Getpid()) {
			c.postgres += spent[pid]
		}
	}
	return c
}

// peak is the most memory that the process ever had resident.
func (s *shop) peak(t *testing.T) (kib int) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	_, err = fmt.Sscan(rest, &kib)
	require.NoError(t, err)
	return kib
}

func (s *shop) request(t *testing.T, method, path, body string) (run struct {
	ID, State string
	Counts    map[string]int
}) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.api+path, bytes.NewBufferString(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+benchKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Less(t, res.StatusCode, 300, string(raw))
	require.NoError(t, json.Unmarshal(raw, &run))
	return run
}

func (s *shop) begin(t *testing.T) string {
	t.Helper()
	return s.request(t, http.MethodPost, "/v1/runs", `{"mode":"import"}`).ID
}

func (s *shop) done(t *testing.T, id string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		run := s.request(t, http.MethodGet, "/v1/runs/"+id, "")
		if run.State == "done" {
			return
		}
		require.Less(t, time.Now(), deadline, "%+v", run)
	}
}

// counter stands between Tandem and Postgres and counts statements.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) statements() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// home is a folder that other users may pass: as root, Postgres runs as somebody else.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tandem-bench-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}
