package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

// journalView is one line of a customer's story.
type journalView struct {
	ID               string               `json:"id"`
	At               time.Time            `json:"at"`
	Direction        tandem.Direction     `json:"direction"`
	Action           string               `json:"action"`
	Provider         string               `json:"provider,omitempty"`
	ProviderEntityID string               `json:"provider_entity_id,omitempty"`
	Cause            string               `json:"cause"`
	CauseID          string               `json:"cause_id,omitempty"`
	WorkflowID       string               `json:"workflow_id,omitempty"`
	RunID            string               `json:"run_id,omitempty"`
	Changes          []tandem.FieldChange `json:"changes"`
	Detail           string               `json:"detail,omitempty"`
}

func viewJournal(e tandem.JournalEntry) journalView {
	changes := e.Changes
	if changes == nil {
		changes = []tandem.FieldChange{}
	}
	return journalView{
		ID: e.ID, At: e.At.UTC(), Direction: e.Direction, Action: e.Action, Provider: e.Provider, ProviderEntityID: e.RemoteID,
		Cause: e.Work.Cause.Kind, CauseID: e.Work.Cause.ID, WorkflowID: e.Work.WorkflowID, RunID: e.Work.RunID,
		Changes: changes, Detail: e.Detail,
	}
}

// getJournal tells a customer's story from its beginning, archived customers' too.
func (s *Server) getJournal(c echo.Context) error {
	_, limit, after, err := listQuery(c, journalID)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	cust, err := s.customer(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	entries, err := s.store.JournalPage(ctx, cust.ID, after, limit+1)
	if err != nil {
		return err
	}
	entries, next := cut(entries, limit, func(e tandem.JournalEntry) string { return e.ID })
	return c.JSON(http.StatusOK, page[journalView]{Items: views(entries, viewJournal), Pagination: next})
}
