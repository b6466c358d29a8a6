package api

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// cursorVersion lets a later release tell the cursors of an earlier one apart.
const cursorVersion = "1:"

// page is the answer of every list.
type page[T any] struct {
	Items      []T        `json:"items"`
	Pagination pagination `json:"pagination"`
}

type pagination struct {
	Limit      int    `json:"limit"`
	NextCursor string `json:"next_cursor,omitempty"` // absent on the last page
}

// cut ends a page. The store was asked for one row more than fit on it: that one says whether there is a next page.
func cut[T any](rows []T, limit int, id func(T) string) ([]T, pagination) {
	if len(rows) <= limit {
		return rows, pagination{Limit: limit}
	}
	return rows[:limit], pagination{Limit: limit, NextCursor: encodeCursor(id(rows[limit-1]))}
}

// views shows rows; an empty page is an empty list, not null.
func views[R, V any](rows []R, view func(R) V) []V {
	out := make([]V, len(rows))
	for i, r := range rows {
		out[i] = view(r)
	}
	return out
}

// A cursor is the last id of the page before. Callers must not look into it, so it does not look like one.
func encodeCursor(id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorVersion + id))
}

// decodeCursor wants an id of the list's own form: the cursor of another list would silently begin anywhere.
func decodeCursor(cursor string, ids *regexp.Regexp) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	id, ok := strings.CutPrefix(string(b), cursorVersion)
	if err != nil || !ok || !ids.MatchString(id) {
		return "", badParameter("cursor", "must be the next_cursor of a former page")
	}
	return id, nil
}
