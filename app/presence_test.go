package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// service is a Temporal that can be switched off.
type service struct {
	away  atomic.Bool
	mute  atomic.Bool // it does not even refuse
	asked atomic.Int64
}

func (s *service) check(ctx context.Context) error {
	s.asked.Add(1)
	if s.mute.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.away.Load() {
		return errors.New("connection refused")
	}
	return nil
}

type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func newPresence() (*presence, *service, *lockedLog) {
	s, log := &service{}, &lockedLog{}
	return &presence{check: s.check, address: "temporal:7233", log: slog.New(slog.NewTextHandler(log, nil))}, s, log
}

func TestTemporalsAbsenceIsToldOnceAndSoIsItsReturn(t *testing.T) {
	t.Parallel()
	p, s, log := newPresence()
	for range 3 {
		require.NoError(t, p.look(t.Context()))
	}
	s.away.Store(true)
	for range 5 {
		require.Error(t, p.look(t.Context()))
	}
	s.away.Store(false)
	require.NoError(t, p.look(t.Context()))
	require.NoError(t, p.look(t.Context()))
	require.Equal(t, 1, log.count("temporal.away"))
	require.Equal(t, 1, log.count("temporal.back"))
}

func TestAStopIsNoAbsenceOfTemporal(t *testing.T) {
	t.Parallel()
	p, s, log := newPresence()
	s.mute.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.Error(t, p.look(ctx))
	require.NoError(t, p.last())
	require.Zero(t, log.count("temporal.away"))
}

func TestChangesPassWithoutAQuestionWhileTemporalIsThere(t *testing.T) {
	t.Parallel()
	p, s, _ := newPresence()
	require.NoError(t, p.look(t.Context()))
	asked := s.asked.Load()
	require.NoError(t, p.reachable(t.Context()))
	require.Equal(t, asked, s.asked.Load())
}

func TestTheFirstChangeAfterTemporalIsBackPasses(t *testing.T) {
	t.Parallel()
	p, s, log := newPresence()
	s.away.Store(true)
	require.Error(t, p.look(t.Context()))
	s.away.Store(false)
	require.NoError(t, p.reachable(t.Context()), "nobody has looked since")
	require.Equal(t, 1, log.count("temporal.back"))
}

func TestAChangeIsRefusedSoonWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	for name, mute := range map[string]bool{"refusing": false, "silent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s, _ := newPresence()
			s.away.Store(true)
			require.Error(t, p.look(t.Context()))
			s.mute.Store(mute)
			begun, before := time.Now(), s.asked.Load()
			var crowd sync.WaitGroup
			for range 100 {
				crowd.Go(func() { require.Error(t, p.reachable(t.Context())) })
			}
			crowd.Wait()
			require.Less(t, time.Since(begun), 5*patience)
			require.Less(t, s.asked.Load()-before, int64(100), "they ask together")
		})
	}
}

func TestWorkersAreLookedForSeldomAndMissingOnesAreNamed(t *testing.T) {
	t.Parallel()
	now, looks, seen, fails := time.Now(), 0, true, error(nil)
	p := &polled{now: func() time.Time { return now }, look: func(ctx context.Context) (bool, error) {
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		looks++
		return seen, fails
	}}
	for range 10 {
		require.NoError(t, p.check(t.Context()))
	}
	require.Equal(t, 1, looks)
	seen = false
	now = now.Add(seenFor)
	for range 10 {
		require.ErrorIs(t, p.check(t.Context()), errNoWorker)
	}
	require.Equal(t, 2, looks)
	seen = true
	now = now.Add(missingFor)
	require.NoError(t, p.check(t.Context()), "they are back")
	now, fails = now.Add(seenFor), errors.New("away")
	require.NoError(t, p.check(t.Context()), "Temporal's own check says so")
}
