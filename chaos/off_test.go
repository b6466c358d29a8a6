//go:build !chaos

package chaos_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoPointIsInAnOrdinaryBuild looks for the names in the binary that is shipped, and, so that the search is known to
// find them, in one that is built for chaos.
func TestNoPointIsInAnOrdinaryBuild(t *testing.T) {
	t.Parallel()
	for _, build := range []struct {
		tags string
		want bool
	}{{"", false}, {"chaos", true}} {
		program := filepath.Join(t.TempDir(), "tandem")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", build.tags, "-o", program, "../cmd/tandem").CombinedOutput()
		require.NoError(t, err, string(out))
		binary, err := os.ReadFile(program)
		require.NoError(t, err)
		for _, trace := range []string{"after_stripe_before_mapping", "wh.after_verify_before_ledger", "plan.before_commit", "CHAOS_PLAN", "chaos: killed at"} {
			require.Equal(t, build.want, bytes.Contains(binary, []byte(trace)), "%q in a build with tags %q", trace, build.tags)
		}
	}
}
