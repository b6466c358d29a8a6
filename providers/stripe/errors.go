package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	stripego "github.com/stripe/stripe-go/v76"

	"github.com/tandem-sync/tandem"
)

// Codes this adapter gives where Stripe gives none. Stripe's own (email_invalid, resource_missing, …) pass through.
const (
	// CodeSaved500 is Stripe's 500 on a create or update. Whether it happened is open, and the same key brings the same
	// 500 for a day: only looking can tell. A new key is safe only after the look.
	CodeSaved500 = tandem.CodeSavedFailure
	// CodeIdempotency: the key was used with other parameters before. What was done under it must be looked up.
	CodeIdempotency = tandem.CodeKeyReused
	// CodeParameterInvalid is a refused value that Stripe gives no code for, as with texts that are too long.
	CodeParameterInvalid = "parameter_invalid"
	// CodeUnreadable is a success whose body is no customer: a broken proxy, or not Stripe at all.
	CodeUnreadable = "unreadable_answer"
	// CodeTimeout, CodeCanceled and CodeNetwork: no answer came, because of our deadline, our caller, or the network.
	CodeTimeout  = "timeout"
	CodeCanceled = "canceled"
	CodeNetwork  = "network"
	// CodeWrongURL: whatever answers at the base URL is not the API we speak.
	CodeWrongURL = "wrong_base_url"
	// CodeMetadataKey is a metadata key that must not be sent.
	CodeMetadataKey = "metadata_key_invalid"
	// CodeBadCall is a mistake of ours, found before anything was sent.
	CodeBadCall = "bad_call"
)

var errUnreadable = errors.New("the answer is no customer")

// translate is the one place where what happened becomes a class.
//
//	what Stripe did                          read            write
//	no connection                            transient       transient: nothing was sent
//	no answer, broken answer, 2xx unreadable transient       ambiguous
//	3xx, 405, 404 of an unknown URL          bug             bug
//	400 idempotency_error                    -               ambiguous
//	400, 402, other 4xx of Stripe            invalid         invalid
//	401, 403                                 auth            auth
//	404 resource_missing                     gone            gone (a delete takes it for success)
//	409, 429                                 rate_limited    rate_limited
//	500                                      transient       ambiguous (saved_500 when keyed)
//	408, 424, 502, 503, 504                  transient       ambiguous
func (p *Provider) translate(c *call, err error) *tandem.Error {
	if c.status == 0 || c.bodyErr != nil {
		return p.noAnswer(c, err)
	}
	var se *stripego.Error
	if !errors.As(err, &se) {
		se = &stripego.Error{}
	}
	class, code := c.classify(se)
	message := se.Msg
	if message == "" {
		message = fmt.Sprintf("Stripe answered %d %s", c.status, http.StatusText(c.status))
	}
	if reason := c.header.Get("Stripe-Rate-Limited-Reason"); reason != "" {
		message += " [" + reason + "]"
	}
	return &tandem.Error{
		Class: class, Code: code, Message: p.clean(message), Param: se.Param, RequestID: c.requestID(),
	}
}

// noAnswer is for calls whose outcome did not arrive. Its cause is freed of the URL, which may hold an e-mail address.
func (p *Provider) noAnswer(c *call, err error) *tandem.Error {
	if c.bodyErr != nil {
		err = c.bodyErr
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	code := CodeNetwork
	switch {
	case errors.Is(err, context.Canceled):
		code = CodeCanceled
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		code = CodeTimeout
	case errors.Is(err, errTooLarge):
		code = CodeUnreadable
	}
	class := c.open()
	if c.unsent() {
		class = tandem.Transient
	}
	return &tandem.Error{
		Class: class, Code: code, RequestID: c.requestID(), Err: err,
		Message: p.clean("no answer from Stripe: " + err.Error()),
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// open is the class of a call of which it is not known whether it was carried out.
func (c *call) open() tandem.Class {
	if c.op.write {
		return tandem.Ambiguous
	}
	return tandem.Transient
}

// classify reads status, code and type. Stripe-Should-Retry: true lifts a refusal to "again, the same"; "false" says
// nothing about later, and stands on successes too.
func (c *call) classify(se *stripego.Error) (tandem.Class, string) {
	class, code := c.byStatus(se)
	if class == tandem.Invalid && c.header.Get("Stripe-Should-Retry") == "true" {
		class = c.open()
	}
	return class, code
}

func (c *call) byStatus(se *stripego.Error) (tandem.Class, string) {
	own := func(fallback string) string {
		if se.Code != "" {
			return string(se.Code)
		}
		return fallback
	}
	switch s := c.status; {
	case c.lostCursor(se):
		return tandem.Invalid, tandem.CodeCursorGone
	case s < 300:
		return c.open(), CodeUnreadable
	case s < 400 || s == http.StatusMethodNotAllowed:
		return tandem.Bug, CodeWrongURL
	case se.Type == stripego.ErrorTypeIdempotency && s == http.StatusBadRequest:
		return tandem.Ambiguous, CodeIdempotency
	case s == http.StatusUnauthorized:
		return tandem.Auth, own("api_key_invalid")
	case s == http.StatusForbidden:
		return tandem.Auth, own("permission_denied")
	case s == http.StatusNotFound:
		return c.notFound(se)
	case s == http.StatusConflict:
		return tandem.RateLimited, own(string(stripego.ErrorCodeIdempotencyKeyInUse))
	case s == http.StatusTooManyRequests:
		return tandem.RateLimited, own(string(stripego.ErrorCodeRateLimit))
	case s == http.StatusInternalServerError && c.op.keyed:
		return tandem.Ambiguous, CodeSaved500
	case s >= 500 || s == http.StatusRequestTimeout || s == http.StatusFailedDependency:
		return c.open(), own(tandem.CodeUnavailable)
	case se.Type != "" || s == http.StatusBadRequest || s == http.StatusPaymentRequired:
		return tandem.Invalid, own(CodeParameterInvalid)
	default: // a 4xx that Stripe never gives, from something that does not speak like Stripe
		return tandem.Bug, CodeWrongURL
	}
}

// notFound tells a missing customer from a missing page: only the former has a code.
func (c *call) notFound(se *stripego.Error) (tandem.Class, string) {
	switch {
	case se.Code != stripego.ErrorCodeResourceMissing:
		return tandem.Bug, CodeWrongURL
	case c.op == opCreate || c.op.paged(): // something they refer to, as a page's cursor does
		return tandem.Invalid, string(se.Code)
	default:
		return tandem.Gone, tandem.CodeRemoteGone
	}
}

// lostCursor reports that what a page was to go on behind is not there any more: a customer deleted since, or an event
// that Stripe has forgotten. It comes as 400 or 404, depending on whom one believes.
func (c *call) lostCursor(se *stripego.Error) bool {
	refused := c.status == http.StatusBadRequest || c.status == http.StatusNotFound
	return refused && c.op.paged() && se.Code == stripego.ErrorCodeResourceMissing && se.Param == "starting_after"
}

// isMissing reports whether Stripe said that the customer of this call does not exist.
func isMissing(c *call, err error) bool {
	var se *stripego.Error
	if c.status != http.StatusNotFound || !errors.As(err, &se) {
		return false
	}
	class, _ := c.notFound(se)
	return class == tandem.Gone
}

// maxMessage is enough for any message of Stripe's that does not quote what it refuses at length.
const maxMessage = 500

// clean bounds a message and makes sure it does not hold the key, should what answers echo it.
func (p *Provider) clean(message string) string {
	return clip(strings.ReplaceAll(message, p.key, "(the API key)"), maxMessage)
}

func clip(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
