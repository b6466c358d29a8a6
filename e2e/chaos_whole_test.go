//go:build chaos

package e2e_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	onePoint  = regexp.MustCompile(`chaos\.Point\("([a-z_.0-9]+)"\)`)
	manyPoint = regexp.MustCompile(`chaos\.PointOf\(string\(([A-Za-z.]+)\), "([a-z_]+)"\)`)
)

// acts are what a PointOf is named by, besides its place.
var acts = map[string][]string{
	"call.Action": {"create", "update", "delete"}, "in.Call.Action": {"create", "update", "delete"}, "word": {"retry", "skip"},
}

// TestCrashMatrixHasEveryPoint: a point that no case strikes is a hole nobody sees, and a name in the matrix that is in
// no source is a case that cannot run. Workflow code, which is replayed, has no points.
func TestCrashMatrixHasEveryPoint(t *testing.T) {
	t.Parallel()
	inSource, inMatrix := map[string]bool{}, map[string]bool{}
	for _, line := range pointsIn(t, "..") {
		one, many := onePoint.FindStringSubmatch(line), manyPoint.FindStringSubmatch(line)
		switch {
		case one != nil:
			inSource[one[1]] = true
		case many != nil && acts[many[1]] != nil:
			for _, act := range acts[many[1]] {
				inSource[act+"."+many[2]] = true
			}
		default:
			require.Fail(t, "a point this test cannot read", line)
		}
	}
	for _, c := range cases(true) {
		require.False(t, inMatrix[c.point], "%s is in the matrix twice", c.point)
		inMatrix[c.point] = true
	}
	require.Equal(t, slices.Sorted(maps.Keys(inSource)), slices.Sorted(maps.Keys(inMatrix)))
	for _, c := range cases(false) {
		require.Contains(t, flows, c.flow)
	}
	t.Logf("%d points, %d cases", len(inMatrix), len(cases(false)))
}

// pointsIn are the lines of the source that are points.
func pointsIn(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "chaos.Point") {
				require.NotContains(t, path, "workflows", "workflow code is replayed: a point there is a point in the past")
				lines = append(lines, path+": "+line)
			}
		}
		return err
	}))
	return lines
}
