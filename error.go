package tandem

import (
	"errors"
	"fmt"
)

// Class says what can be done about a failure. It selects the retry policy, labels the metrics, and is what people
// filter by. There is no ninth class: anything unexpected is a bug.
type Class string

// The classes, from "wait" to "call an engineer".
const (
	Transient   Class = "transient"    // network, 5xx on safe calls, database restarting: retried for as long as it takes
	Ambiguous   Class = "ambiguous"    // it may have happened: same key and body again, never a blind new key
	RateLimited Class = "rate_limited" // slow down; not counted as a failure
	Invalid     Class = "invalid"      // this payload can never work: parked until the customer changes
	Auth        Class = "auth"         // the key or its permissions: nothing of this provider can work
	Gone        Class = "gone"         // the remote customer does not exist any more
	Conflict    Class = "conflict"     // two truths: a person chooses
	Bug         Class = "bug"          // unexpected: parked and loud
)

// Retryable reports whether the same call, made again later, can succeed without anything else having changed. Auth
// counts: it works again as soon as the key does.
func (c Class) Retryable() bool {
	return c == Transient || c == Ambiguous || c == RateLimited || c == Auth
}

// Codes that the rest of the house tells apart. Provider codes (email_invalid, …) pass through as they are.
const (
	CodeInvalidRequest    = "invalid_request"
	CodeCustomerNotFound  = "customer_not_found"
	CodeCustomerExists    = "customer_exists"
	CodeCustomerArchived  = "customer_archived"
	CodeExternalIDTaken   = "external_id_taken"
	CodeVersionMismatch   = "version_mismatch"
	CodeIdempotencyReused = "idempotency_key_reused"
	CodeMappingNotFound   = "mapping_not_found"
	CodeEventNotFound     = "event_not_found"
	CodeProviderUnknown   = "provider_unknown"
	CodeSignatureInvalid  = "signature_invalid"
	CodeEventInvalid      = "event_invalid"
	CodeRemoteGone        = "remote_gone"
	CodeKeyExpired        = "idempotency_key_expired"
	CodeSavedFailure      = "saved_500"         // the provider answers this key with a failure, from memory
	CodeKeyReused         = "idempotency_error" // the provider knows this key with another body
	CodeClaimEnded        = "claim_ended"
	CodeUnanswered        = "unanswered" // a call that was given up before it had an answer
	CodeNothingWaits      = "nothing_waits"
	CodeRemoteNotFound    = "remote_not_found"
	CodeCustomerLinked    = "customer_linked"
	CodeRemoteLinked      = "remote_linked"
	CodeDeleteBrake       = "delete_brake"
	CodeOwnedByProvider   = "owned_by_provider" // a field that only the provider may change
	CodeReadBudgetSpent   = "read_budget_spent" // the day's reads for events whose order is in doubt
	CodeAccountChanged    = "account_changed"   // the key leads to another account than the customers here belong to
	CodeRunNotFound       = "run_not_found"
	CodeRunOpen           = "run_open"    // a provider has one run at a time
	CodeRunEnded          = "run_ended"   // nothing is left to pause, resume or cancel
	CodeRunMoved          = "run_moved"   // somebody else has taken the page in
	CodeCursorGone        = "cursor_gone" // the customer a list was to go on behind has been deleted
	CodeUnavailable       = "unavailable"
	CodeInternal          = "internal"
)

// FieldError names one fault of one input field, in the words of the HTTP API.
type FieldError struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error is the one error type that crosses rooms. The edges (db, providers) translate into it, the other edges (api,
// activities) out of it; nobody in between looks at driver errors.
type Error struct {
	Class     Class
	Code      string
	Message   string
	Param     string       // the provider's name of the offending field
	RequestID string       // the provider's request id, for its support desk
	Fields    []FieldError // faults of our own input
	Err       error        // the cause, for logs; never shown to callers
}

func (e *Error) Error() string {
	s := string(e.Class) + "/" + e.Code + ": " + e.Message
	if e.RequestID != "" {
		s += " (" + e.RequestID + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error; a %w in the format becomes its cause.
func Errorf(class Class, code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// ClassOf returns the class of err, Bug for anything that is not ours.
func ClassOf(err error) Class {
	if e, ok := asError(err); ok {
		return e.Class
	}
	return Bug
}

// CodeOf returns the code of err, CodeInternal for anything that is not ours.
func CodeOf(err error) string {
	if e, ok := asError(err); ok {
		return e.Code
	}
	return CodeInternal
}

// FieldsOf returns the faults of our own input that err names.
func FieldsOf(err error) []FieldError {
	if e, ok := asError(err); ok {
		return e.Fields
	}
	return nil
}

func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }
