package activities_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// slow is a provider whose fetch ends when it is let go, or called back.
type slow struct {
	tandem.Provider
	begun, let chan struct{}
}

func (p *slow) Fetch(ctx context.Context, remoteID string) (tandem.RemoteState, error) {
	close(p.begun)
	select {
	case <-p.let:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return tandem.RemoteState{}, tandem.Errorf(tandem.Ambiguous, "called_back", "%w", err)
	}
	return p.Provider.Fetch(ctx, remoteID)
}

type left struct {
	Class string `json:"class"`
	Times int    `json:"times"`
}

// underway is a fetch that has begun.
type underway struct {
	*slow
	env   *testsuite.TestActivityEnvironment
	beats chan left
	ended chan error
}

func (b *bundle) underway(t *testing.T, prepare func(env *testsuite.TestActivityEnvironment)) *underway {
	t.Helper()
	_, remoteID := b.synced(t)
	u := &underway{slow: &slow{Provider: b.stripe, begun: make(chan struct{}), let: make(chan struct{})}, beats: make(chan left, 1000), ended: make(chan error, 1)}
	b.acts.Providers, b.acts.BeatEvery = tandem.Providers{u.slow}, 5*time.Millisecond
	var suite testsuite.WorkflowTestSuite
	u.env = suite.NewTestActivityEnvironment()
	u.env.RegisterActivity(b.acts)
	u.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var l left
		if details.HasValues() {
			_ = details.Get(&l)
		}
		u.beats <- l
	})
	prepare(u.env)
	go func() {
		_, err := u.env.ExecuteActivity(b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: remoteID, Why: activities.ReadForProof})
		u.ended <- err
	}()
	<-u.begun
	return u
}

func TestLongCallShowsThatItsWorkerLives(t *testing.T) {
	t.Parallel()
	told := left{"auth", 3}
	u := setup(t).underway(t, func(env *testsuite.TestActivityEnvironment) { env.SetHeartbeatDetails(told) })
	require.Equal(t, told, <-u.beats, "what an earlier attempt has left is kept")
	close(u.let)
	require.NoError(t, <-u.ended)
}

func TestCallUnderWayIsNotCalledBack(t *testing.T) {
	t.Parallel()
	ctx, callBack := context.WithCancel(t.Context())
	u := setup(t).underway(t, func(env *testsuite.TestActivityEnvironment) {
		env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
	})
	callBack()
	for range 10_000 { // whoever listens to it has had his turn
		runtime.Gosched()
	}
	close(u.let)
	require.NoError(t, <-u.ended)
}

func TestCallUnderWayEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	stops := make(chan struct{})
	u := setup(t).underway(t, func(env *testsuite.TestActivityEnvironment) {
		env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
		env.SetWorkerStopChannel(stops)
	})
	close(stops) // first the worker says so, and waits; then it ends what has not ended
	end()
	require.ErrorContains(t, <-u.ended, "called_back")
}

func TestShortCallSaysNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, remoteID := b.synced(t)
	var beats atomic.Int64
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(b.acts)
	env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { beats.Add(1) })
	_, err := env.ExecuteActivity(b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: remoteID, Why: activities.ReadForProof})
	require.NoError(t, err)
	require.Zero(t, beats.Load())
}
