// Package stripe connects Tandem to Stripe through stripe-go v76, which speaks API version 2023-10-16.
//
//	Patch ── encode.go ──► form ──► transport.go ──► Stripe
//	RemoteState ◄── convert.go ◄── raw JSON ◄──┤
//	*tandem.Error ◄── errors.go ◄── status, code, headers
//	webhook body ── webhook.go (is it Stripe's?) ── event.go (what does it say?) ──► tandem.Event
//
// Three habits run through all of it:
//
//   - One call is one attempt. stripe-go's retries are off and net/http is kept from replaying a write by itself, so
//     Temporal is the only retry layer and every attempt is seen by it.
//   - Answers are read from the raw JSON, not from stripe-go's structs. Those cannot tell a field that is null from
//     one that the payload does not carry, and fail as a whole on a field we do not even use.
//   - Nothing personal is logged, and no cause of an error (Error.Err) holds personal data. Error.Message may: Stripe
//     quotes what it refuses ("Invalid email address: x"). It is for the database and the person who has to mend the
//     customer; log class, code, param and request id instead.
package stripe
