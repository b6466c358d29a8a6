//go:build chaos

package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanIsReadOrRefused(t *testing.T) {
	t.Parallel()
	p, err := read("create.before_stripe:hit=2:kill", "")
	require.NoError(t, err)
	require.False(t, p.strikes("create.before_stripe"))
	require.False(t, p.strikes("create.after_stripe"), "another point is not counted")
	require.True(t, p.strikes("create.before_stripe"))
	require.False(t, p.strikes("create.before_stripe"), "one death is enough")

	for _, wrong := range []string{"x", "x:hit=1", "x:hit=0:kill", "x:hit=one:kill", "x:2:kill", ":hit=1:kill", "x:hit=1:laugh", "x:hit=1:kill:y"} {
		_, err := read(wrong, "")
		require.Error(t, err, wrong)
	}
	none, err := read("", "")
	require.NoError(t, err)
	require.False(t, none.strikes(""))
}

func TestNothingIsCountedBeforeThePlanIsArmed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "arm")
	p, err := read("x:hit=1:kill", file)
	require.NoError(t, err)
	require.False(t, p.strikes("x"))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.True(t, p.strikes("x"))
}

func TestDeathIsByKill(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHAOS_PLAN") != "" {
		PointOf("a", "point")
		return
	}
	self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDeathIsByKill$")
	self.Env = append(os.Environ(), "CHAOS_PLAN=a.point:hit=1:kill")
	out, err := self.CombinedOutput()
	require.Error(t, err, string(out))
	status, ok := self.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, self.ProcessState.String())
	require.Equal(t, "chaos: killed at a.point, hit 1\n", string(out))
}
