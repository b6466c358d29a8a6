package api_test

import (
	"context"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/api"
)

func TestOpenAPI(t *testing.T) {
	t.Parallel()

	t.Run("is_valid", func(t *testing.T) {
		t.Parallel()
		doc, _ := document()
		require.NoError(t, doc.Validate(context.Background()))
	})

	t.Run("describes_the_routes_and_nothing_else", func(t *testing.T) {
		t.Parallel()
		doc, _ := document()
		var documented []string
		for path, item := range doc.Paths.Map() {
			for method := range item.Operations() {
				documented = append(documented, method+" "+path)
			}
		}
		var routed []string
		parameter := regexp.MustCompile(`:(\w+)`)
		for _, r := range setup(t).Routes() {
			routed = append(routed, r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}"))
		}
		assert.ElementsMatch(t, documented, routed)
	})

	t.Run("is_served", func(t *testing.T) {
		t.Parallel()
		r := setup(t).call(t, http.MethodGet, "/openapi.yaml", "", "Authorization", "")
		assert.Equal(t, http.StatusOK, r.status)
		assert.Equal(t, api.Document, r.body)
	})
}
