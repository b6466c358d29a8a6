package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// Codes that only this edge knows.
const (
	codeMalformed        = "malformed_request"      // the body is not what the route reads
	codeParameter        = "invalid_parameter"      // the query or a header
	codeUnauthorized     = "unauthorized"           // no key, or not one of ours
	codeNotFound         = "not_found"              // no such route
	codeMethodNotAllowed = "method_not_allowed"     // the route knows other methods
	codeTooLarge         = "body_too_large"         //
	codeMediaType        = "unsupported_media_type" //
	codeTimeout          = "request_timeout"        // the client was too slow
	codeNotReplayable    = "event_not_replayable"   // no workflow could do anything with it
	codeConflict         = "conflict"               // any that has no code of its own here
)

// answer is what a code means to a caller. The field is named when the error itself names none.
type answer struct {
	status int
	field  string
}

// answers is the one table from code to status. A code that is missing here is answered by its class: what a retry helps
// with is 503, a conflict 409, and anything else a bug and 500.
var answers = map[string]answer{
	codeMalformed:                {status: http.StatusBadRequest},
	codeParameter:                {status: http.StatusBadRequest},
	tandem.CodeSignatureInvalid:  {status: http.StatusBadRequest},
	tandem.CodeEventInvalid:      {status: http.StatusBadRequest},
	codeUnauthorized:             {status: http.StatusUnauthorized},
	codeNotFound:                 {status: http.StatusNotFound},
	tandem.CodeCustomerNotFound:  {status: http.StatusNotFound},
	tandem.CodeMappingNotFound:   {status: http.StatusNotFound},
	tandem.CodeEventNotFound:     {status: http.StatusNotFound},
	tandem.CodeProviderUnknown:   {status: http.StatusNotFound},
	tandem.CodeRunNotFound:       {status: http.StatusNotFound},
	codeMethodNotAllowed:         {status: http.StatusMethodNotAllowed},
	codeTimeout:                  {status: http.StatusRequestTimeout},
	tandem.CodeCustomerExists:    {status: http.StatusConflict},
	tandem.CodeCustomerArchived:  {status: http.StatusConflict},
	tandem.CodeExternalIDTaken:   {status: http.StatusConflict, field: "external_id"},
	tandem.CodeNothingWaits:      {status: http.StatusConflict},
	tandem.CodeRemoteGone:        {status: http.StatusConflict},
	tandem.CodeCustomerLinked:    {status: http.StatusConflict},
	tandem.CodeRemoteLinked:      {status: http.StatusConflict},
	tandem.CodeRunOpen:           {status: http.StatusConflict},
	tandem.CodeRunEnded:          {status: http.StatusConflict},
	codeNotReplayable:            {status: http.StatusConflict},
	codeConflict:                 {status: http.StatusConflict},
	tandem.CodeVersionMismatch:   {status: http.StatusPreconditionFailed, field: headerIfMatch},
	codeTooLarge:                 {status: http.StatusRequestEntityTooLarge},
	codeMediaType:                {status: http.StatusUnsupportedMediaType},
	tandem.CodeInvalidRequest:    {status: http.StatusUnprocessableEntity},
	tandem.CodeRemoteNotFound:    {status: http.StatusUnprocessableEntity},
	tandem.CodeOwnedByProvider:   {status: http.StatusUnprocessableEntity},
	tandem.CodeIdempotencyReused: {status: http.StatusUnprocessableEntity, field: headerIdempotencyKey},
	tandem.CodeInternal:          {status: http.StatusInternalServerError},
	tandem.CodeUnavailable:       {status: http.StatusServiceUnavailable},
	codeOverloaded:               {status: http.StatusServiceUnavailable},
}

// problem is RFC 9457.
type problem struct {
	Type      string              `json:"type"`
	Title     string              `json:"title"`
	Status    int                 `json:"status"`
	Detail    string              `json:"detail,omitempty"`
	Code      string              `json:"code"`
	RequestID string              `json:"request_id"`
	Errors    []tandem.FieldError `json:"errors,omitempty"`
}

