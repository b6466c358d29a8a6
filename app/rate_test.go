package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMoreRequestsThanStripeAllowsAreForAStandInOnly(t *testing.T) {
	t.Parallel()
	cfg := Config{StripeRPS: 500, StripeAPIBase: "http://127.0.0.1:12111"}
	require.NotContains(t, cfg.Validate(NeedsAll).Error(), "STRIPE_REQUESTS_PER_SECOND")
	cfg.StripeAPIBase = ""
	require.ErrorContains(t, cfg.Validate(NeedsAll), "STRIPE_REQUESTS_PER_SECOND: must be above 0 and at most 100")
	cfg.StripeRPS, cfg.StripeAPIBase = 0, "http://127.0.0.1:12111"
	require.ErrorContains(t, cfg.Validate(NeedsAll), "STRIPE_REQUESTS_PER_SECOND: must be above 0")
}
