package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// TestPowerCutLosesNothing kills tandem-dev with work in every stage of being done and starts it again on the same
// data. The provider lives on meanwhile, as a provider does: here it is a stand-in in the test's own process.
func TestPowerCutLosesNothing(t *testing.T) {
	t.Parallel()
	server, err := stripetest.Start(stripetest.Options{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	home, err := newHome()
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(home) })
	address := freeAddress(t)
	options := stackOptions{home: home, control: server.ControlURL(), env: []string{
		"STRIPE_API_BASE=" + server.URL(), "STRIPE_REQUESTS_PER_SECOND=100", "TANDEM_HTTP_ADDR=" + address,
	}}
	s, err := startStack(options)
	require.NoError(t, err)
	running := true
	t.Cleanup(func() {
		if running {
			require.NoError(t, s.stop())
		}
	})
	require.Equal(t, "http://"+address, s.at.API)
	s.stripe.do(t, http.MethodPost, "/endpoints", object{"url": s.at.API + "/v1/webhooks/stripe", "secrets": []string{webhookSecret}}, nil)

	before := workInEveryStage(t, s)
	first := s.took
	require.NoError(t, s.kill(), "what tandem-dev started must end with it")

	// Life goes on over there.
	running = false
	s.stripe.edit(t, before.edited.stripe().RemoteID, object{"phone": "+1 555 3333"})
	s.stripe.remove(t, before.deleted.stripe().RemoteID)
	added := s.stripe.create(t, remotePerson("while-down"))
	s.stripe.do(t, http.MethodDelete, "/faults", nil, nil)
	s.stripe.resume(t)

	s, err = startStack(options)
	require.NoError(t, err, "it must start on what a power cut has left")
	running = true
	t.Logf("first start %.1f s, start after the power cut %.1f s", first.Seconds(), s.took.Seconds())

	for i, p := range before.unanswered { // a caller who got no answer asks again
		c := s.create(t, p, "Idempotency-Key", fmt.Sprint("e2e power cut ", i))
		s.agrees(t, c.ID)
		require.Len(t, s.stripe.of(t, c.ID), 1)
		require.Equal(t, 1, s.count(t, `SELECT count(*) FROM customers WHERE email = $1`, p["email"]))
	}
	for _, id := range before.acknowledged {
		c, r := s.agrees(t, id)
		require.Equal(t, []remote{r}, s.stripe.of(t, id), "%s", c.Name)
		require.Equal(t, 1, s.count(t, `SELECT count(*) FROM customers WHERE email = $1`, c.Email))
	}
	c, r := s.agrees(t, before.edited.ID)
	require.Equal(t, marker+" acknowledged", r.Name, "an acknowledged edit was lost")
	require.Equal(t, "+1 555 3333", c.Phone)
	s.archived(t, before.deleted.ID)
	s.agrees(t, s.imported(t, added.ID).ID)
	require.Equal(t, 0, s.count(t, `SELECT count(*) FROM entity_integration_mappings WHERE state NOT IN ('synced', 'archived')`))

	require.NoError(t, s.privateInLog())
	running = false
	require.NoError(t, s.stop(), "the second end is a clean one")
}

// interrupted is what was going on when the power went.
type interrupted struct {
	acknowledged    []string // customers
	edited, deleted customer
	unanswered      []object // creates whose callers may not have heard
}

func workInEveryStage(t *testing.T, s *stack) interrupted {
	t.Helper()
	out := interrupted{
		edited:  s.rests(t, s.create(t, person("cut-edited")).ID),
		deleted: s.rests(t, s.create(t, person("cut-deleted")).ID),
	}
	out.acknowledged = append(out.acknowledged, out.edited.ID)
	s.stripe.pause(t) // no event gets through any more

	// Done over there, and the answer is lost; then refused for being too many; then under way.
	for _, f := range []struct {
		kind  string
		count int
	}{{"apply_then_drop", 2}, {"rate_limit", 2}, {"hold", -1}} {
		fault := s.stripe.fault(t, object{"kind": f.kind, "op": "create", "count": f.count})
		for i := range 2 {
			out.acknowledged = append(out.acknowledged, s.create(t, person(fmt.Sprint("cut-", f.kind, "-", i))).ID)
		}
		eventually(t, func(c *assert.CollectT) { require.GreaterOrEqual(c, s.stripe.hits(c, fault), 2) }, f.kind)
	}
	hold := s.stripe.fault(t, object{"kind": "hold", "op": "update", "count": -1})
	s.edit(t, out.edited.ID, object{"name": marker + " acknowledged"})
	eventually(t, func(c *assert.CollectT) { require.Positive(c, s.stripe.hits(c, hold)) }, "the update under way")

	// And callers in the middle of their requests.
	var answered atomic.Int64
	for i := range 24 {
		p := person(fmt.Sprint("cut-unanswered-", i))
		out.unanswered = append(out.unanswered, p)
		go func() {
			// The answer, an error most likely, is what nobody hears.
			_, _ = s.try(context.Background(), http.MethodPost, "/v1/customers", p, "Idempotency-Key", fmt.Sprint("e2e power cut ", i))
			answered.Add(1)
		}()
	}
	eventually(t, func(c *assert.CollectT) { require.Positive(c, answered.Load()) }, "the first of them")
	return out
}

// freeAddress stays the same over the restart, as a webhook's address does.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestSecondStackOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	first, err := startStack(stackOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, first.stop()) })
	second := exec.CommandContext(t.Context(), program, "--free-ports", "--data-dir", first.dataDir)
	second.Env = cleanEnv()
	out, err := second.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), fmt.Sprintf("in use by a running process (id %d)", first.at.PID))
	first.agrees(t, first.create(t, person("still-here")).ID)
}
