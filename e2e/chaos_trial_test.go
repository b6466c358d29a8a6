//go:build chaos

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/tandem-sync/tandem/app"
	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// settleTimeout is above Temporal's longest time-out for an act whose worker has died, the minute of a lookup's
// heartbeat, and some.
const settleTimeout = 150 * time.Second

var silent = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

// trial is one case: a tandem process with a database, a Temporal namespace and a stand-in of its own. Everything
// happens in the test's goroutine: whoever waits for something looks after the process on the way, as an init system
// would, and starts it again, without the plan, when it is dead.
type trial struct {
	*stack
	t       *testing.T
	crash   crash
	program string
	env     []string
	arm     string // the file that arms the plan
	server  *stripetest.Server
	process *tandemProcess
	want    map[string]*expectation
	asked   int    // requests, which also numbers them
	mayRest string // the state of a mapping that waits for a person, where that is part of the flow

	deaths    int
	died      time.Time // the last of them
	resent    int       // requests that had to be made again
	settledIn time.Duration
}

func newTrial(t *testing.T, g *ground, c crash) *trial {
	t.Helper()
	tr := &trial{stack: &stack{}, t: t, crash: c, program: g.program, arm: filepath.Join(t.TempDir(), "arm"), want: map[string]*expectation{}}
	var err error
	tr.server, err = stripetest.Start(stripetest.Options{Settings: stripetest.Settings{
		RetryFirst: 100 * time.Millisecond, RetryMax: time.Second, MaxAttempts: 1000,
	}})
	require.NoError(t, err)
	t.Cleanup(tr.server.Close)
	url, namespace := dbtest.NewURL(t), g.namespace(t, "crash-"+fmt.Sprint(time.Now().UnixNano()))
	tr.stripe = standIn{control: tr.server.ControlURL()}
	tr.db, err = sqlx.Open("postgres", url)
	require.NoError(t, err)
	tr.db.SetMaxOpenConns(1)
	tr.temporal, err = client.NewLazyClient(client.Options{HostPort: g.temporal.Address(), Namespace: namespace, Logger: silent})
	require.NoError(t, err)
	t.Cleanup(tr.disconnect)
	tr.env = append(cleanEnv(),
		"DATABASE_URL="+url, "TANDEM_DATABASE_MAX_CONNS=4", "TEMPORAL_ADDRESS="+g.temporal.Address(), "TEMPORAL_NAMESPACE="+namespace,
		"STRIPE_API_KEY="+stripeKey, "STRIPE_API_BASE="+tr.server.URL(), "STRIPE_WEBHOOK_SECRETS="+webhookSecret, "STRIPE_REQUESTS_PER_SECOND=100",
		"TANDEM_HTTP_ADDR=127.0.0.1:0", "TANDEM_ADMIN_ADDR=127.0.0.1:0", "TANDEM_ENVIRONMENT="+environment,
		"TANDEM_API_KEYS="+string(app.HashKey(apiKey)), "TANDEM_CATCH_UP_EVERY=0", "TANDEM_RECONCILE_EVERY=0",
	)
	tr.start(tr.plan(c.hit)...)
	t.Cleanup(func() { tr.process.end() })
	return tr
}

// tandemProcess is one run of cmd/tandem.
type tandemProcess struct {
	cmd    *exec.Cmd
	out    *announcement
	errors *output
	ended  chan struct{}
}

// announcement collects the log and tells the address as soon as the process says it.
type announcement struct {
	output
	said    bool
	address chan string
}

func (a *announcement) Write(p []byte) (int, error) {
	n, err := a.output.Write(p)
	if a.said {
		return n, err
	}
	for line := range strings.Lines(a.String()) {
		var said struct{ Msg, API string }
		if strings.Contains(line, `"app.ready"`) && json.Unmarshal([]byte(line), &said) == nil {
			a.said = true
			a.address <- said.API
		}
	}
	return n, err
}

