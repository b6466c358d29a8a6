package api

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const (
	headerIfMatch        = "If-Match"
	headerIdempotencyKey = "Idempotency-Key"

	maxWait      = 60 * time.Second
	defaultLimit = 20
	maxLimit     = 100
)

func badParameter(name, message string) error {
	return &tandem.Error{
		Class: tandem.Invalid, Code: codeParameter, Message: "a parameter of the request is not valid",
		Fields: []tandem.FieldError{fault(name, "invalid", message)},
	}
}

// query reads the query string. A name that the route does not know is refused: a filter that is misspelled must not
// select everything.
func query(c echo.Context, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return nil, badParameter("query", "cannot be parsed")
	}
	for name, v := range values {
		switch {
		case !slices.Contains(known, name):
			return nil, badParameter(name, "is no parameter of this route")
		case len(v) > 1:
			return nil, badParameter(name, "must be given once")
		case v[0] == "":
			return nil, badParameter(name, "must not be empty")
		case !utf8.ValidString(v[0]) || strings.ContainsRune(v[0], 0):
			return nil, badParameter(name, "must be valid UTF-8 without the NUL character")
		}
	}
	return values, nil
}

// waitFor reads ?wait of a route that has no other parameter.
func waitFor(c echo.Context) (*time.Duration, error) {
	q, err := query(c, "wait")
	if err != nil {
		return nil, err
	}
	return waitIn(q)
}

// waitIn is nil when the caller does not want to wait.
func waitIn(q url.Values) (*time.Duration, error) {
	if !q.Has("wait") {
		return nil, nil
	}
	d, err := time.ParseDuration(q.Get("wait"))
	if err != nil || d < 0 || d > maxWait {
		return nil, badParameter("wait", "must be a duration from 0s to 60s, like 10s")
	}
	return &d, nil
}

// ifMatch reads the version that the caller has seen, bare or as the ETag it came in; 0 is any.
func ifMatch(c echo.Context) (int64, error) {
	values := c.Request().Header.Values(headerIfMatch)
	if len(values) == 0 || len(values) == 1 && values[0] == "*" {
		return 0, nil
	}
	v := values[0]
	if unquoted, ok := strings.CutPrefix(v, `"`); ok && strings.HasSuffix(unquoted, `"`) {
		v = strings.TrimSuffix(unquoted, `"`)
	}
	version, err := strconv.ParseInt(v, 10, 64)
	if err != nil || version < 1 || len(values) > 1 {
		return 0, badParameter(headerIfMatch, "must be the version of the customer, like 3")
	}
	return version, nil
}

// oneOf reads a parameter that takes one of a few words; empty when it is not there.
func oneOf[T ~string](q url.Values, name string, words ...T) (T, error) {
	v := T(q.Get(name))
	if q.Has(name) && !slices.Contains(words, v) {
		return v, badParameter(name, "must be "+choice(words))
	}
	return v, nil
}

// choice writes words out: a, b or c.
func choice[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

var (
	statuses = []tandem.Status{tandem.Active, tandem.Archived}
	states   = []tandem.MappingState{
		tandem.Pending, tandem.Synced, tandem.Retrying, tandem.Parked, tandem.InConfl, tandem.Ended,
	}
	classes = []tandem.Class{
		tandem.Transient, tandem.Ambiguous, tandem.RateLimited, tandem.Invalid, tandem.Auth, tandem.Gone, tandem.Conflict, tandem.Bug,
	}
	eventStates = []tandem.EventState{
		tandem.EventReceived, tandem.EventApplied, tandem.EventEcho, tandem.EventStale, tandem.EventIgnored,
		tandem.EventConflict, tandem.EventParked,
	}
)

// listQuery reads the query of a list: its filters, and the page. ids is the form of the ids that its cursors hold.
func listQuery(c echo.Context, ids *regexp.Regexp, filters ...string) (q url.Values, limit int, after string, err error) {
	if q, err = query(c, append(filters, "limit", "cursor")...); err != nil {
		return nil, 0, "", err
	}
	limit = defaultLimit
	if q.Has("limit") {
		if limit, err = strconv.Atoi(q.Get("limit")); err != nil || limit < 1 || limit > maxLimit {
			return nil, 0, "", badParameter("limit", "must be a number from 1 to 100")
		}
	}
	if q.Has("cursor") {
		after, err = decodeCursor(q.Get("cursor"), ids)
	}
	return q, limit, after, err
}

func customerQuery(c echo.Context) (tandem.CustomerQuery, error) {
	v, limit, after, err := listQuery(c, customerID, "email", "external_id", "status", "state", "provider_entity_id")
	if err != nil {
		return tandem.CustomerQuery{}, err
	}
	q := tandem.CustomerQuery{
		Email: v.Get("email"), ExternalID: v.Get("external_id"), ProviderEntityID: v.Get("provider_entity_id"),
		After: after, Limit: limit,
	}
	if q.Status, err = oneOf(v, "status", statuses...); err != nil {
		return q, err
	}
	q.State, err = oneOf(v, "state", states...)
	return q, err
}

// mappingQuery: entity_type is there for the day when there is a second one.
func mappingQuery(c echo.Context) (tandem.MappingQuery, error) {
	v, limit, after, err := listQuery(c, mappingID, "entity_id", "entity_type", "provider_type", "provider_entity_id", "state", "error_class")
	if err != nil {
		return tandem.MappingQuery{}, err
	}
	q := tandem.MappingQuery{
		CustomerID: v.Get("entity_id"), Provider: v.Get("provider_type"), RemoteID: v.Get("provider_entity_id"),
		After: after, Limit: limit,
	}
	if _, err := oneOf(v, "entity_type", tandem.EntityCustomer); err != nil {
		return q, err
	}
	if q.State, err = oneOf(v, "state", states...); err != nil {
		return q, err
	}
	q.ErrorClass, err = oneOf(v, "error_class", classes...)
	return q, err
}

func eventQuery(c echo.Context) (tandem.EventQuery, error) {
	v, limit, after, err := listQuery(c, eventRowID, "provider_type", "event_id", "object_id", "type", "state")
	if err != nil {
		return tandem.EventQuery{}, err
	}
	q := tandem.EventQuery{
		Provider: v.Get("provider_type"), EventID: v.Get("event_id"), ObjectID: v.Get("object_id"), Type: v.Get("type"),
		After: after, Limit: limit,
	}
	q.State, err = oneOf(v, "state", eventStates...)
	return q, err
}

// pathParam undoes the escaping that Echo leaves in a parameter when the path holds an escaped slash or the like.
func pathParam(c echo.Context, name string) string {
	p := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return p
	}
	if unescaped, err := url.PathUnescape(p); err == nil {
		return unescaped
	}
	return p
}
