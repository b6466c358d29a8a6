//go:build chaos

package e2e_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/devstack"
)

// atOnceMost is how many cases run beside each other. Most of a case is waiting for Temporal's time-outs.
const atOnceMost = "24"

// run replaces the calm stack: a binary with points would be the wrong one for the other tests, so with this tag only
// the matrix runs.
func run(m *testing.M) (int, error) {
	if err := flag.Set("test.parallel", atOnceMost); err != nil {
		return 1, err
	}
	if flag.Lookup("test.run").Value.String() == "" {
		if err := flag.Set("test.run", "^TestCrash"); err != nil {
			return 1, err
		}
	}
	dbtest.Main(m) // does not return
	return 0, nil
}

// ground is what lives on when a process dies: the database server, Temporal, and the binary on disk.
type ground struct {
	program    string
	cli        string // Temporal's
	temporal   *devstack.Temporal
	namespaces chan string // one for each case that runs: workers of two cases must not take each other's tasks
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{program: filepath.Join(t.TempDir(), "tandem"), namespaces: make(chan string, 1000)}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "chaos", "-o", g.program, "../cmd/tandem").CombinedOutput()
	require.NoError(t, err, string(out))
	g.cli, err = devstack.EnsureTemporal(t.Context(), devstack.BinaryOptions{})
	require.NoError(t, err)
	g.temporal, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true, Binary: g.cli, LogFile: filepath.Join(logs(t), "temporal.log")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.temporal.Stop()) })
	return g
}

// logs is a folder for what the servers say; CHAOS_LOGS keeps it.
func logs(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("CHAOS_LOGS"); dir != "" {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		return dir
	}
	return t.TempDir()
}

// namespace lends one out until the test ends, making it if none is free.
func (g *ground) namespace(t *testing.T, name string) string {
	t.Helper()
	select {
	case free := <-g.namespaces:
		name = free
	default:
		out, err := exec.CommandContext(t.Context(), g.cli, "operator", "namespace", "create",
			"--address", g.temporal.Address(), "--namespace", name, "--retention", "24h").CombinedOutput()
		require.NoError(t, err, string(out))
	}
	t.Cleanup(func() {
		if !t.Failed() { // what a failed case has left running would disturb the next one
			g.namespaces <- name
		}
	})
	return name
}
