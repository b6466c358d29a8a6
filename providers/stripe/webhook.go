package stripe

import (
	"crypto/hmac"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/tandem-sync/tandem"
)

// maxAhead is how far in the future a signature may lie: clocks differ, but one from tomorrow could be replayed all
// day. stripe-go sets no bound.
const maxAhead = 60 * time.Second

// maxEventAhead is how far in the future an event may be dated: more than clocks disagree.
const maxEventAhead = time.Hour

// VerifyWebhook implements tandem.Provider. The signature is stripe-go's (webhook.ComputeSignature); the header is
// read here, because stripe-go takes the time from the machine, accepts any future and knows only one secret. The
// event's API version plays no part: it depends on how the endpoint was made, and ParseEvent reads them all.
func (p *Provider) VerifyWebhook(header http.Header, body []byte, now time.Time) (tandem.Event, error) {
	sig, fault := parseSignature(header.Get("Stripe-Signature"))
	if fault != "" {
		return tandem.Event{}, badSignature(fault)
	}
	if !sig.matches(body, p.secrets) {
		return tandem.Event{}, badSignature("no configured secret made this signature")
	}
	// Only now: the age of a forged header is nobody's business.
	switch age := now.Sub(sig.at); {
	case age > p.tolerance:
		return tandem.Event{}, badSignature("it was signed " + age.Truncate(time.Second).String() + " ago")
	case age < -maxAhead:
		return tandem.Event{}, badSignature("it was signed " + (-age).Truncate(time.Second).String() + " in the future: a clock is wrong")
	}
	e, err := p.ParseEvent(body)
	if err == nil && e.Created.After(now.Add(maxEventAhead)) {
		// It would make every true event of the next days look old.
		return tandem.Event{}, notAnEvent("the event is dated in the future")
	}
	return e, err
}

// badSignature never quotes the header: a valid signature in a log could be used again while it is fresh.
func badSignature(why string) error {
	return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeSignatureInvalid, Message: "the webhook signature does not hold: " + why}
}

type signature struct {
	at time.Time
	v1 [][]byte
}

// parseSignature reads "t=1732354000,v1=<hex>,v1=<hex>,v0=<noise>": one v1 for every secret that is active at Stripe.
// Parts it does not know are skipped, as Stripe may add some; a second time is refused, as only one can be signed. The
// fault is for whoever set up the endpoint, or a proxy in front of it.
func parseSignature(header string) (sig signature, fault string) {
	if header == "" {
		return sig, "there is no Stripe-Signature header"
	}
	times, unreadable := 0, false
	for part := range strings.SplitSeq(header, ",") {
		name, val, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			seconds, err := strconv.ParseInt(val, 10, 64)
			if err != nil || seconds < 0 || seconds > maxUnix {
				return sig, "the time (t=) in the Stripe-Signature header is no number of seconds"
			}
			sig.at = time.Unix(seconds, 0)
			times++
		case "v1":
			mac, err := hex.DecodeString(val)
			if err != nil || len(mac) == 0 {
				unreadable = true
				continue
			}
			sig.v1 = append(sig.v1, mac)
		}
	}
	switch {
	case times != 1:
		return sig, "the Stripe-Signature header must have one time (t=), not " + strconv.Itoa(times)
	case len(sig.v1) > 0:
		return sig, ""
	case unreadable:
		return sig, "the v1 signature in the Stripe-Signature header is not hexadecimal"
	}
	return sig, "the Stripe-Signature header has no v1 signature"
}

// matches compares in constant time.
func (s signature) matches(body []byte, secrets []string) bool {
	for _, secret := range secrets {
		want := webhook.ComputeSignature(s.at, body, secret)
		for _, got := range s.v1 {
			if hmac.Equal(want, got) {
				return true
			}
		}
	}
	return false
}
