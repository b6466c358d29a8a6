package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// eventView is a row of the ledger. Lists leave the payload out: it is the customer's own business, and long.
type eventView struct {
	ID             string            `json:"id"`
	ProviderType   string            `json:"provider_type"`
	EventID        string            `json:"event_id"`
	Type           string            `json:"type"`
	ObjectID       string            `json:"object_id,omitempty"`
	Created        time.Time         `json:"created"`
	ReceivedAt     time.Time         `json:"received_at"`
	APIVersion     string            `json:"api_version,omitempty"`
	Livemode       bool              `json:"livemode"`
	IdempotencyKey string            `json:"request_idempotency_key,omitempty"`
	Deliveries     int               `json:"deliveries"`
	State          tandem.EventState `json:"state"`
	Reason         string            `json:"reason,omitempty"`
	ProcessedAt    *time.Time        `json:"processed_at,omitempty"`
	Payload        json.RawMessage   `json:"payload,omitempty"`
}

func viewEvent(r tandem.LedgerRow) eventView {
	return eventView{
		ID: r.ID, ProviderType: r.Provider, EventID: r.EventID, Type: r.Type, ObjectID: r.ObjectID, Created: r.Created.UTC(),
		ReceivedAt: r.ReceivedAt.UTC(), APIVersion: r.APIVersion, Livemode: r.Livemode, IdempotencyKey: r.Key,
		Deliveries: r.Deliveries, State: r.State, Reason: r.Reason, ProcessedAt: utc(r.ProcessedAt), Payload: r.Payload,
	}
}

func (s *Server) listEvents(c echo.Context) error {
	q, err := eventQuery(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	limit := q.Limit
	q.Limit++
	rows, err := s.store.ListEvents(ctx, q)
	if err != nil {
		return err
	}
	rows, next := cut(rows, limit, func(r tandem.LedgerRow) string { return r.ID })
	return c.JSON(http.StatusOK, page[eventView]{Items: views(rows, viewEvent), Pagination: next})
}

func (s *Server) getEvent(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	row, err := s.event(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewEvent(row))
}

func (s *Server) event(ctx context.Context, id string) (tandem.LedgerRow, error) {
	if !eventRowID.MatchString(id) {
		return tandem.LedgerRow{}, tandem.Errorf(tandem.Invalid, tandem.CodeEventNotFound, "this event does not exist")
	}
	return s.store.Event(ctx, id)
}

// replayEvent has an event decided on once more, as if it had just come: what it says is judged by what is known now,
// so an event that was applied already changes nothing. If no workflow can be started the row stays open, and the same
// request starts one later.
func (s *Server) replayEvent(c echo.Context) error {
	if _, err := query(c); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	row, err := s.event(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	if err := s.replayable(row); err != nil {
		return err
	}
	if row, err = s.store.Reopen(ctx, row.ID); err != nil {
		return err
	}
	run, err := s.starter.Inbound(ctx, row.Provider, row.ObjectID, []string{row.ID})
	if err != nil {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "event.replayed", slog.String("provider", row.Provider),
		slog.String("event_id", row.EventID), slog.String("type", row.Type), slog.String("remote_id", row.ObjectID),
		slog.String("workflow_id", run.WorkflowID), slog.String("request_id", requestID(c)))
	return c.JSON(http.StatusAccepted, run)
}

// replayable refuses what no workflow could do anything with. The payload is read again rather than the old reason
// believed: a later release may understand what an earlier one did not.
func (s *Server) replayable(row tandem.LedgerRow) error {
	p, err := s.providers.Get(row.Provider)
	if err != nil {
		return notReplayable("its provider is not configured here any more")
	}
	e, err := p.ParseEvent(row.Payload)
	switch {
	case err != nil:
		return notReplayable("its payload cannot be read")
	case e.State == nil || row.ObjectID == "":
		return notReplayable("it is not about a customer")
	}
	return nil
}

func notReplayable(why string) error {
	return tandem.Errorf(tandem.Conflict, codeNotReplayable, "the event cannot be replayed: %s", why)
}
