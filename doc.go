// Package tandem keeps the customers of a billing platform and the customers of a payment provider the same, in both
// directions, durably. This root package is the vocabulary: the nouns every other room speaks in, and the pure
// decisions (Merge, Decide, PlanNext) that say what has to happen. It imports only the standard library and does no
// I/O, so it may run anywhere, inside a workflow too.
//
//	       POST /v1/customers                              customer.* webhook
//	               │                                               │
//	              api                                             api ── ledger row, then 200
//	               │ starter: Update-with-Start                    │ starter: Signal-with-Start
//	   outbound/<customer id>                           inbound/<provider>/<remote id>
//	               │                                               │
//	change   (customer + mapping + claim, one tx)        apply     (Decide, Merge, one tx)
//	plan     (PlanNext: what is missing over there?)     fetch     (only when the order is in doubt)
//	call     (the provider, key and body frozen)         poke      (what is left for the other side)
//	record   (the answer is a remote state: Decide)                │
//	               │                                               │
//	           Provider ◄──── entity integration mapping ────► customers
//
// # Words
//
//   - customer: a customer of the billing platform.
//   - remote customer: the provider's customer; its id is opaque text, never parsed.
//   - mapping: the entity integration mapping, the only truth about which two belong together.
//   - outbound: platform → provider. inbound: provider → platform.
//   - base: the last remote state taken account of, field by field; the ancestor of the three-way merge.
//   - claim: a provider call that has been decided on, with its idempotency key and frozen body, written before the
//     provider is called.
//   - ledger: every verified provider event and what became of it.
//   - journal: the append-only story of what was done to each customer, and why.
//
// Read merge.go, then decide.go, then package workflows.
package tandem
