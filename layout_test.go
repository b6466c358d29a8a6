package tandem_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tandem-sync/tandem"

// mayImport is who may import whom, beside the standard library. A room that is not listed is a room nobody has
// thought about yet. A trailing slash allows everything below.
var mayImport = map[string][]string{
	"":                            {},
	"chaos":                       {},
	"workflows":                   {module, module + "/activities", "go.temporal.io/sdk/"},
	"activities":                  {module, module + "/chaos", "go.temporal.io/sdk/"},
	"starter":                     {module, module + "/chaos", module + "/workflows", "go.temporal.io/sdk/", "go.temporal.io/api/"},
	"worker":                      {module, module + "/workflows", module + "/activities", "go.temporal.io/sdk/", "go.temporal.io/api/"},
	"db":                          {module, module + "/chaos", "github.com/jmoiron/sqlx", "github.com/lib/pq", "github.com/oklog/ulid/v2", "github.com/pressly/goose/v3/"},
	"db/dbtest":                   {module, module + "/db", module + "/devstack", "github.com/oklog/ulid/v2", "github.com/stretchr/testify/"},
	"providers/stripe":            {module, "github.com/stripe/stripe-go/v76/", "github.com/tidwall/gjson"},
	"providers/stripe/stripetest": {},
	"providers/providertest":      {module, "github.com/stretchr/testify/"},
	"api":                         {module, module + "/chaos", "github.com/labstack/echo/v4/", "github.com/prometheus/client_golang/", "github.com/oklog/ulid/v2"},
	"app":                         {module + "/", "go.temporal.io/sdk/", "github.com/prometheus/", "go.opentelemetry.io/otel/", "github.com/caarlos0/env/v11", "golang.org/x/sync/", "golang.org/x/time/rate", "google.golang.org/grpc/"},
	"simtest":                     {module, "pgregory.net/rapid"},
	"devstack":                    {"go.temporal.io/", "google.golang.org/", "github.com/lib/pq", "github.com/fergusstrange/embedded-postgres", "golang.org/x/sys/"},
	"bench":                       {},
	"cli":                         {"github.com/spf13/cobra", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
	"cmd/tandem":                  {module, module + "/app", module + "/cli", "github.com/spf13/cobra"},
	"cmd/tandem-dev":              {module, module + "/app", module + "/db", module + "/devstack", module + "/providers/stripe/stripetest", "go.temporal.io/sdk/", "github.com/spf13/cobra", "golang.org/x/sync/"},
}

// notInProduction never reaches the binary that is shipped.
var notInProduction = []string{"/devstack", "/db/dbtest", "/providers/stripe/stripetest", "/providers/providertest", "/simtest", "/e2e", "/bench"}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, known := mayImport[room]
		if !known && len(p.GoFiles) == 0 {
			continue // tests only
		}
		require.True(t, known, "package %q has no import rule", room)
		for _, imported := range p.Imports {
			require.True(t, isStandard(imported) || matches(imported, allowed), "%q must not import %q", room, imported)
		}
	}
}

func TestAppKnowsNoTestPackage(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "-deps", "./cmd/tandem") {
		for _, forbidden := range notInProduction {
			require.NotEqual(t, module+forbidden, p.ImportPath)
		}
	}
}

// TestRootStaysSmall: the vocabulary is read before anything else.
func TestRootStaysSmall(t *testing.T) {
	t.Parallel()
	files := list(t, ".")[0].GoFiles
	require.LessOrEqual(t, len(files), 10)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		lines := 0
		for scanner := bufio.NewScanner(f); scanner.Scan(); {
			lines++
		}
		require.NoError(t, f.Close())
		require.LessOrEqual(t, lines, 400, name)
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,GoFiles"}, args...)...).Output()
	require.NoError(t, err)
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		packages = append(packages, p)
	}
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func matches(path string, allowed []string) bool {
	for _, a := range allowed {
		if path == strings.TrimSuffix(a, "/") || strings.HasSuffix(a, "/") && strings.HasPrefix(path, a) {
			return true
		}
	}
	return false
}
