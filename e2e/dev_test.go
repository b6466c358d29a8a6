package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRefusedConfigurationStartsNothing runs tandem-dev with faults of both kinds: a value that cannot be read, and one
// that means nothing.
func TestRefusedConfigurationStartsNothing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--ephemeral", "--free-ports"}, {"demo"}} {
		home := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = home
		cmd.Env = append(cleanEnv(), "TMPDIR="+home, "TANDEM_DRAIN_EVERY=often", "TANDEM_ENVIRONMENT=Not A Name", "TANDEM_ON_ARHIVE=keep")
		begun := time.Now()
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Less(t, time.Since(begun), 10*time.Second, "it has not waited for a server")
		for _, fault := range []string{
			"TANDEM_DRAIN_EVERY: must be a duration", "TANDEM_ENVIRONMENT: names this installation", "did you mean TANDEM_ON_ARCHIVE?",
		} {
			require.Contains(t, string(out), fault)
		}
		left, err := filepath.Glob(filepath.Join(home, "*"))
		require.NoError(t, err)
		require.Empty(t, left)
		_, err = os.Stat(filepath.Join(home, ".tandem"))
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}
