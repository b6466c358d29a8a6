// Package worker runs the workflows and the acts: one worker for both directions and their database acts, and one per
// provider for the calls to it, whose rate the Temporal server limits for all processes together.
package worker

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// Options of the workers.
type Options struct {
	// RequestsPerSecond limits the calls to each provider, over all processes.
	RequestsPerSecond float64
	// StopTimeout is how long a stop waits for acts in progress.
	StopTimeout time.Duration
	// OnFatal is called when a worker cannot go on, as when its namespace has gone.
	OnFatal func(error)
	// Namespace is the client's, "" for the default one: its search attributes are looked after.
	Namespace string
	// AttributeCheck is how often that is done; 0 is half a minute.
	AttributeCheck time.Duration
	Logger         *slog.Logger // nil is none
}

// throttle lets every sign of life of a provider call through. The SDK would keep them back for eight of the ten seconds
// after which a worker is missed.
const throttle = 3 * time.Second

// Workers are started and stopped together.
type Workers struct {
	all        []worker.Worker
	attributes *attributes
	every      time.Duration
}

// New makes the workers; Start runs them.
func New(c client.Client, acts *activities.Activities, o Options) *Workers {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	options := worker.Options{WorkerStopTimeout: o.StopTimeout, OnFatalError: o.OnFatal}
	known := &attributes{client: c, namespace: cmp.Or(o.Namespace, client.DefaultNamespace), log: o.Logger}
	options.Interceptors = []interceptor.WorkerInterceptor{&findable{known: known.known.Load}}
	both := worker.New(c, workflows.TaskQueue, options)
	RegisterWorkflows(both)
	both.RegisterActivity(acts)
	w := &Workers{all: []worker.Worker{both}, attributes: known, every: cmp.Or(o.AttributeCheck, attributeCheck)}
	options.DisableWorkflowWorker = true
	options.TaskQueueActivitiesPerSecond = o.RequestsPerSecond
	options.MaxHeartbeatThrottleInterval = throttle
	for _, provider := range acts.Providers.Names() {
		options.Interceptors = []interceptor.WorkerInterceptor{&telling{client: c, provider: provider, log: o.Logger}}
		lane := worker.New(c, tandem.TaskQueue(provider), options)
		lane.RegisterActivity(acts.CallProvider)
		lane.RegisterActivity(acts.FetchRemote)
		lane.RegisterActivity(acts.ProveCall)
		lane.RegisterActivity(acts.RunSlice)
		lane.RegisterActivity(acts.CatchUp)
		w.all = append(w.all, lane)
	}
	return w
}

// RegisterWorkflows registers every workflow. They stay on the version of the code they were started with no longer
// than a task: histories are replayed in tests instead of pinned.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.Outbound, workflow.RegisterOptions{Name: "Outbound"})
	r.RegisterWorkflowWithOptions(workflows.Inbound, workflow.RegisterOptions{Name: "Inbound"})
	r.RegisterWorkflowWithOptions(workflows.Drain, workflow.RegisterOptions{Name: "Drain"})
	r.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: "Reconcile"})
	r.RegisterWorkflowWithOptions(workflows.CatchUp, workflow.RegisterOptions{Name: "CatchUp"})
}

// Start begins polling.
func (w *Workers) Start() error {
	w.attributes.start(w.every)
	for i, one := range w.all {
		if err := one.Start(); err != nil {
			for _, started := range w.all[:i] {
				started.Stop()
			}
			w.attributes.stop()
			return fmt.Errorf("start worker: %w", err)
		}
	}
	return nil
}

// Stop stops polling and waits for the acts in progress, at most StopTimeout.
func (w *Workers) Stop() {
	for _, one := range w.all {
		one.Stop()
	}
	w.attributes.stop()
}
