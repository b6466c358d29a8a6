package stripetest

import (
	"context"
	"time"
)

// now reads the virtual clock; the lock is held.
func (s *Server) now() time.Time { return s.clock().Add(s.offset) }

// Now is the stand-in's time: the source of created, of the Date header and of
// webhook timestamps.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// SetClock replaces the clock, and with it every earlier AdvanceClock. A clock
// that stands still makes same-second ties.
func (s *Server) SetClock(clock func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock, s.offset = clock, 0
	s.changed()
}

// AdvanceClock moves the clock. Deliveries wait in real time, but a jump
// forward counts as time passed for them too: what falls due is sent at once.
func (s *Server) AdvanceClock(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
	if d > 0 {
		s.skipped += d
	}
	s.changed()
	s.wakeDispatcher()
}

// elapsed is the dispatcher's time; the lock is held. It is kept apart from
// the clock so that a frozen clock does not freeze retries.
func (s *Server) elapsed() time.Duration { return time.Since(s.started) + s.skipped }

// changed wakes everyone in Wait and the saver; the lock is held.
func (s *Server) changed() {
	s.markUnsaved()
	if s.waiters > 0 {
		close(s.news)
		s.news = make(chan struct{})
	}
}

// Wait blocks until cond holds. It asks again after every change inside the
// stand-in, so tests wait for facts and never sleep.
func (s *Server) Wait(ctx context.Context, cond func() bool) error {
	s.mu.Lock()
	s.waiters++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.waiters--
		s.mu.Unlock()
	}()
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-news:
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitIdle blocks until no webhook delivery is waiting, held back or under
// way, retries included.
func (s *Server) WaitIdle(ctx context.Context) error {
	return s.Wait(ctx, func() bool { return s.PendingDeliveries() == 0 })
}

// pause sleeps in real time, unless the request or the stand-in ends first.
func (s *Server) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}
