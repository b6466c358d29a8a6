package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/api"
	"github.com/tandem-sync/tandem/cli"
)

const (
	key    = "sk_canary_5e11"
	custA  = "cust_01JD3Z8Q4V7T9N2M5K6P8R0S1A"
	runA   = "run_01JD3Z8Q4V7T9N2M5K6P8R0S1F"
	runs   = "/v1/runs"
	jsonOf = "application/json"
)

// fake is an API that gives the answers it was told to, each as often as it is asked for, the last of a list for ever.
type fake struct {
	*httptest.Server
	t       *testing.T
	mu      sync.Mutex
	answers map[string][]reply // by method and path
	asked   []string           // method, path with query, and body
}

type reply struct {
	status int
	body   string
	media  string
}

func ok(bodies ...string) (out []reply) {
	for _, b := range bodies {
		out = append(out, reply{http.StatusOK, b, jsonOf})
	}
	return out
}

func setup(t *testing.T, answers map[string][]reply) *fake {
	t.Helper()
	f := &fake{t: t, answers: answers}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	line := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
	f.asked = append(f.asked, line)
	if r.Header.Get("Authorization") != "Bearer "+key {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.fitsDocument(r, body)
	rest := f.answers[r.Method+" "+r.URL.RequestURI()]
	if rest == nil {
		rest = f.answers[r.Method+" "+r.URL.Path]
	}
	if len(rest) == 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"title":"Not Found","code":"not_found","detail":"nothing here"}`)
		return
	}
	if len(rest) > 1 {
		f.answers[r.Method+" "+r.URL.Path] = rest[1:]
	}
	w.Header().Set("Content-Type", rest[0].media)
	w.WriteHeader(rest[0].status)
	_, _ = io.WriteString(w, rest[0].body)
}

var document = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

// fitsDocument holds a request against openapi.yaml: its route, parameters and body.
func (f *fake) fitsDocument(r *http.Request, body []byte) {
	router, err := document()
	if !assert.NoError(f.t, err) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := router.FindRoute(r)
	if !assert.NoError(f.t, err, "%s %s", r.Method, r.URL) {
		return
	}
	known := []string{}
	for _, parameters := range []openapi3.Parameters{route.Operation.Parameters, route.PathItem.Parameters} {
		for _, p := range parameters {
			known = append(known, p.Value.Name)
		}
	}
	for name := range r.URL.Query() {
		assert.Contains(f.t, known, name, "%s %s", r.Method, r.URL)
	}
	assert.NoError(f.t, openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, SkipSettingDefaults: true},
	}), "%s %s %s", r.Method, r.URL, body)
}

func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

// result is what a command has printed, and what the process would end with.
type result struct {
	out, errOut string
	code        int
}

// run gives the program a command line, against this API.
func (f *fake) run(args ...string) result {
	f.t.Helper()
	return run(f.t, f.t.Context(), map[string]string{cli.EnvURL: f.URL, cli.EnvKey: key}, args...)
}

func run(t *testing.T, ctx context.Context, env map[string]string, args ...string) result {
	t.Helper()
	return runAt(t, ctx, false, env, args...)
}

func runAt(t *testing.T, ctx context.Context, terminal bool, env map[string]string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	root := &cobra.Command{Use: "tandem", SilenceUsage: true, SilenceErrors: true}
	cli.AddTo(root, cli.Options{
		Getenv: func(name string) string { return env[name] }, Poll: time.Millisecond,
		IsTerminal: func(io.Writer) bool { return terminal },
	})
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errOut)
	err := root.ExecuteContext(ctx)
	if err != nil {
		errOut.WriteString(err.Error())
	}
	require.NotContains(t, out.String()+errOut.String(), key)
	return result{out.String(), errOut.String(), cli.ExitCode(err)}
}

// table is what a test wants printed, written with an indent.
func table(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
