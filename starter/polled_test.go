package starter_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/worker"

	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/starter"
	"github.com/tandem-sync/tandem/worker"
	"github.com/tandem-sync/tandem/workflows"
)

func TestPolledKnowsWhetherAWorkerAsksForWork(t *testing.T) { //nolint:paralleltest // others are held to leaving no goroutine behind meanwhile
	temporal, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, temporal.Stop()) })
	c, err := client.Dial(client.Options{HostPort: temporal.Address(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s := starter.New(c, []string{"stripe"})

	seen, err := s.Polled(t.Context())
	require.NoError(t, err)
	require.False(t, seen, "nobody works yet")

	w := sdk.New(c, workflows.TaskQueue, sdk.Options{})
	worker.RegisterWorkflows(w)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	require.Eventually(t, func() bool {
		seen, err := s.Polled(t.Context())
		return err == nil && seen
	}, 10*time.Second, 20*time.Millisecond)
}

func TestPolledIsNotSureWhileTemporalIsAway(t *testing.T) { //nolint:paralleltest // as above
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = starter.New(c, []string{"stripe"}).Polled(t.Context())
	require.Error(t, err)
}
