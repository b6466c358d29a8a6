// Package api is where machines come in: the billing platform's customers over REST, the providers' events as webhooks.
//
//	request ── request id ── headers ── observe (one log line, metrics) ── recover ── key
//	             │
//	             ├─ /v1/customers…      read.go, journal.go       ── Store
//	             │                      customers.go, archive.go  ── Starter.Change
//	             │                      sync.go                   ── Starter.Sync, Nudge, Resolve
//	             ├─ /v1/entity-…        mappings.go               ── Store, Starter.Link, Unlink
//	             ├─ /v1/provider-events events.go                 ── Store, Starter.Inbound
//	             ├─ /v1/webhooks/:p     signature ── webhooks.go  ── Store.Ingest ── Starter.Inbound
//	             └─ /livez /readyz /openapi.yaml
//
// Four things are written here, and none of them is a change of a customer: the ledger row of a webhook, its state when
// it is to be replayed, the reservation of an Idempotency-Key, and what people note on a mapping. Every change goes
// through tandem.Starter, so that no commit can outlive its sync.
//
// What comes in is refused early and completely: a request is answered with all of its faults at once, each with the
// field's name, and nothing reaches Store or Starter before it is sound. Every error leaves through errors.go.
package api
