package api

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const (
	formatJSON = "json"
	formatCSV  = "csv"
	mimeCSV    = "text/csv"
)

var findingKinds = []tandem.FindingKind{
	tandem.FoundCreated, tandem.FoundLinked, tandem.FoundUpdated, tandem.FoundSent, tandem.FoundArchived, tandem.FoundConflict,
	tandem.FoundRejected, tandem.FoundUnlinked, tandem.FoundReview, tandem.FoundWaiting,
}

// listFindings shows a run's report: a page of it, or all of it as a file for a spreadsheet.
func (s *Server) listFindings(c echo.Context) error {
	q, format, err := findingQuery(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	run, err := s.bulkRun(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	q.RunID = run.ID
	c.Response().Header().Set(echo.HeaderVary, echo.HeaderAccept)
	if format == formatCSV {
		return s.sendReport(c, q)
	}
	return s.pageFindings(ctx, c, q)
}

func (s *Server) pageFindings(ctx context.Context, c echo.Context, q tandem.FindingQuery) error {
	limit := q.Limit
	q.Limit++
	found, err := s.store.Findings(ctx, q)
	if err != nil {
		return err
	}
	found, next := cut(found, limit, func(f tandem.Finding) string { return f.ID })
	return c.JSON(http.StatusOK, page[findingView]{Items: views(found, viewFinding), Pagination: next})
}

func findingQuery(c echo.Context) (q tandem.FindingQuery, format string, err error) {
	v, limit, after, err := listQuery(c, findingID, "kind", "format")
	if err != nil {
		return q, "", err
	}
	q = tandem.FindingQuery{After: after, Limit: limit}
	if q.Kind, err = oneOf(v, "kind", findingKinds...); err != nil {
		return q, "", err
	}
	if format, err = oneOf(v, "format", formatJSON, formatCSV); err != nil {
		return q, "", err
	}
	if format == "" && wantsCSV(c.Request().Header.Get(echo.HeaderAccept)) {
		format = formatCSV
	}
	for _, name := range []string{"limit", "cursor"} { // half a report that looks like a whole one helps nobody
		if format == formatCSV && v.Has(name) {
			return q, "", badParameter(name, "does not go with csv, which is always the whole report")
		}
	}
	return q, format, nil
}

func wantsCSV(accept string) bool {
	for wanted := range strings.SplitSeq(accept, ",") {
		if mediaType, _, err := mime.ParseMediaType(wanted); err == nil && mediaType == mimeCSV {
			return true
		}
	}
	return false
}
