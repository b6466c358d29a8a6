package app

import (
	"context"

	"golang.org/x/time/rate"
)

// pace spreads the requests for a provider's lists evenly over each second. Stripe limits every endpoint by itself (docs:
// rate limits), and one run per provider walks in one process, so that this needs no other process's consent. A burst of
// one, because a second's worth at once is what trips a limit.
func pace(providers []string, perSecond float64) func(ctx context.Context, provider string) error {
	limits := map[string]*rate.Limiter{}
	for _, name := range providers {
		limits[name] = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	return func(ctx context.Context, provider string) error { return limits[provider].Wait(ctx) }
}
