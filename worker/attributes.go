package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem/workflows"
)

// attributes knows whether the namespace has the search attributes. It adds those that are missing, if it may, and looks
// again and again: a person may add them later, or take them away, and a workflow that sets one that is not there stands
// still until this is noticed.
type attributes struct {
	client    client.Client
	namespace string
	log       *slog.Logger
	known     atomic.Bool
	said      string // the last warning, which is said once
	cancel    context.CancelFunc
	done      chan struct{}
}

// attributeCheck is how often the namespace is looked at: the longest that a workflow stands still.
const attributeCheck = 30 * time.Second

// soon is when attributes that were just added are looked for.
const soon = time.Second

// start looks once before it returns, so that the first workflows can be found too.
func (a *attributes) start(every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel, a.done = cancel, make(chan struct{})
	next := time.NewTimer(min(every, a.check(ctx, every)))
	go func() {
		defer close(a.done)
		defer next.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-next.C:
				next.Reset(min(every, a.check(ctx, every)))
			}
		}
	}()
}

func (a *attributes) stop() {
	a.cancel()
	<-a.done
}

// check keeps what it knows when the namespace cannot be asked: nothing says that it has changed. It answers when to
// look again.
func (a *attributes) check(ctx context.Context, every time.Duration) time.Duration {
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	missing, err := a.missing(bounded)
	if missing != nil {
		a.known.Store(len(missing) == 0)
	}
	if err == nil && len(missing) > 0 {
		every, err = soon, a.add(bounded, missing)
	}
	switch {
	case ctx.Err() != nil: // stopped meanwhile
	case err != nil:
		a.warn(err.Error())
		return attributeCheck
	default:
		a.said = ""
	}
	return every
}

// missing answers nil when the namespace cannot be asked.
func (a *attributes) missing(ctx context.Context) (map[string]enums.IndexedValueType, error) {
	there, err := a.client.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: a.namespace})
	if err != nil {
		return nil, fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]enums.IndexedValueType{}
	for _, name := range Attributes() {
		if there.GetCustomAttributes()[name] != enums.INDEXED_VALUE_TYPE_KEYWORD { // one of another type is as bad as none
			missing[name] = enums.INDEXED_VALUE_TYPE_KEYWORD
		}
	}
	return missing, nil
}

// add leaves it to the next look to say that they are there: the server takes a moment to spread the news.
func (a *attributes) add(ctx context.Context, missing map[string]enums.IndexedValueType) error {
	_, err := a.client.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: a.namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}

// warn says once what a person can do. Everything else works without.
func (a *attributes) warn(why string) {
	if a.said == why {
		return
	}
	a.said = why
	command := "temporal operator search-attribute create --namespace " + a.namespace
	for _, name := range Attributes() {
		command += " --name " + name + " --type Keyword"
	}
	a.log.Warn("worker.search_attributes_missing", "error", why, "run", command)
}

// Attributes are the names of the search attributes, keywords all.
func Attributes() []string {
	return []string{
		workflows.AttributeState.GetName(), workflows.AttributeProvider.GetName(), workflows.AttributeErrorClass.GetName(),
	}
}

// findable tells every workflow whom to ask.
type findable struct {
	interceptor.WorkerInterceptorBase
	known workflows.AttributesKnown
}

func (f *findable) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	run := &findableRun{known: f.known}
	run.Next = next
	return run
}

type findableRun struct {
	interceptor.WorkflowInboundInterceptorBase
	known workflows.AttributesKnown
}

func (r *findableRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	return r.Next.ExecuteWorkflow(r.known.In(ctx), in)
}
