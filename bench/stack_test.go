//go:build bench

package bench_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver of the facts
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/devstack"
)

// stack is cmd/tandem-dev as a user runs it, but with a Temporal that can be stopped under it.
type stack struct {
	temporal *devstack.Temporal
	options  devstack.TemporalOptions
	db       *sqlx.DB
	at       struct{ API, Admin, Database string }
	pid      int // of tandem-dev
}

func startStack(t *testing.T) *stack {
	t.Helper()
	home := t.TempDir()
	program := filepath.Join(home, "tandem-dev")
	out, err := exec.Command("go", "build", "-o", program, "../cmd/tandem-dev").CombinedOutput()
	require.NoError(t, err, string(out))

	s := &stack{options: devstack.TemporalOptions{DBFile: filepath.Join(home, "temporal.db"), Headless: true}}
	s.startTemporal(t)
	t.Cleanup(func() { s.stopTemporal(t) })
	_, port, err := net.SplitHostPort(s.temporal.Address())
	require.NoError(t, err)
	s.options.Port, err = strconv.Atoi(port) // when it comes back it has to be found
	require.NoError(t, err)

	ready := filepath.Join(home, "ready.json")
	log, err := os.Create(filepath.Join(home, "tandem.log"))
	require.NoError(t, err)
	cmd := exec.Command(program, "--free-ports", "--quiet", "--data-dir", filepath.Join(home, "data"), "--ready-file", ready)
	cmd.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+s.temporal.Address(), "TANDEM_CATCH_UP_EVERY=0", "TANDEM_RECONCILE_EVERY=0")
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	s.pid = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			raw, _ := os.ReadFile(log.Name())
			fmt.Println(string(raw[max(0, len(raw)-4000):]))
		}
	})
	for up := false; !up; {
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "tandem-dev has ended", "%v", err)
		case <-time.After(50 * time.Millisecond):
		}
		raw, err := os.ReadFile(ready)
		up = err == nil && json.Unmarshal(raw, &s.at) == nil
	}
	s.db, err = sqlx.Open("postgres", s.at.Database)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

func (s *stack) startTemporal(t *testing.T) {
	t.Helper()
	var err error
	s.temporal, err = devstack.StartTemporal(t.Context(), s.options)
	require.NoError(t, err)
}

func (s *stack) stopTemporal(t *testing.T) {
	t.Helper()
	require.NoError(t, s.temporal.Stop())
}

// number reads a setting of a run.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func (s *stack) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, s.db.Get(&n, query, args...))
	return n
}
