package api

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const reportPage = 1000

var reportColumns = []string{"id", "at", "kind", "done", "customer_id", "remote_id", "reason", "field", "before", "after"}

// sendReport streams a report of any length, page by page. A report that breaks off must not pass for a whole one: the
// connection is cut, which every client notices.
func (s *Server) sendReport(c echo.Context, q tandem.FindingQuery) error {
	q.Limit = reportPage
	found, err := s.reportPage(c, q)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, mimeCSV+"; charset=utf-8")
	h.Set(echo.HeaderContentDisposition, fmt.Sprintf("attachment; filename=%q", q.RunID+".csv"))
	c.Response().WriteHeader(http.StatusOK)
	w := csv.NewWriter(c.Response())
	_ = w.Write(reportColumns) // the writer keeps its first error, and the flush tells it
	for {
		if err := s.writeReport(c, w, found); err != nil {
			return s.breakOff(c, err)
		}
		if len(found) < reportPage {
			return nil
		}
		q.After = found[len(found)-1].ID
		if found, err = s.reportPage(c, q); err != nil {
			return s.breakOff(c, err)
		}
	}
}

func (s *Server) reportPage(c echo.Context, q tandem.FindingQuery) ([]tandem.Finding, error) {
	// The server's write deadline is for ordinary answers. Not supported where there is no connection, as in a test.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(requestBudget + writeTimeout))
	ctx, cancel := context.WithTimeout(c.Request().Context(), requestBudget)
	defer cancel()
	found, err := s.store.Findings(ctx, q)
	if err == nil && len(found) > 0 && found[0].ID <= q.After {
		err = tandem.Errorf(tandem.Bug, tandem.CodeInternal, "the findings do not go on behind the page before")
	}
	return found, err
}

func (s *Server) writeReport(c echo.Context, w *csv.Writer, found []tandem.Finding) error {
	for _, f := range found {
		for _, line := range reportLines(f) {
			_ = w.Write(line)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	c.Response().Flush()
	return nil
}

func (s *Server) breakOff(c echo.Context, err error) error {
	s.logFollowUp(c, "http.report_broken_off", err)
	panic(http.ErrAbortHandler)
}

// reportLines is one line for each changed field, and one for a finding without any.
func reportLines(f tandem.Finding) (lines [][]string) {
	changes := f.Changes
	if len(changes) == 0 {
		changes = []tandem.FieldChange{{}}
	}
	for _, ch := range changes {
		lines = append(lines, []string{
			f.ID, f.At.UTC().Format(time.RFC3339Nano), string(f.Kind), strconv.FormatBool(f.Done), harmless(f.CustomerID),
			harmless(f.RemoteID), harmless(f.Reason), harmless(ch.Field), harmless(ch.Before), harmless(ch.After),
		})
	}
	return lines
}

// harmless keeps a spreadsheet from taking a customer's name for a formula, and running it.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
