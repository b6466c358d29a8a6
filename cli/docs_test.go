package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/cli"
)

// TestDocumentedCommands: every line for the command line in the operator's document is one that it takes.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operating.md"))
	require.NoError(t, err)
	f := setup(t, nil)
	lines := 0
	for line := range strings.Lines(string(text)) {
		args, found := strings.CutPrefix(strings.TrimSpace(line), "tandem ")
		if !found {
			continue
		}
		lines++
		args, _, _ = strings.Cut(args, " > ")
		r := f.run(strings.Fields(strings.NewReplacer(`"$ID"`, custA, `"$RUN"`, runA).Replace(args))...)
		assert.Equal(t, cli.ExitFailed, r.code, "this API knows nobody, but the line is a good one: %s: %s", line, r.errOut)
	}
	assert.Greater(t, lines, 15, "the document has changed its form")
}