func (tr *trial) start(env ...string) {
	tr.t.Helper()
	p := &tandemProcess{cmd: exec.Command(tr.program, "all"), out: &announcement{address: make(chan string, 1)}, errors: &output{}, ended: make(chan struct{})}
	p.cmd.Env = append(slices.Clone(tr.env), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.errors
	require.NoError(tr.t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	tr.process = p
	select {
	case tr.at.API = <-p.out.address:
	case <-p.ended:
		require.NotEmpty(tr.t, env, "tandem ended during its start: %s\n%s\n%s", p.cmd.ProcessState, p.errors, p.out)
		tr.mend() // the plan may strike work that an earlier life left, before this one says that it is ready
		return
	case <-time.After(settleTimeout):
		require.Fail(tr.t, "tandem is not ready", "%s", p.out)
	}
	tr.server.SetWebhook(tr.at.API+"/v1/webhooks/stripe", webhookSecret)
}

func (p *tandemProcess) end() {
	_ = p.cmd.Process.Kill() // an error means that it has ended already
	<-p.ended
}

// ready arms the plan: from now on, passing the point counts.
func (tr *trial) ready() { require.NoError(tr.t, os.WriteFile(tr.arm, nil, 0o600)) }

func (tr *trial) struck() bool { return tr.deaths > 0 }

func (tr *trial) plan(hit int) []string {
	return []string{fmt.Sprintf("CHAOS_PLAN=%s:hit=%d:kill", tr.crash.point, hit), "CHAOS_ARM=" + tr.arm}
}

// mend starts the process again if it is dead, once it is known to have died as planned.
func (tr *trial) mend() {
	tr.t.Helper()
	select {
	case <-tr.process.ended:
	default:
		return
	}
	p, hit := tr.process, tr.crash.hit
	if tr.deaths > 0 {
		hit = 1
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(tr.t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "%s\n%s\n%s", p.cmd.ProcessState, p.errors, p.out)
	require.Equal(tr.t, fmt.Sprintf("chaos: killed at %s, hit %d\n", tr.crash.point, hit), p.errors.String(), "it died by a kill, but not at the point")
	tr.deaths, tr.died = tr.deaths+1, time.Now()
	if tr.deaths < tr.crash.lives {
		tr.start(tr.plan(1)...)
		return
	}
	tr.start()
}

// ask makes a request as a client does who wants an answer: again, with the same words, until there is one.
func (tr *trial) ask(method, path string, body any, headers ...string) answer {
	tr.t.Helper()
	again := false
	for deadline := time.Now().Add(settleTimeout); ; {
		tr.mend()
		ctx, cancel := context.WithTimeout(tr.t.Context(), 15*time.Second)
		a, err := tr.try(ctx, method, path, body, headers...)
		cancel()
		if err == nil && a.status < 500 {
			return a
		}
		if !again {
			again = true
			tr.resent++
		}
		require.Less(tr.t, time.Now(), deadline, "no answer to %s %s: %v %s", method, path, err, a.body)
		select {
		case <-tr.process.ended:
		case <-time.After(tick):
		}
	}
}

// until waits for a fact and looks after the process meanwhile.
func (tr *trial) until(what string, fact func(tester)) {
	tr.t.Helper()
	for deadline := time.Now().Add(settleTimeout); ; {
		tr.mend()
		complaint := against(fact)
		if complaint == "" {
			return
		}
		require.Less(tr.t, time.Now(), deadline, "%s: %s\n%s", what, complaint, tr.tail())
		select {
		case <-tr.process.ended:
		case <-time.After(2 * tick):
		}
	}
}

// against tells what speaks against a fact; nothing if it is true.
func against(fact func(tester)) string {
	a, done := &attempt{}, make(chan struct{})
	go func() {
		defer close(done)
		fact(a)
	}()
	<-done
	return a.complaints.String()
}

// attempt is a tester whose failure is no failure of the test.
type attempt struct{ complaints strings.Builder }

func (a *attempt) Errorf(format string, args ...any) { fmt.Fprintf(&a.complaints, format, args...) }
func (a *attempt) FailNow()                          { runtime.Goexit() }
func (a *attempt) Helper()                           {}

// tail is what the process last said.
func (tr *trial) tail() string {
	lines := bytes.Split([]byte(tr.process.out.String()), []byte("\n"))
	return string(bytes.Join(lines[max(len(lines)-25, 0):], []byte("\n")))
}
