// Package bench measures Tandem from outside, as one process on this machine beside Postgres, Temporal and the Stripe
// stand-in: `make bench-webhooks`. Machines differ and are busy, so what counts are the ratios within one run.
package bench
