// Package stripetest is a stateful stand-in for the part of Stripe that a
// customer sync meets: customers, events, idempotency keys, signed webhooks.
//
//	srv, err := stripetest.Start(stripetest.Options{WebhookURL: url, WebhookSecrets: []string{"whsec_x"}})
//	defer srv.Close()
//	// point a Stripe client at srv.URL() with any key that starts with sk_test_
//
// It is the adapter's independent twin: it imports nothing of this module and
// no Stripe library, so a mistake on one side cannot hide behind the same
// mistake on the other. All state lives in memory and ends with Close, unless
// Options.StateFile keeps it for the next start.
//
// A request passes these gates, in Stripe's own order:
//
//	key → front fault → rate limit → idempotency store → validation → run → answer fault
//	401   429 502 drop   429           replay 409 400     400 unsaved   saved   hang, truncate
//
// What happened is never guessed at: Operations is the append-only log of
// every request and every edit made by a person, written under the same lock
// as the change itself.
package stripetest
