package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

const (
	ingestTimeout = 5 * time.Second // providers give up on a delivery after 10 to 20 seconds

	providerUnknown = "unknown" // metric label: what stands in the URL is anybody's text
	resultAccepted  = "accepted"
)

// receipt is what became of a delivery. Event is empty as long as the signature is not proved.
type receipt struct {
	event    tandem.Event
	ingested tandem.Ingested
}

type webhookAnswer struct {
	State tandem.EventState `json:"state"`
}

// receiveWebhook takes one delivery. Any answer but 200 makes the provider send it again, which is always safe: the
// ledger knows what it has seen.
func (s *Server) receiveWebhook(c echo.Context) error {
	start := time.Now()
	name := c.Param("provider")
	provider, err := s.providers.Get(name)
	if err != nil {
		s.metrics.webhook(providerUnknown, "", tandem.CodeProviderUnknown)
		return &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeProviderUnknown, Message: "no provider has this name here"}
	}
	r, err := s.take(c, provider)
	s.metrics.webhook(provider.Name(), r.event.Type, r.result(err))
	s.metrics.webhookAck.WithLabelValues(provider.Name()).Observe(time.Since(start).Seconds())
	s.logReceipt(c, provider.Name(), r, err)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, webhookAnswer{State: r.ingested.State})
}

// result is a code of errors.go, "accepted" for an event that is to be processed, or the state it has reached already.
func (r receipt) result(err error) string {
	switch {
	case err != nil:
		return classify(err).Code
	case r.ingested.Open:
		return resultAccepted
	}
	return string(r.ingested.State)
}

// take verifies the raw body before anything looks into it, and writes it into the ledger. That earns the provider's
// 200; who processes the event is found out after.
func (s *Server) take(c echo.Context, p tandem.Provider) (receipt, error) {
	var r receipt
	body, err := readBody(c, maxWebhookBody)
	if err != nil {
		return r, err
	}
	if r.event, err = p.VerifyWebhook(c.Request().Header, body, s.now()); err != nil {
		r.event = tandem.Event{}
		return r, err
	}
	chaos.Point("wh.after_verify_before_ledger")
	ctx, cancel := context.WithTimeout(c.Request().Context(), ingestTimeout)
	defer cancel()
	ingest := s.store.Ingest
	if s.handover.draining(p.Name()) {
		ingest = s.store.IngestAndApply // spares the drain whatever it would do the same way
	}
	if r.ingested, err = ingest(ctx, p.Name(), r.event); err != nil {
		return r, err
	}
	if r.ingested.Open && r.event.State != nil {
		chaos.Point("wh.after_ledger_before_start")
		s.handover.pass(p.Name(), r.event.ObjectID, r.ingested.Row)
	}
	return r, nil
}

// logReceipt names the event by its ids; the payload is the customer's own business.
func (s *Server) logReceipt(c echo.Context, provider string, r receipt, err error) {
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("provider", provider), slog.String("result", r.result(err)), slog.String("event_id", r.event.ID),
		slog.String("type", r.event.Type), slog.String("remote_id", r.event.ObjectID), slog.String("request_id", requestID(c)),
	}
	if refused, ok := errors.AsType[*tandem.Error](err); ok && refused.Code == tandem.CodeSignatureInvalid {
		attrs = append(attrs, slog.String("why", refused.Message)) // a wrong clock refuses every event: say how wrong
	}
	s.log.LogAttrs(c.Request().Context(), level, "webhook.received", attrs...)
}
