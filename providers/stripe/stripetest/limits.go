package stripetest

import "time"

// limits are token buckets in real time: with a frozen clock they would never
// fill again.
type limits struct {
	endpoint map[string]*bucket
	global   *bucket
	rate     float64
}

type bucket struct {
	rate, tokens float64
	at           time.Time
}

func newLimits(s Settings) limits {
	l := limits{endpoint: map[string]*bucket{}, rate: s.RatePerEndpoint}
	if s.RateGlobal > 0 {
		l.global = newBucket(s.RateGlobal)
	}
	return l
}

// newBucket starts full: one second's worth may come at once.
func newBucket(rate float64) *bucket {
	return &bucket{rate: rate, tokens: max(rate, 1), at: time.Now()}
}

func (b *bucket) take() bool {
	now := time.Now()
	b.tokens = min(max(b.rate, 1), b.tokens+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// limit refuses what comes too fast, before the idempotency store sees it.
func (s *Server) limit(c *call) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits.global != nil && !s.limits.global.take() {
		return rateLimited("global-rate")
	}
	if s.limits.rate <= 0 {
		return nil
	}
	b := s.limits.endpoint[c.op]
	if b == nil {
		b = newBucket(s.limits.rate)
		s.limits.endpoint[c.op] = b
	}
	if !b.take() {
		return rateLimited("endpoint-rate")
	}
	return nil
}
