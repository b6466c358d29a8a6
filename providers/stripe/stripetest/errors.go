package stripetest

import (
	"fmt"
	"net/http"
	"strings"
)

// apiError is Stripe's error object plus what travels beside it.
type apiError struct {
	Code          string `json:"code,omitempty"`
	DocURL        string `json:"doc_url,omitempty"`
	Message       string `json:"message,omitempty"`
	Param         string `json:"param,omitempty"`
	RequestLogURL string `json:"request_log_url,omitempty"`
	Type          string `json:"type"`

	status int
	header http.Header
	// anonymous answers carry neither Request-Id nor Stripe-Version: a bad key
	// and a lock timeout are refused before a request exists.
	anonymous bool
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%d %s %s: %s", e.status, e.Type, e.Code, e.Message)
}

// with returns the body, completed with the links that depend on the request.
func (e *apiError) with(requestID string) any {
	full := *e
	if full.Code != "" {
		full.DocURL = "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(full.Code, "_", "-")
	}
	if requestID != "" {
		full.RequestLogURL = "https://dashboard.stripe.com/test/logs/" + requestID
	}
	return map[string]any{"error": full}
}

const (
	typeInvalid     = "invalid_request_error"
	typeAPI         = "api_error"
	typeIdempotency = "idempotency_error"
)

func badRequest(code, param, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, Type: typeInvalid, Code: code, Param: param, Message: message}
}

func unknownParams(names []string) *apiError {
	word := "parameter"
	if len(names) > 1 {
		word = "parameters"
	}
	return badRequest("parameter_unknown", names[0], "Received unknown "+word+": "+strings.Join(names, ", "))
}

func missingParam(name string) *apiError {
	return badRequest("parameter_missing", name, "Missing required param: "+name+".")
}

func emptyParam(name string) *apiError {
	return badRequest("parameter_invalid_empty", name, fmt.Sprintf("You passed an empty string for '%[1]s'. "+
		"We assume empty values are an attempt to unset a parameter; however '%[1]s' cannot be unset. "+
		"You should remove '%[1]s' from your request or supply a non-empty value.", name))
}

func noSuch(kind, id string) *apiError {
	return &apiError{status: http.StatusNotFound, Type: typeInvalid, Code: "resource_missing", Param: "id",
		Message: fmt.Sprintf("No such %s: '%s'", kind, id)}
}

// noSuchCursor is 400, not 404: the missing object is a parameter, not the path.
func noSuchCursor(kind, param, id string) *apiError {
	e := noSuch(kind, id)
	e.status, e.Param = http.StatusBadRequest, param
	return e
}

func unrecognizedURL(method, path string) *apiError {
	return &apiError{status: http.StatusNotFound, Type: typeInvalid,
		Message: fmt.Sprintf("Unrecognized request URL (%s: %s). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.", method, path)}
}

func unauthorized(code, message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, Type: typeInvalid, Code: code, Message: message, anonymous: true,
		header: http.Header{"Www-Authenticate": {`Basic realm="Stripe"`}}}
}

func invalidKey(key string) *apiError {
	return unauthorized("", "Invalid API Key provided: "+maskKey(key))
}

func rateLimited(reason string) *apiError {
	return &apiError{status: http.StatusTooManyRequests, Type: typeInvalid, Code: "rate_limit",
		Message: "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
		header:  http.Header{"Stripe-Rate-Limited-Reason": {reason}}}
}

func lockTimeout() *apiError {
	return &apiError{status: http.StatusTooManyRequests, Type: typeInvalid, Code: "lock_timeout", anonymous: true,
		Message: "This object can’t be accessed right now because another API request or Stripe process is currently accessing it. " +
			"If you see this error intermittently, retry the request."}
}

func keyInUse(key string) *apiError {
	return &apiError{status: http.StatusConflict, Type: typeIdempotency, Code: "idempotency_key_in_use",
		Message: fmt.Sprintf("There is currently another in-progress request using this Idempotent Key (%s). Please try again later.", key)}
}

func keyReused(key string) *apiError {
	return &apiError{status: http.StatusBadRequest, Type: typeIdempotency,
		Message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. "+
			"Try using a key other than '%s' if you meant to execute a different request.", key)}
}

func serverError() *apiError {
	return &apiError{status: http.StatusInternalServerError, Type: typeAPI,
		Message: "Sorry, there was a problem on Stripe's end. We have been notified of the problem."}
}

// maskKey keeps what Stripe shows of a refused key: its prefix and its tail.
func maskKey(key string) string {
	prefix, tail := "", key
	if i := strings.LastIndex(key, "_"); i >= 0 {
		prefix, tail = key[:i+1], key[i+1:]
	}
	if len(tail) <= 4 {
		return prefix + "****"
	}
	return prefix + strings.Repeat("*", len(tail)-4) + tail[len(tail)-4:]
}
