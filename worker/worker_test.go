package worker_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/goleak"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/worker"
	"github.com/tandem-sync/tandem/workflows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registry writes down what is registered.
type registry struct {
	sdkworker.WorkflowRegistry
	names map[string]string // function → name
}

func (r registry) RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions) {
	for name, fn := range map[string]any{"Outbound": workflows.Outbound, "Inbound": workflows.Inbound, "Drain": workflows.Drain,
		"Reconcile": workflows.Reconcile, "CatchUp": workflows.CatchUp} {
		if reflect.ValueOf(fn).Pointer() == reflect.ValueOf(w).Pointer() {
			r.names[name] = o.Name
		}
	}
}

// sources are the files of the package workflows, without its tests.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "workflows", "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

func TestRegisterWorkflows_forgets_none(t *testing.T) {
	t.Parallel()
	r := registry{names: map[string]string{}}
	worker.RegisterWorkflows(r)
	for _, f := range sources(t) {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !fn.Name.IsExported() || !takesContext(fn) {
				continue
			}
			require.Equal(t, fn.Name.Name, r.names[fn.Name.Name], "open runs know it by this name")
			delete(r.names, fn.Name.Name)
		}
	}
	require.Empty(t, r.names)
}

func takesContext(fn *ast.FuncDecl) bool {
	params := fn.Type.Params.List
	if len(params) == 0 || fn.Type.Results == nil {
		return false
	}
	sel, ok := params[0].Type.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Context"
}

// used lists the acts that the workflows name, by how they are run.
func used(t *testing.T) (local, remote map[string]bool) {
	t.Helper()
	local, remote = map[string]bool{}, map[string]bool{}
	for _, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "ExecuteLocalActivity" && sel.Sel.Name != "ExecuteActivity" {
				return true
			}
			act, ok := call.Args[1].(*ast.SelectorExpr)
			require.True(t, ok)
			if sel.Sel.Name == "ExecuteActivity" {
				remote[act.Sel.Name] = true
			} else {
				local[act.Sel.Name] = true
			}
			return true
		})
	}
	return local, remote
}

// probe runs one act once and says how that ended.
func probe(ctx workflow.Context, queue, act string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, StartToCloseTimeout: 10 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	err := workflow.ExecuteActivity(ctx, act, nil).Get(ctx, nil)
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type(), nil
	}
	if _, ok := errors.AsType[*temporal.PanicError](err); ok {
		return "", nil // it ran, and missed its store
	}
	return "", err
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	server, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: server.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	prober := sdkworker.New(c, "probe", sdkworker.Options{})
	prober.RegisterWorkflow(probe)
	prober.RegisterWorkflow(callSlowly)
	require.NoError(t, prober.Start())
	t.Cleanup(prober.Stop)
	run := func(t *testing.T, queue, act string) (kind string) {
		t.Helper()
		r, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "probe"}, probe, queue, act)
		require.NoError(t, err)
		require.NoError(t, r.Get(t.Context(), &kind))
		return kind
	}

	slow := &provider{name: "slow", begun: make(chan struct{}), let: make(chan struct{})}
	workers := worker.New(c, &activities.Activities{
		Providers: tandem.Providers{&provider{name: "one"}, &provider{name: "two"}, slow}, Metrics: noMetrics{}, Logger: slog.New(slog.DiscardHandler),
	}, worker.Options{RequestsPerSecond: 1000, StopTimeout: 10 * time.Second})
	require.NoError(t, workers.Start())

	local, remote := used(t)
	require.NotEmpty(t, local)
	require.NotEmpty(t, remote)
	acts := reflect.TypeFor[*activities.Activities]()
	for i := range acts.NumMethod() {
		act := acts.Method(i).Name
		require.True(t, local[act] || remote[act], "no workflow runs %s", act)
	}
	var queues [][2]string
	for act := range local {
		queues = append(queues, [2]string{workflows.TaskQueue, act})
	}
	for act := range remote {
		for _, provider := range []string{"one", "two"} {
			queues = append(queues, [2]string{tandem.TaskQueue(provider), act})
		}
	}
	t.Run("every act is registered where the workflows look for it", func(t *testing.T) {
		for _, q := range queues {
			require.NotEqual(t, "ActivityNotRegisteredError", run(t, q[0], q[1]), "%s on %s", q[1], q[0])
		}
		require.Equal(t, "ActivityNotRegisteredError", run(t, workflows.TaskQueue, "NoSuchAct"), "this test would not notice")
	})
	t.Run("a stop waits for the call that is under way", func(t *testing.T) {
		r, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "probe"}, callSlowly)
		require.NoError(t, err)
		<-slow.begun
		stopped := make(chan struct{})
		go func() { workers.Stop(); close(stopped) }()
		require.Never(t, func() bool { return isClosed(stopped) }, 200*time.Millisecond, 20*time.Millisecond)
		close(slow.let)
		<-stopped
		var state tandem.RemoteState
		require.NoError(t, r.Get(t.Context(), &state), "the call was made, and nobody knows")
		require.Equal(t, "cus_slow", state.RemoteID)
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// callSlowly makes one call to the slow provider, once.
func callSlowly(ctx workflow.Context) (state tandem.RemoteState, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: tandem.TaskQueue("slow"), StartToCloseTimeout: 20 * time.Second, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	call := tandem.Call{Action: tandem.ActCreate, Provider: "slow", Key: "k", FrozenAt: workflow.Now(ctx)}
	var acts *activities.Activities
	err = workflow.ExecuteActivity(ctx, acts.CallProvider, call).Get(ctx, &state)
	return state, err
}

// provider has a name, and a create that begins at once and ends when it is let.
type provider struct {
	tandem.Provider
	name       string
	begun, let chan struct{}
}

func (p *provider) Name() string { return p.name }

func (p *provider) Create(ctx context.Context, _ string, _ tandem.Patch) (tandem.RemoteState, error) {
	close(p.begun)
	select {
	case <-p.let:
		return tandem.RemoteState{RemoteID: "cus_" + p.name}, nil
	case <-ctx.Done():
		return tandem.RemoteState{}, ctx.Err()
	}
}

type noMetrics struct{}

func (noMetrics) ProviderCall(string, string, tandem.Class, time.Duration) {}
func (noMetrics) ProviderRead(string, string, bool)                        {}
func (noMetrics) Applied(tandem.Direction, tandem.EventState)              {}
