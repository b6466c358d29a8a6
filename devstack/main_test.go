package devstack

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// helperEnv makes this test binary act as a caller of the package that tests
// can kill: "postgres:<dir>" or "temporal:<database file>:<binary>".
const helperEnv = "DEVSTACK_TEST_HELPER"

func TestMain(m *testing.M) {
	if what := os.Getenv(helperEnv); what != "" {
		actAsCaller(strings.SplitN(what, ":", 3))
		return
	}
	goleak.VerifyTestMain(m)
}

// actAsCaller starts a server, prints its process id, and waits to be killed.
func actAsCaller(args []string) {
	ctx := context.Background()
	var pid int
	var err error
	switch args[0] {
	case "postgres":
		var pg *Postgres
		if pg, err = StartPostgres(ctx, PostgresOptions{DataDir: args[1], Ephemeral: true}); err == nil {
			pid = pg.PID()
		}
	case "temporal":
		var tp *Temporal
		if tp, err = StartTemporal(ctx, TemporalOptions{DBFile: args[1], Binary: args[2], Headless: true}); err == nil {
			pid = tp.PID()
		}
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println(pid)
	select {}
}

// startCaller runs the helper and returns it with the server's process id.
func startCaller(t *testing.T, what string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+what)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the helper said nothing")
	pid, err := strconv.Atoi(lines.Text())
	require.NoError(t, err, lines.Text())
	return cmd, pid
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
}

func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return commandLine(pid) == "" },
		30*time.Second, 20*time.Millisecond, "process %d is still there", pid)
}

// openDir is a folder that the unprivileged server user may enter, which
// t.TempDir is not when root runs the tests.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devstack-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "home")
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
