package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const pathRuns = "/v1/runs"

// beginRun starts a run over whole books. It goes on behind the answer.
func (s *Server) beginRun(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	w, err := s.decodeRun(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	run, err := s.starter.BeginRun(ctx, w)
	if tandem.CodeOf(err) == tandem.CodeRunOpen {
		return s.openRun(ctx, w.Provider)
	}
	if err != nil {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "run.begun", slog.String("provider", run.Provider), slog.String("bulk_run_id", run.ID),
		slog.String("mode", string(run.Mode)), slog.Bool("plan", run.Plan), slog.String("request_id", requestID(c)))
	c.Response().Header().Set(echo.HeaderLocation, pathRuns+"/"+run.ID)
	return c.JSON(http.StatusAccepted, viewRun(run, 0))
}

func (s *Server) decodeRun(c echo.Context) (tandem.RunWish, error) {
	w := tandem.RunWish{ID: runPrefix + newULID()}
	var mode string
	f, err := form{
		noun:  "a run",
		texts: map[string]*string{"provider": &w.Provider, "mode": &mode},
		flags: map[string]*bool{"plan": &w.Plan, "match_email": &w.MatchEmail},
		readOnly: []string{
			"id", "state", "step", "counts", "rate", "seconds_left", "last_error", "workflow_id", "started_at", "updated_at", "ended_at",
		},
	}.read(c)
	if err != nil {
		return w, err
	}
	if w.Provider == "" && len(s.providers) == 1 {
		w.Provider = s.providers[0].Name()
	}
	f.knownProvider("provider", w.Provider, s.providers)
	f.word("mode", mode, string(tandem.ModeImport), string(tandem.ModeExport), string(tandem.ModeReconcile))
	w.Mode = tandem.Mode(mode)
	return w, f.err()
}

// openRun names the run that is in the way, so that whoever is refused can look at it, or end it. A provider has one at a
// time, so it is the last that was begun.
func (s *Server) openRun(ctx context.Context, provider string) error {
	last, err := s.store.Runs(ctx, tandem.RunQuery{Provider: provider, Limit: 1})
	if err == nil && len(last) > 0 && !last[0].State.Ended() {
		return tandem.Errorf(tandem.Conflict, tandem.CodeRunOpen, "%s has a run already: %s, which is %s", provider, last[0].ID, last[0].State)
	}
	return tandem.Errorf(tandem.Conflict, tandem.CodeRunOpen, "%s has a run already; see GET /v1/runs", provider)
}

func (s *Server) listRuns(c echo.Context) error {
	q, err := runQuery(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	limit := q.Limit
	q.Limit++
	runs, err := s.store.Runs(ctx, q)
	if err != nil {
		return err
	}
	runs, next := cut(runs, limit, func(r tandem.BulkRun) string { return r.ID })
	items := make([]runView, len(runs))
	for i, r := range runs { // one at most is open for each provider, so this asks little
		if items[i], err = s.showRun(ctx, r); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, page[runView]{Items: items, Pagination: next})
}

func runQuery(c echo.Context) (tandem.RunQuery, error) {
	v, limit, after, err := listQuery(c, bulkRunID, "provider", "state")
	if err != nil {
		return tandem.RunQuery{}, err
	}
	q := tandem.RunQuery{Provider: v.Get("provider"), After: after, Limit: limit}
	q.State, err = oneOf(v, "state", tandem.RunRunning, tandem.RunPaused, tandem.RunDone, tandem.RunCancelled)
	return q, err
}

func (s *Server) getRun(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	run, err := s.bulkRun(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	view, err := s.showRun(ctx, run)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view)
}

func (s *Server) bulkRun(ctx context.Context, id string) (tandem.BulkRun, error) {
	if !bulkRunID.MatchString(id) {
		return tandem.BulkRun{}, tandem.Errorf(tandem.Invalid, tandem.CodeRunNotFound, "this run does not exist")
	}
	return s.store.BulkRun(ctx, id)
}

// steerRun passes a person's word to a run, which heeds it before its next page.
func (s *Server) steerRun(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	var action string
	f, err := form{noun: "a word to a run", texts: map[string]*string{"action": &action}}.read(c)
	if err != nil {
		return err
	}
	f.word("action", action, string(tandem.WordPause), string(tandem.WordResume), string(tandem.WordCancel))
	if err := f.err(); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	run, err := s.bulkRun(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	if run.State.Ended() {
		return tandem.Errorf(tandem.Conflict, tandem.CodeRunEnded, "the run has ended: it is %s", run.State)
	}
	if err := s.starter.Steer(ctx, run.WorkflowID, tandem.Word(action)); err != nil {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "run.steered", slog.String("provider", run.Provider), slog.String("bulk_run_id", run.ID),
		slog.String("word", action), slog.String("request_id", requestID(c)))
	return c.JSON(http.StatusAccepted, s.rereadRun(ctx, c, run))
}

// rereadRun shows what has become of the run. The word is passed on: that the run cannot be read must not make it look as
// if nobody had heard.
func (s *Server) rereadRun(ctx context.Context, c echo.Context, run tandem.BulkRun) runView {
	stored, err := s.store.BulkRun(ctx, run.ID)
	if err != nil {
		s.logFollowUp(c, "http.reread_failed", err)
		return viewRun(run, 0)
	}
	return viewRun(stored, 0)
}