// retryAfter is a hint in seconds: long enough for a restart next door, short enough not to be noticed.
const retryAfter = "2"

// statusClientGone is what the log and the metrics say when work failed because the caller did not stay for the answer.
const statusClientGone = 499

// fail answers with a problem; it is the only way out for an error. What a caller cannot mend is not explained to him:
// it is in the log, under the request id.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	p.RequestID = requestID(c)
	if p.Status >= http.StatusInternalServerError && errors.Is(c.Request().Context().Err(), context.Canceled) {
		_ = c.NoContent(statusClientGone)
		return
	}
	if p.Status >= http.StatusInternalServerError && p.Code != codeOverloaded { // a crowd is counted, not told one by one
		s.logFailure(c, p, err)
	}
	if p.Status == http.StatusServiceUnavailable {
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("marshal problem: " + err.Error()) // strings only: cannot happen
	}
	_ = c.Blob(p.Status, "application/problem+json", body)
}

func problemOf(err error) problem {
	e := classify(err)
	a := answers[e.Code]
	p := problem{
		Type: "about:blank", Title: http.StatusText(a.status), Status: a.status, Code: e.Code, Detail: e.Message, Errors: e.Fields,
	}
	switch {
	case errors.Is(err, errNotStarted): // the message says so
	case a.status == http.StatusServiceUnavailable:
		p.Detail = "the request could not be served just now, and may still be carried out; a create is only safe to send again under the same Idempotency-Key"
	case a.status == http.StatusInternalServerError:
		p.Detail = "something unexpected happened; the request id leads to the reason"
	case a.field != "" && len(e.Fields) == 0:
		p.Errors = []tandem.FieldError{{Field: a.field, Code: e.Code, Message: e.Message}}
	}
	return p
}

// classify returns err as an error with a code of the table.
func classify(err error) *tandem.Error {
	if e, ok := errors.AsType[*tandem.Error](err); ok {
		if _, known := answers[e.Code]; known {
			return e
		}
		switch {
		case e.Class.Retryable():
			return &tandem.Error{Class: e.Class, Code: tandem.CodeUnavailable, Err: e}
		case e.Class == tandem.Conflict:
			return &tandem.Error{Class: e.Class, Code: codeConflict, Message: e.Message, Fields: e.Fields, Err: e}
		}
		return &tandem.Error{Class: tandem.Bug, Code: tandem.CodeInternal, Err: e}
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return fromEcho(e)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Err: err}
	}
	return &tandem.Error{Class: tandem.Bug, Code: tandem.CodeInternal, Err: err}
}

// fromEcho translates what the router says. Nothing else of Echo that makes errors is in use.
func fromEcho(e *echo.HTTPError) *tandem.Error {
	switch e.Code {
	case http.StatusNotFound:
		return tandem.Errorf(tandem.Invalid, codeNotFound, "there is nothing at this path; see /openapi.yaml")
	case http.StatusMethodNotAllowed:
		return tandem.Errorf(tandem.Invalid, codeMethodNotAllowed, "this path does not know this method; see /openapi.yaml")
	}
	return &tandem.Error{Class: tandem.Bug, Code: tandem.CodeInternal, Err: e}
}

// logFailure tells the cause, which holds no personal data; a Message may, because providers quote what they refuse.
func (s *Server) logFailure(c echo.Context, p problem, err error) {
	cause := err
	for e, ok := errors.AsType[*tandem.Error](cause); ok; e, ok = errors.AsType[*tandem.Error](cause) {
		cause = e.Err // the innermost says why; messages stay out of the log, they may quote people
	}
	s.log.LogAttrs(c.Request().Context(), slog.LevelError, "http.failed",
		slog.String("request_id", p.RequestID), slog.String("route", route(c)), slog.String("code", p.Code),
		slog.String("class", string(tandem.ClassOf(err))), slog.String("error_code", tandem.CodeOf(err)), slog.Any("error", cause))
}
