package api

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// providerView is a provider of this installation, and how far its own list of events has been read.
type providerView struct {
	Name    string      `json:"name"`
	CatchUp catchUpView `json:"catch_up"`
}

type catchUpView struct {
	UpTo            *time.Time `json:"up_to,omitempty"` // absent: never read
	CheckedAt       *time.Time `json:"checked_at,omitempty"`
	Missed          int        `json:"missed"`
	GapSince        *time.Time `json:"gap_since,omitempty"`
	ReconcileNeeded bool       `json:"reconcile_needed"`
}

type providerList struct {
	Items []providerView `json:"items"`
}

func viewCatchUp(c tandem.CatchUp) catchUpView {
	return catchUpView{
		UpTo: known(c.UpTo), CheckedAt: known(c.CheckedAt), Missed: c.Missed, GapSince: utc(c.GapSince),
		ReconcileNeeded: c.GapSince != nil,
	}
}

// known is nil for a time that has never been.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return utc(&t)
}

func (s *Server) listProviders(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	items := make([]providerView, 0, len(s.providers))
	for _, p := range s.providers {
		up, err := s.store.CatchUp(ctx, p.Name())
		if err != nil {
			return err
		}
		items = append(items, providerView{Name: p.Name(), CatchUp: viewCatchUp(up)})
	}
	return c.JSON(http.StatusOK, providerList{Items: items})
}

// catchUp has the provider's own list of events read now, instead of when its time has come.
func (s *Server) catchUp(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	p, err := s.providers.Get(c.Param("provider"))
	if err != nil {
		return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeProviderUnknown, Message: "no provider has this name here"}
	}
	ctx, cancel := bounded(c)
	defer cancel()
	run, err := s.starter.CatchUp(ctx, p.Name())
	if err != nil {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "catch_up.asked", slog.String("provider", p.Name()),
		slog.String("workflow_id", run.WorkflowID), slog.String("request_id", requestID(c)))
	return c.JSON(http.StatusAccepted, run)
}
