package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// answerChange answers with the customer as stored or, with ?wait, as it is after the sync.
func (s *Server) answerChange(c echo.Context, status int, cust tandem.Customer, wait *time.Duration) error {
	chaos.Point("api.after_start_before_reply")
	if wait == nil {
		return send(c, status, viewCustomer(cust))
	}
	s.settle(c, cust.ID, *wait)
	view, err := s.reread(c, cust.ID)
	if err != nil { // the change is stored: that the rest is not known must not make it look undone
		s.logFollowUp(c, "http.reread_failed", err)
		view = viewCustomer(cust)
	}
	return send(c, status, view)
}

// settle waits for the sync. The server's write deadline is for ordinary requests: once it has passed the answer would
// be lost. net/http lifts the read deadline by itself as soon as the body is read.
func (s *Server) settle(c echo.Context, id string, wait time.Duration) {
	if wait == 0 {
		return
	}
	// Not supported where there is no connection, as in a test; then there is no deadline to move either.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(wait + requestBudget))
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait)
	defer cancel()
	if err := s.starter.Settle(ctx, id); err != nil {
		s.logFollowUp(c, "http.settle_failed", err)
	}
}

// rereadTimeout leaves time for the answer before the deadline that settle has set.
const rereadTimeout = 3 * time.Second

func (s *Server) reread(c echo.Context, id string) (customerView, error) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), rereadTimeout)
	defer cancel()
	cust, err := s.store.Customer(ctx, id)
	if err != nil {
		return customerView{}, err
	}
	views, err := s.withInfo(ctx, cust)
	if err != nil {
		return customerView{}, err
	}
	return views[0], nil
}

func (s *Server) logFollowUp(c echo.Context, msg string, err error) {
	s.log.LogAttrs(c.Request().Context(), slog.LevelWarn, msg, slog.String("request_id", requestID(c)),
		slog.String("class", string(tandem.ClassOf(err))), slog.String("code", tandem.CodeOf(err)))
}
