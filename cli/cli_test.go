package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/cli"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for line, tc := range map[string]struct {
		args []string
		says string
	}{
		"unknown_command":         {[]string{"rums"}, "did you mean runs?"},
		"unknown_subcommand":      {[]string{"runs", "list"}, `tandem runs has no command "list"`},
		"unknown_flag":            {[]string{"runs", "ls", "--sate", "done"}, "unknown flag: --sate"},
		"flag_of_another_kind":    {[]string{"runs", "ls", "--limit", "many"}, "invalid argument"},
		"no_limit":                {[]string{"runs", "ls", "--limit", "0"}, "--limit must be 1 or more"},
		"missing_argument":        {[]string{"runs", "show"}, "accepts 1 arg(s)"},
		"surplus_argument":        {[]string{"import", "stripe"}, "tandem import --help"},
		"unknown_output":          {[]string{"runs", "ls", "-o", "yaml"}, "-o must be table or json"},
		"csv_in_part":             {[]string{"runs", "findings", runA, "--csv", "--limit", "5"}, "whole report"},
		"csv_as_json":             {[]string{"runs", "findings", runA, "--csv", "-o", "json"}, "whole report"},
		"retry_of_nobody":         {[]string{"retry"}, "name a customer"},
		"retry_of_one_and_all":    {[]string{"retry", custA, "--all", "--class", "auth"}, "name a customer"},
		"retry_of_all_without":    {[]string{"retry", "--all"}, "--all wants --class or --state"},
		"retry_of_one_with_class": {[]string{"retry", custA, "--class", "auth"}, "belong to --all"},
		"no_address":              {[]string{"runs", "ls", "--url", "localhost:8080"}, "must look like http"},
		"password_in_the_address": {[]string{"runs", "ls", "--url", "http://me:" + key + "@127.0.0.1"}, "must look like http"},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			f := setup(t, nil)
			r := f.run(tc.args...)
			assert.Equal(t, cli.ExitUsage, r.code, r.errOut)
			assert.Contains(t, r.errOut, tc.says)
			assert.Empty(t, r.out)
			assert.Empty(t, f.requests(), "nothing is asked of the API")
		})
	}

	t.Run("no_key", func(t *testing.T) {
		t.Parallel()
		r := run(t, t.Context(), nil, "runs", "ls")
		assert.Equal(t, result{"", "set TANDEM_API_KEY to an API key", cli.ExitUsage}, r)
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()

	t.Run("names_every_field_that_was_refused", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"POST " + runs: {{422, `{
			"status": 422, "code": "invalid_request", "detail": "some fields are not valid", "request_id": "req-7",
			"errors": [{"field": "provider", "code": "provider_unknown", "message": "must be stripe"}, {"field": "mode", "code": "invalid", "message": "must\u001b[31m be"}]
		}`, "application/problem+json"}}})
		r := f.run("import", "--provider", "other", "-o", "json")
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Empty(t, r.out)
		assert.Equal(t, "some fields are not valid (422, invalid_request, req-7)\n  provider: must be stripe (provider_unknown)\n  mode: must\uFFFD[31m be (invalid)", r.errOut)
	})

	t.Run("says_that_nobody_answers", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(nil)
		server.Close()
		r := run(t, t.Context(), map[string]string{cli.EnvKey: key}, "runs", "ls", "--url", server.URL)
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Contains(t, r.errOut, "no answer from "+server.URL+"; is Tandem running there?")
		assert.Contains(t, r.errOut, "connection refused")
	})

	t.Run("takes_a_key_from_a_file_as_it_is", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET " + runs: ok(page())})
		assert.Equal(t, 0, run(t, t.Context(), map[string]string{cli.EnvURL: f.URL + "/", cli.EnvKey: key + "\n"}, "runs", "ls").code)
	})

	t.Run("says_what_something_before_tandem_answers", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET " + runs: {{502, "<html>", "text/html"}}})
		assert.Equal(t, result{"", "Bad Gateway (502)", cli.ExitFailed}, f.run("runs", "ls"))
	})

	t.Run("takes_no_web_page_for_an_answer", func(t *testing.T) {
		t.Parallel()
		f := setup(t, map[string][]reply{"GET " + runs: ok("<html>")})
		r := f.run("runs", "ls")
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Contains(t, r.errOut, "is "+f.URL+" the address of a Tandem?")
	})

	t.Run("takes_the_key_nowhere_else", func(t *testing.T) {
		t.Parallel()
		other := setup(t, nil)
		server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
		t.Cleanup(server.Close)
		r := run(t, t.Context(), map[string]string{cli.EnvKey: key, cli.EnvURL: server.URL}, "runs", "ls")
		assert.Equal(t, cli.ExitFailed, r.code)
		assert.Empty(t, other.requests())
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	item := `{"id":"x","name":"<b> & ü","counts":{},"unknown_to_this_release":1.50}`
	list := `{"items":[` + item + `],"pagination":{"limit":20}}`
	sync := `{"workflow_id":"w","run_id":"r"}`
	f := setup(t, map[string][]reply{
		"GET " + runs: ok(list), "GET " + runs + "/a": ok(item), "GET " + runs + "/a/findings": ok(list), "POST " + runs: ok(item),
		"POST " + runs + "/a/control": ok(item), "GET /v1/customers/a": ok(item), "GET /v1/customers/a/journal": ok(list),
		"POST /v1/customers/a/sync": ok(sync), "GET /v1/provider-events": ok(list), "POST /v1/provider-events/a/replay": ok(sync),
		"GET /v1/entity-integration-mappings": ok(list), "POST /v1/entity-integration-mappings": ok(item),
		"DELETE /v1/entity-integration-mappings/a": {{204, "", ""}}, "GET /v1/providers": ok(`{"items":[{"name":"stripe"}]}`),
		"POST /v1/providers/stripe/catch-up": ok(sync),
	})
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"import", "--plan"}, item},
		{[]string{"runs", "ls"}, list},
		{[]string{"runs", "show", "a"}, item},
		{[]string{"runs", "findings", "a"}, list},
		{[]string{"runs", "cancel", "a"}, item},
		{[]string{"customers", "show", "a"}, item},
		{[]string{"customers", "journal", "a"}, list},
		{[]string{"customers", "sync", "a"}, sync},
		{[]string{"events", "ls"}, list},
		{[]string{"events", "replay", "a"}, sync},
		{[]string{"mappings", "ls"}, list},
		{[]string{"mappings", "link", "a", "b"}, item},
		{[]string{"mappings", "unlink", "a"}, "{}"},
		{[]string{"providers"}, `{"items":[{"name":"stripe"}]}`},
		{[]string{"catch-up"}, sync},
		{[]string{"retry", "a"}, sync},
	} {
		r := f.run(append(tc.args, "-o", "json")...)
		require.Equal(t, 0, r.code, "%s: %s", tc.args, r.errOut)
		assert.Equal(t, tc.want+"\n", r.out, "as the API has it: %s", tc.args)
		assert.True(t, json.Valid([]byte(r.out)), tc.args)
		assert.Empty(t, r.errOut, tc.args)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"runs", "ls", "--state", ""}, "running\npaused\ndone\ncancelled\n:4\n"},
		{[]string{"runs", "ls", "-o", ""}, "table\njson\n:4\n"},
		{[]string{"retry", "--all", "--class", ""}, "transient\nambiguous\nrate_limited\ninvalid\nauth\ngone\nconflict\nbug\n:4\n"},
		{[]string{"runs", "show", ""}, ":4\n"},
	} {
		r := run(t, t.Context(), nil, append([]string{"__complete"}, tc.args...)...)
		assert.Equal(t, tc.want, r.out, tc.args)
	}
	assert.Contains(t, run(t, t.Context(), nil, "completion", "bash").out, "bash completion")
}
