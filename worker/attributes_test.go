package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/worker"
	"github.com/tandem-sync/tandem/workflows"
)

// held is a store where every customer's delete is held by the brake.
type held struct{ activities.Store }

func (held) Plan(_ context.Context, customerID, provider string, _ tandem.Ask) (tandem.Call, error) {
	return tandem.Call{Provider: provider, CustomerID: customerID, Blocked: &tandem.LastError{Class: tandem.Conflict, Code: tandem.CodeDeleteBrake}}, nil
}

func (held) Skip(context.Context, string, string, *tandem.LastError, tandem.Work) error { return nil }

// gate stands between the client and the server: the worker may not add search attributes, and may be told that they are
// there already.
type gate struct{ mayAdd, lies atomic.Bool }

func (g *gate) pass(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, adds := in.(*operatorservice.AddSearchAttributesRequest); adds && !g.mayAdd.Load() {
		return status.Error(codes.PermissionDenied, "told by the test")
	}
	err := invoke(ctx, method, in, out, cc, opts...)
	if listed, ok := out.(*operatorservice.ListSearchAttributesResponse); ok && err == nil && g.lies.Load() {
		listed.CustomAttributes = keywords()
	}
	return err
}

func keywords() map[string]enums.IndexedValueType {
	out := map[string]enums.IndexedValueType{}
	for _, name := range worker.Attributes() {
		out[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
	}
	return out
}

// journal collects a worker's log.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// findability is a server without search attributes and workers with a store that holds everything.
type findability struct {
	client.Client
	gate
	log journal
}

func newFindability(t *testing.T) *findability {
	t.Helper()
	server, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	f := &findability{}
	f.Client, err = client.DialContext(t.Context(), client.Options{
		HostPort: server.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(f.pass)}},
	})
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

func (f *findability) work(t *testing.T) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(&f.log, nil))
	workers := worker.New(f.Client, &activities.Activities{
		Store: held{}, Providers: tandem.Providers{&provider{name: "one"}}, Metrics: noMetrics{}, Logger: logger,
	}, worker.Options{RequestsPerSecond: 1000, StopTimeout: time.Second, AttributeCheck: 50 * time.Millisecond, Logger: logger})
	require.NoError(t, workers.Start())
	t.Cleanup(workers.Stop)
}

// start runs a workflow that waits for a person, and returns when it does.
func (f *findability) start(t *testing.T, id string) client.WorkflowRun {
	t.Helper()
	run, err := f.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue}, "Outbound",
		workflows.OutboundInput{CustomerID: id, Providers: []string{"one"}, Due: true})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		v, err := f.QueryWorkflow(ctx, id, "", workflows.QueryState)
		if err != nil {
			return false // its task fails
		}
		var s workflows.State
		require.NoError(t, v.Get(&s))
		return s.Lanes[0].Step == "waits for a person" && !f.taskOpen(t, id)
	}, time.Minute, 20*time.Millisecond, id)
	return run
}

// taskOpen reports that the workflow has something to decide and could not.
func (f *findability) taskOpen(t *testing.T, id string) bool {
	t.Helper()
	d, err := f.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	return d.GetPendingWorkflowTask() != nil
}

func (f *findability) finds(t *testing.T, query string) (ids []string) {
	t.Helper()
	list, err := f.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
	if err != nil {
		return nil // an attribute that is not there is an error
	}
	for _, e := range list.Executions {
		ids = append(ids, e.Execution.WorkflowId)
	}
	return ids
}

func (f *findability) skip(t *testing.T, run client.WorkflowRun) {
	t.Helper()
	require.NoError(t, f.SignalWorkflow(t.Context(), run.GetID(), "", workflows.SignalSkip, ""))
	require.NoError(t, run.Get(t.Context(), nil))
}

func TestAttributes_are_added_and_set(t *testing.T) {
	t.Parallel()
	f := newFindability(t)
	f.mayAdd.Store(true)
	f.work(t)
	const query = `TandemState="parked" AND TandemProvider="one" AND TandemErrorClass="conflict"`
	require.Eventually(t, func() bool { // the first may come before the server has spread the news, and goes on without
		run := f.start(t, "waiting")
		defer f.skip(t, run)
		return len(f.finds(t, query)) == 1
	}, time.Minute, 100*time.Millisecond)
	require.Eventually(t, func() bool { return f.finds(t, `TandemState="parked"`) == nil }, 10*time.Second, 20*time.Millisecond,
		"a run that has ended waits for nothing")
	require.NotContains(t, f.log.String(), "search_attributes_missing")
}

func TestAttributes_that_may_not_be_added(t *testing.T) {
	t.Parallel()
	f := newFindability(t)
	f.work(t)
	f.skip(t, f.start(t, "without"))
	require.Contains(t, f.log.String(), "worker.search_attributes_missing")
	require.Contains(t, f.log.String(), "temporal operator search-attribute create --namespace default --name TandemState --type Keyword")

	waiting := f.start(t, "later")
	f.mayAdd.Store(true)
	require.Eventually(t, func() bool { // once it may, the next run is found, without a restart
		run := f.start(t, "found")
		defer f.skip(t, run)
		return len(f.finds(t, `WorkflowId="found" AND TandemState="parked"`)) == 1
	}, time.Minute, 100*time.Millisecond)
	f.skip(t, waiting)
}

// An attribute that is not there fails the workflow task. The worker that believed in it has to find out.
func TestAttributes_that_vanish_hold_up_nothing_for_long(t *testing.T) {
	t.Parallel()
	f := newFindability(t)
	f.lies.Store(true)
	f.work(t)
	run, err := f.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "stuck", TaskQueue: workflows.TaskQueue}, "Outbound",
		workflows.OutboundInput{CustomerID: "stuck", Providers: []string{"one"}, Due: true})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		events := f.GetWorkflowHistory(t.Context(), "stuck", "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			require.NoError(t, err)
			if e.GetWorkflowTaskFailedEventAttributes().GetCause() == enums.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES {
				return true
			}
		}
		return false
	}, 20*time.Second, 20*time.Millisecond, "this test would not notice")
	f.lies.Store(false)
	require.Eventually(t, func() bool { return !f.taskOpen(t, "stuck") }, time.Minute, 20*time.Millisecond)
	f.skip(t, run)
}
