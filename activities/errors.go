package activities

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
)

// failed translates an error for Temporal; it is the only place that says what is retried. The message carries class,
// code and the provider's request id but not the provider's words, which may quote what a person typed: messages are
// logged by the SDK. The words are in the details.
func failed(ctx context.Context, err error) error { return failedAs(ctx, err, false) }

// failedAs is for a failure that may be expected whatever its class, as when a person has mistyped an id: nobody is paged,
// and the log does not call it an error.
func failedAs(ctx context.Context, err error, expected bool) error {
	if err == nil {
		return nil
	}
	info := activity.GetInfo(ctx)
	last := tandem.NewLastError(err, time.Now().UTC(), int(info.Attempt))
	message := string(last.Class) + "/" + last.Code
	if last.Param != "" {
		message += " in " + last.Param
	}
	if last.RequestID != "" {
		message += " (" + last.RequestID + ")"
	}
	options := temporal.ApplicationErrorOptions{NonRetryable: !retryable(err), Details: []any{*last}}
	if fields := tandem.FieldsOf(err); len(fields) > 0 {
		options.Details = append(options.Details, fields) // for whoever sent them; a mapping does not show them
	}
	if retryable(err) {
		if !info.IsLocalActivity { // the SDK would wait that long with a caller, and a workflow task, waiting too
			options.NextRetryDelay = backoff(last.Class, int(info.Attempt))
		}
	}
	if expected || retryable(err) || last.Code == tandem.CodeReadBudgetSpent {
		options.Category = temporal.ApplicationErrorCategoryBenign // expected: waits for the provider, nobody is paged
	}
	return temporal.NewApplicationErrorWithOptions(message, string(last.Class), options)
}

// retryable leaves out what Temporal need not try again by itself: a spent budget is waited for by the workflow, which
// hears of newer events meanwhile.
func retryable(err error) bool {
	code := tandem.CodeOf(err)
	return tandem.ClassOf(err).Retryable() && !NeedsProof(code) && code != codeLookupTooLarge && code != tandem.CodeReadBudgetSpent
}

// NeedsProof reports whether sending the same call again would teach nothing: the key has expired, or the provider
// answers from memory. Whether the call happened has to be found out another way.
func NeedsProof(code string) bool {
	return code == tandem.CodeKeyExpired || code == tandem.CodeSavedFailure || code == tandem.CodeKeyReused
}

// classOf is the metrics label of an outcome; empty is success.
func classOf(err error) tandem.Class {
	if err == nil {
		return ""
	}
	return tandem.ClassOf(err)
}

// backoff doubles from its class's first delay to its longest, and takes a random half of that away: workers that
// failed together should not come back together. Local activities go by their retry policy instead.
func backoff(class tandem.Class, attempt int) time.Duration {
	first, longest := time.Second, 2*time.Minute
	switch class {
	case tandem.RateLimited:
		longest = 30 * time.Second
	case tandem.Auth:
		first, longest = 5*time.Second, time.Minute
	}
	delay := longest
	if attempt < 12 {
		delay = min(longest, first<<max(0, attempt-1))
	}
	return delay/2 + rand.N(delay/2)
}

// FailureOf reads what failed said, from a workflow's side of the wire; nil when err is nil. An error that no activity
// of ours made (a time-out, a panic) is a bug, except for time-outs, whose call may have happened.
func FailureOf(err error, now time.Time) *tandem.LastError {
	if err == nil {
		return nil
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var last tandem.LastError
		if app.HasDetails() && app.Details(&last) == nil && last.Class != "" {
			return &last
		}
	}
	class := tandem.Bug
	if temporal.IsTimeoutError(err) {
		class = tandem.Ambiguous
	}
	return &tandem.LastError{Class: class, Code: tandem.CodeInternal, Message: err.Error(), At: now}
}
