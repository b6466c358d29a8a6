package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tandem-sync/tandem/devstack"
)

// TestOperator is about what a person does with Temporal's own tools, to one or to all who wait. So these tests have a
// stack of their own and take turns.
func TestOperator(t *testing.T) {
	t.Parallel()
	s, err := startStack(stackOptions{ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, end("operator", s, t.Failed())) })
	s.findable(t)
	t.Run("RefusedKey", func(t *testing.T) { refusedKey(t, s) })
	for _, line := range documented(t) {
		t.Run(line, func(t *testing.T) { runsAsDocumented(t, s, line) })
	}
}

// documented are the commands of the operator's document that a Temporal command line can run.
func documented(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operating.md"))
	require.NoError(t, err)
	inside := false
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "```"):
			inside = !inside
		case inside && strings.HasPrefix(line, "temporal "):
			lines = append(lines, line)
		}
	}
	require.GreaterOrEqual(t, len(lines), 10, "the document has changed its form")
	return lines
}

// cli runs a line as a person would type it, with $ID set.
func (s *stack) cli(t tester, id, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	binary, err := devstack.FindTemporal(ctx, devstack.BinaryOptions{})
	require.NoError(t, err, "the stack has found it")
	cmd := exec.CommandContext(ctx, "sh", "-euc", line)
	cmd.Env = append(cleanEnv(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"TEMPORAL_ADDRESS="+s.at.Temporal, "ID="+id)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// waiting is a customer of the kind that a command is about: one whose key is refused, or one with a refused address.
func waiting(t *testing.T, s *stack, kind string) (c customer, fault string) {
	t.Helper()
	c = s.rests(t, s.create(t, person("cli")).ID)
	about := object{"op": "update", "contains": c.stripe().RemoteID, "count": -1}
	state := "parked"
	if kind == "auth" {
		about["kind"], state = "unauthorized", "retrying"
	} else {
		about["kind"], about["code"], about["param"] = "bad_request", "email_invalid", "email"
	}
	fault = s.stripe.fault(t, about)
	s.edit(t, c.ID, object{"name": marker + " waits"})
	s.reaches(t, c.ID, state)
	eventually(t, func(ct *assert.CollectT) {
		require.Contains(ct, s.finds(ct, fmt.Sprintf(`TandemState=%q AND TandemErrorClass=%q`, state, kind)), "outbound/"+c.ID)
	}, "a run that waits")
	return c, fault
}

// finds lists the workflows that a query finds.
func (s *stack) finds(t tester, query string) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	list, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: "default", Query: query})
	require.NoError(t, err)
	for _, e := range list.GetExecutions() {
		ids = append(ids, e.GetExecution().GetWorkflowId())
	}
	return ids
}

// findable returns when waiting runs can be found. A new namespace has to learn the search attributes first.
func (s *stack) findable(t *testing.T) {
	t.Helper()
	c := s.rests(t, s.create(t, person("findable")).ID)
	fault := s.stripe.fault(t, object{"kind": "bad_request", "op": "update", "contains": c.stripe().RemoteID, "count": -1})
	n := 0
	eventually(t, func(ct *assert.CollectT) { // every change parks anew
		n++
		s.edit(ct, c.ID, object{"name": fmt.Sprint(marker, " ", n)})
		require.Contains(ct, s.finds(ct, `TandemState="parked"`), "outbound/"+c.ID)
	}, "the search attributes")
	s.stripe.unfault(t, fault)
	s.edit(t, c.ID, object{"name": marker})
	s.agrees(t, c.ID)
}

func runsAsDocumented(t *testing.T, s *stack, line string) {
	kind := "invalid"
	if strings.Contains(line, `"auth"`) {
		kind = "auth"
	}
	c, fault := waiting(t, s, kind)
	switch {
	case strings.Contains(line, "--name retry"):
		s.stripe.unfault(t, fault)
		s.cli(t, c.ID, line)
		after, _ := s.agrees(t, c.ID)
		require.Nil(t, after.stripe().LastError)
		return
	case strings.Contains(line, "--name skip"):
		s.cli(t, c.ID, line)
		s.ends(t, c.ID)
		skipped := s.customer(t, c.ID).stripe()
		require.Equal(t, "parked", skipped.State)
		require.NotNil(t, skipped.LastError.SkippedAt)
	case strings.Contains(line, `"Inbound"`):
		require.NotContains(t, s.cli(t, c.ID, line), c.ID)
	default:
		out := s.cli(t, c.ID, line)
		require.NotContains(t, out, marker)
		want := map[string]string{"list": "outbound/" + c.ID, "count": "Total: 1", "query": "email_invalid", "metadata": "waits for a person", "describe": "TandemErrorClass"}
		require.Contains(t, out, want[strings.Fields(line)[2]])
	}
	s.stripe.unfault(t, fault)
	s.edit(t, c.ID, object{"phone": nil}) // the next change tries again
	s.agrees(t, c.ID)
}

// ends waits until the customer's run has ended.
func (s *stack) ends(t *testing.T, customerID string) {
	t.Helper()
	eventually(t, func(ct *assert.CollectT) { require.Empty(ct, s.unrest(ct, "outbound/"+customerID)) }, "the end of the run")
}

// refusedKey: nothing reaches the provider, everything else goes on, and when the key works so does everything.
func refusedKey(t *testing.T, s *stack) {
	known := s.rests(t, s.create(t, person("key-known")).ID)
	fault := s.stripe.fault(t, object{"kind": "unauthorized", "count": -1})
	created := s.create(t, person("key-new"))
	edited := s.edit(t, known.ID, object{"name": marker + " edited"})
	require.Equal(t, marker+" edited", edited.Name)
	for _, id := range []string{created.ID, known.ID} {
		failing := s.reaches(t, id, "retrying")
		require.Equal(t, "auth", failing.stripe().LastError.Class)
	}
	came := s.imported(t, s.stripe.create(t, remotePerson("key-came")).ID)
	require.Equal(t, "synced", came.stripe().State, "what comes in needs no key")
	s.edit(t, created.ID, object{"name": marker + " meanwhile"})

	eventually(t, func(ct *assert.CollectT) {
		found := s.finds(ct, `TandemState="retrying" AND TandemProvider="stripe" AND TandemErrorClass="auth"`)
		slices.Sort(found)
		want := []string{"outbound/" + created.ID, "outbound/" + known.ID}
		slices.Sort(want)
		require.Equal(ct, want, found)
	}, "who waits for the key")
	_, metrics := get(t, s.at.Admin+"/metrics")
	require.Contains(t, metrics, `tandem_provider_auth_failing{provider="stripe"} 1`)
	log, err := s.readLog()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "provider.auth_failing"))

	s.stripe.unfault(t, fault) // nobody says retry
	for id, name := range map[string]string{created.ID: marker + " meanwhile", known.ID: marker + " edited"} {
		after, r := s.agrees(t, id)
		require.Nil(t, after.stripe().LastError)
		require.Equal(t, name, r.Name)
		require.Equal(t, []remote{r}, s.stripe.of(t, id))
	}
	_, metrics = get(t, s.at.Admin+"/metrics")
	require.Contains(t, metrics, `tandem_provider_auth_failing{provider="stripe"} 0`)
	eventually(t, func(ct *assert.CollectT) { require.Empty(ct, s.finds(ct, `TandemErrorClass="auth"`)) }, "nobody waits any more")
}
