package devstack

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

func startTemporal(t *testing.T, o TemporalOptions) *Temporal {
	t.Helper()
	o.Logger = testLogger(t)
	tp, err := StartTemporal(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tp.Stop()) })
	return tp
}

func dial(t *testing.T, tp *Temporal, namespace string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{HostPort: tp.Address(), Namespace: namespace, Logger: silent{}})
	require.NoError(t, err)
	return c
}

// greeter is the least workflow that answers an Update.
func greeter(ctx workflow.Context) error {
	done := false
	err := workflow.SetUpdateHandler(ctx, "greet", func(_ workflow.Context, name string) (string, error) {
		done = true
		return "hello " + name, nil
	})
	if err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return done && workflow.AllHandlersFinished(ctx) })
}

func greet(ctx context.Context, c client.Client, id, name string) (answer string, err error) {
	h, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: c.NewWithStartWorkflowOperation(client.StartWorkflowOptions{
			ID: id, TaskQueue: "greetings",
			WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		}, greeter),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateName: "greet", Args: []any{name}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err != nil {
		return "", err
	}
	return answer, h.Get(ctx, &answer)
}

func work(t *testing.T, c client.Client) (stop func()) {
	t.Helper()
	w := worker.New(c, "greetings", worker.Options{})
	w.RegisterWorkflow(greeter)
	require.NoError(t, w.Start())
	return w.Stop
}

func TestTemporal(t *testing.T) {
	t.Parallel()
	t.Run("answers an Update-with-Start and keeps its state over a restart", func(t *testing.T) {
		t.Parallel()
		o := TemporalOptions{
			DBFile: filepath.Join(t.TempDir(), "temporal.db"), Namespace: "tandem",
			SearchAttributes: map[string]string{"TandemState": "Keyword"},
		}
		tp := startTemporal(t, o)
		c := dial(t, tp, "tandem")
		stop := work(t, c)
		answer, err := greet(t.Context(), c, "greeting", "world")
		require.NoError(t, err)
		require.Equal(t, "hello world", answer)
		page, err := http.Get(tp.UIURL())
		require.NoError(t, err)
		require.NoError(t, page.Body.Close())
		require.Equal(t, http.StatusOK, page.StatusCode)
		http.DefaultClient.CloseIdleConnections()
		stop()
		c.Close()
		require.NoError(t, tp.Stop())
		require.NoError(t, tp.Stop(), "again is fine")
		requireGone(t, tp.PID())

		o.SearchAttributes["TandemProvider"] = "Keyword" // new to an existing namespace
		tp = startTemporal(t, o)
		c = dial(t, tp, "tandem")
		defer c.Close()
		d, err := c.DescribeWorkflowExecution(t.Context(), "greeting", "")
		require.NoError(t, err)
		require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, d.WorkflowExecutionInfo.Status)
		known, err := c.OperatorService().ListSearchAttributes(t.Context(),
			&operatorservice.ListSearchAttributesRequest{Namespace: "tandem"})
		require.NoError(t, err)
		require.Contains(t, known.CustomAttributes, "TandemState")
		require.Contains(t, known.CustomAttributes, "TandemProvider")
	})
	t.Run("two in memory at once, with nothing open to other machines", func(t *testing.T) {
		t.Parallel()
		one, two := startTemporal(t, TemporalOptions{}), startTemporal(t, TemporalOptions{Headless: true})
		require.NotEqual(t, one.Address(), two.Address())
		require.Empty(t, two.UIURL())
		for _, listener := range listeners(t, one.PID()) {
			require.True(t, net.ParseIP(listener).IsLoopback(), "listens on %s", listener)
		}
		require.NoError(t, one.Stop())
		require.NoFileExists(t, one.log.Name())
	})
	t.Run("names a taken port and whose it is", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		port := l.Addr().(*net.TCPAddr).Port
		_, err = StartTemporal(t.Context(), TemporalOptions{UIPort: port})
		var taken *PortTakenError
		require.ErrorAs(t, err, &taken)
		require.Equal(t, PortTakenError{Name: "Temporal UI", Port: port}, *taken)
	})
	t.Run("says why it did not start", func(t *testing.T) {
		t.Parallel()
		_, err := StartTemporal(t.Context(), TemporalOptions{SearchAttributes: map[string]string{"X": "Nonsense"}})
		require.ErrorContains(t, err, "Nonsense")
	})
	t.Run("a database file is for one caller, and a half-made one is made anew", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "temporal.db")
		require.NoError(t, os.WriteFile(file, []byte{}, 0o600))
		require.NoError(t, os.WriteFile(file+".new", nil, 0o600))
		startTemporal(t, TemporalOptions{DBFile: file, Headless: true})
		require.NoFileExists(t, file+".new")
		_, err := StartTemporal(t.Context(), TemporalOptions{DBFile: file})
		var inUse *InUseError
		require.ErrorAs(t, err, &inUse)
	})
	t.Run("ends with a caller that is killed, and starts again", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "temporal.db")
		binary, err := EnsureTemporal(t.Context(), BinaryOptions{Logger: testLogger(t)})
		require.NoError(t, err)
		caller, server := startCaller(t, "temporal:"+file+":"+binary)
		kill(t, caller)
		if canSignalOnDeath {
			requireGone(t, server)
		}
		startTemporal(t, TemporalOptions{DBFile: file, Headless: true})
	})
}

func TestEnsureTemporal(t *testing.T) {
	t.Parallel()
	t.Run("finds the build it made", func(t *testing.T) {
		t.Parallel()
		made, err := EnsureTemporal(t.Context(), BinaryOptions{Logger: testLogger(t)})
		require.NoError(t, err)
		found, err := FindTemporal(t.Context(), BinaryOptions{})
		require.NoError(t, err)
		require.Equal(t, made, found)
	})
	t.Run("a cancelled build leaves nothing that looks like a binary", func(t *testing.T) {
		t.Parallel()
		if _, err := FindTemporal(t.Context(), BinaryOptions{CacheDir: t.TempDir()}); !errors.Is(err, ErrNoTemporal) {
			t.Skip("this machine has a temporal on PATH, so nothing would be built")
		}
		cache := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // linking alone takes longer
		defer cancel()
		_, err := EnsureTemporal(ctx, BinaryOptions{CacheDir: cache})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		left, err := filepath.Glob(filepath.Join(cache, "temporal-*"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
}
