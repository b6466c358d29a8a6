package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tandem-sync/tandem/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// fitting is a configuration that can be opened, with a Temporal that is not there.
func fitting(t *testing.T) Config {
	t.Helper()
	return Config{
		DatabaseURL: Secret(dbtest.NewURL(t)), MaxConns: 4,
		StripeAPIKey: "sk_test_app", StripeWebhookSecrets: []Secret{"whsec_app_test"}, StripeRPS: 1,
		HTTPAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", APIKeys: []Secret{HashKey("sk_app")}, Environment: "apptest",
		ChangesAtOnce: 1, OnRemoteDelete: "archive", OnArchive: "delete", DrainEvery: time.Minute, StopTimeout: time.Second,
		Temporal: client.Options{HostPort: nobody(t)},
	}
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func running(t *testing.T, cfg Config, role Role) (a *App, ended chan error, log *lockedLog) {
	t.Helper()
	log = &lockedLog{}
	a, err := Open(t.Context(), cfg, role, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, a.Close())
	})
	return a, ended, log
}

func TestADeadListenerEndsAProcessThatWaitsForTemporal(t *testing.T) {
	t.Parallel()
	a, ended, log := running(t, fitting(t), Serve|Work)
	require.Eventually(t, func() bool { return log.count("temporal.away") == 1 }, 10*time.Second, 10*time.Millisecond)
	dead := errors.New("the listener is dead")
	a.fail(dead)
	select {
	case err := <-ended:
		require.ErrorIs(t, err, dead)
	case <-time.After(10 * time.Second):
		t.Fatal("nobody has noticed")
	}
}

func TestItServesBeforeTemporalIsThereAndSaysSo(t *testing.T) {
	t.Parallel()
	a, _, log := running(t, fitting(t), Serve|Work)
	require.Eventually(t, func() bool { return log.count("degraded=true missing=temporal") == 1 }, 10*time.Second, 10*time.Millisecond)
	status, body := get(t, a.URL()+"/readyz")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"degraded"}`, body)
	status, body = get(t, a.AdminURL()+"/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "degraded: temporal: ")
	require.Zero(t, log.count("degraded=false"), "it does not work yet")
}

// TestTemporalThatComesIsFoundSoon is about the real client: its own pauses between two attempts to connect grow longer
// than a caller waits.
func TestTemporalThatComesIsFoundSoon(t *testing.T) {
	t.Parallel()
	cfg := fitting(t)
	door, err := net.Listen("tcp", cfg.Temporal.HostPort)
	require.NoError(t, err)
	var attempts atomic.Int64
	go func() {
		for {
			c, err := door.Accept()
			if err != nil {
				return
			}
			attempts.Add(1)
			c.Close()
		}
	}()
	a, _, log := running(t, cfg, Serve)
	require.Eventually(t, func() bool { return attempts.Load() >= 12 }, 10*time.Second, 10*time.Millisecond, "the pauses stay short")
	require.Error(t, a.presence.reachable(t.Context()))
	require.NoError(t, door.Close())
	serveTemporal(t, cfg.Temporal.HostPort)
	require.NoError(t, a.presence.reachable(t.Context()), "the first change after it came")
	require.Equal(t, 1, log.count("temporal.back"))
	require.Equal(t, 1, log.count("temporal.away"))
}

func serveTemporal(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	server := grpc.NewServer()
	t.Cleanup(server.Stop)
	states := health.NewServer()
	states.SetServingStatus("temporal.api.workflowservice.v1.WorkflowService", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, states)
	workflowservice.RegisterWorkflowServiceServer(server, modest{})
	go func() { _ = server.Serve(l) }()
}

// modest can say that it is there, and nothing else.
type modest struct {
	workflowservice.UnimplementedWorkflowServiceServer
}

func (modest) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}
