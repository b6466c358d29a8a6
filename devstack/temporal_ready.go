package devstack

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// awaitReady waits until the server is healthy, knows the namespace, and the
// search attributes are registered there.
func (tp *Temporal) awaitReady(ctx context.Context) error {
	c, err := client.NewLazyClient(client.Options{HostPort: tp.Address(), Namespace: tp.o.Namespace, Logger: silent{}})
	if err != nil {
		return err
	}
	defer c.Close()
	return tp.process.waitReady(ctx, func(ctx context.Context) error {
		if _, err := c.CheckHealth(ctx, nil); err != nil {
			return err
		}
		_, err := c.WorkflowService().DescribeNamespace(ctx,
			&workflowservice.DescribeNamespaceRequest{Namespace: tp.o.Namespace})
		if err != nil {
			return err
		}
		return tp.addSearchAttributes(ctx, c.OperatorService())
	})
}

// addSearchAttributes registers what is missing: the server's own flag is heeded
// only when it creates the namespace, so it does nothing for an older file.
func (tp *Temporal) addSearchAttributes(ctx context.Context, op operatorservice.OperatorServiceClient) error {
	if len(tp.o.SearchAttributes) == 0 {
		return nil
	}
	known, err := op.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: tp.o.Namespace})
	if err != nil {
		return err
	}
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range tp.o.SearchAttributes {
		if _, ok := known.CustomAttributes[name]; ok {
			continue
		}
		if missing[name], err = enums.IndexedValueTypeFromString(kind); err != nil {
			return fmt.Errorf("search attribute %s: %w", name, err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = op.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: tp.o.Namespace, SearchAttributes: missing,
	})
	return err
}

// silent keeps the client's own words about a server that is still starting out
// of the caller's log.
type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
