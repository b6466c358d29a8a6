package edges_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root     = "../.."
	document = root + "/docs/decisions/0009-forty-edge-cases.md"
)

var (
	tableRow = regexp.MustCompile(`(?m)^\| (\d+) \|.*\| (.+) \|$`)
	caseName = regexp.MustCompile(`\{"(\d\d_[0-9a-z_]+)",`)
	testName = regexp.MustCompile("`(Test[A-Za-z_]+)(?:/([0-9a-z_]+))?`")
)

// TestDocumentTellsTheTruth: every number has a test, or says that there is none; every test that is named exists; and
// no case is left out.
func TestDocumentTellsTheTruth(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	tests := testSources(t)
	rows := tableRow.FindAllStringSubmatch(string(text), -1)
	require.Len(t, rows, 40)
	listed := map[string]bool{}
	for i, row := range rows {
		require.Equal(t, strconv.Itoa(i+1), row[1])
		named := testName.FindAllStringSubmatch(row[2], -1)
		require.True(t, len(named) > 0 || strings.Contains(row[0], "no test"), row[0])
		require.Equal(t, len(named)*2, strings.Count(row[2], "`"), "what is no test's name: %s", row[2])
		for _, n := range named {
			require.True(t, strings.Contains(tests, "func "+n[1]+"(t *testing.T)"), "case %s: no test is called %s", row[1], n[1])
			if n[2] != "" {
				require.True(t, strings.Contains(tests, strconv.Quote(n[2])), "case %s: no case is called %s", row[1], n[2])
				require.Regexp(t, "^0?"+row[1]+"_", n[2])
				listed[n[2]] = true
			}
		}
	}
	for _, c := range caseName.FindAllStringSubmatch(tests, -1) {
		require.True(t, listed[c[1]], "%s is not in the document", c[1])
	}
}

// testSources is the text of all tests but this one.
func testSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") || entry.Name() == "document_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	require.NoError(t, err)
	return all.String()
}
