// Package api is where machines come in: the billing platform's customers over REST, the providers' events as webhooks.
//
//	request ── request id ── headers ── observe (one log line, metrics) ── recover ── key
//	             │
//	             ├─ /v1/customers…      read.go      ── Store
//	             │                     customers.go ── decode.go ── validate.go ── Starter.Change
//	             ├─ /v1/webhooks/:p     signature ── webhooks.go ── Store.Ingest ── Starter.Inbound
//	             └─ /livez /readyz /openapi.yaml
//
// Nothing is written here but two things: the ledger row of a webhook and the reservation of an Idempotency-Key. Every
// change of a customer goes through tandem.Starter, so that no commit can outlive its sync.
//
// What comes in is refused early and completely: a request is answered with all of its faults at once, each with the
// field's name, and nothing reaches Store or Starter before it is sound. Every error leaves through errors.go.
package api
