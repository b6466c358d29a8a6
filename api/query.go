package api

import (
	"encoding/base64"
	"net/url"
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

	// cursorVersion lets a later release tell the cursors of an earlier one apart.
	cursorVersion = "1:"
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

// waitFor reads ?wait; nil when the caller does not want to wait.
func waitFor(c echo.Context) (*time.Duration, error) {
	q, err := query(c, "wait")
	if err != nil || !q.Has("wait") {
		return nil, err
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

// customerQuery reads the filters and the page of a list.
func customerQuery(c echo.Context) (tandem.CustomerQuery, error) {
	v, err := query(c, "email", "external_id", "status", "state", "provider_entity_id", "limit", "cursor")
	if err != nil {
		return tandem.CustomerQuery{}, err
	}
	q := tandem.CustomerQuery{
		Email: v.Get("email"), ExternalID: v.Get("external_id"), ProviderEntityID: v.Get("provider_entity_id"),
		Status: tandem.Status(v.Get("status")), State: tandem.MappingState(v.Get("state")), Limit: defaultLimit,
	}
	if v.Has("status") && !slices.Contains(statuses, q.Status) {
		return q, badParameter("status", "must be active or archived")
	}
	if v.Has("state") && !slices.Contains(states, q.State) {
		return q, badParameter("state", "must be pending, synced, retrying, parked, conflict or archived")
	}
	if v.Has("limit") {
		if q.Limit, err = strconv.Atoi(v.Get("limit")); err != nil || q.Limit < 1 || q.Limit > maxLimit {
			return q, badParameter("limit", "must be a number from 1 to 100")
		}
	}
	if v.Has("cursor") {
		if q.After, err = decodeCursor(v.Get("cursor")); err != nil {
			return q, err
		}
	}
	return q, nil
}

var (
	statuses = []tandem.Status{tandem.Active, tandem.Archived}
	states   = []tandem.MappingState{
		tandem.Pending, tandem.Synced, tandem.Retrying, tandem.Parked, tandem.InConfl, tandem.Ended,
	}
)

// A cursor is the last id of the page before. Callers must not look into it, so it does not look like one.
func encodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorVersion + id))
}

func decodeCursor(cursor string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	id, ok := strings.CutPrefix(string(b), cursorVersion)
	if err != nil || !ok || !customerID.MatchString(id) {
		return "", badParameter("cursor", "must be the next_cursor of a former page")
	}
	return id, nil
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
