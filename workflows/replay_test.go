package workflows_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem/worker"
	"github.com/tandem-sync/tandem/workflows"
)

var silent = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

func histories(t *testing.T, direction string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "histories", direction, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no history of %s", direction)
	return files
}

// TestReplay holds the workflows to what runs of theirs did before: a run that is open while a new version is rolled out
// goes on under the new code. Where a history fails, the change needs workflow.GetVersion, not a new history. They were
// recorded by starter/record_test.go.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{"outbound", "inbound", "drain", "reconcile", "catchUp"} {
		for _, file := range histories(t, direction) {
			t.Run(direction+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				t.Parallel()
				replayer := sdkworker.NewWorkflowReplayer()
				worker.RegisterWorkflows(replayer)
				require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(silent, file))
			})
		}
	}
}

// The replayer has to notice what it is there for: one command too many, or one left out.
func TestReplay_notices(t *testing.T) {
	t.Parallel()
	for direction, altered := range map[string]map[string]any{
		"outbound": {
			"a timer too many": func(ctx workflow.Context, in workflows.OutboundInput) error {
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return err
				}
				return workflows.Outbound(ctx, in)
			},
			"a lane too many": func(ctx workflow.Context, in workflows.OutboundInput) error {
				in.Providers = append(in.Providers, "other")
				return workflows.Outbound(ctx, in)
			},
			"nothing done": func(ctx workflow.Context, _ workflows.OutboundInput) error {
				return workflow.SetUpdateHandler(ctx, workflows.UpdateChange, func(workflow.Context) error { return nil })
			},
		},
		"inbound": {
			"a timer too many": func(ctx workflow.Context, in workflows.InboundInput) error {
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return err
				}
				return workflows.Inbound(ctx, in)
			},
			"nothing done": func(workflow.Context, workflows.InboundInput) error { return nil },
		},
		"drain": {
			"a timer too many": func(ctx workflow.Context, in workflows.DrainInput) error {
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return err
				}
				return workflows.Drain(ctx, in)
			},
			"nothing done": func(workflow.Context, workflows.DrainInput) error { return nil },
		},
		"reconcile": {
			"a timer too many": func(ctx workflow.Context, in workflows.ReconcileInput) error {
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return err
				}
				_, err := workflows.Reconcile(ctx, in)
				return err
			},
			"nothing done": func(ctx workflow.Context, _ workflows.ReconcileInput) error {
				return workflow.SetUpdateHandler(ctx, workflows.UpdateBegin, func(workflow.Context) error { return nil })
			},
		},
		"catchUp": {
			"a timer too many": func(ctx workflow.Context, in workflows.CatchUpInput) error {
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return err
				}
				return workflows.CatchUp(ctx, in)
			},
			"nothing done": func(workflow.Context, workflows.CatchUpInput) error { return nil },
		},
	} {
		name := strings.ToUpper(direction[:1]) + direction[1:]
		for what, fn := range altered {
			for _, file := range histories(t, direction) {
				t.Run(direction+"/"+what+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
					t.Parallel()
					replayer := sdkworker.NewWorkflowReplayer()
					replayer.RegisterWorkflowWithOptions(fn, workflow.RegisterOptions{Name: name})
					require.Error(t, replayer.ReplayWorkflowHistoryFromJSONFile(silent, file))
				})
			}
		}
	}
}
