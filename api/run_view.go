package api

import (
	"context"
	"math"
	"time"

	"github.com/tandem-sync/tandem"
)

// runView is a run on the wire. Where its walk through the list stands is its own business.
type runView struct {
	ID          string            `json:"id"`
	Provider    string            `json:"provider"`
	Mode        tandem.Mode       `json:"mode"`
	Plan        bool              `json:"plan"`
	MatchEmail  bool              `json:"match_email"`
	State       tandem.RunState   `json:"state"`
	Step        tandem.RunStep    `json:"step"`
	Counts      tandem.Counts     `json:"counts"`
	Rate        float64           `json:"rate"`
	SecondsLeft *int64            `json:"seconds_left,omitempty"` // nil: nobody knows
	LastError   *tandem.LastError `json:"last_error,omitempty"`
	WorkflowID  string            `json:"workflow_id"`
	StartedAt   time.Time         `json:"started_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
	EndedAt     *time.Time        `json:"ended_at,omitempty"`
}

// viewRun shows a run; total is how many customers its list is expected to have, 0 if nobody knows.
func viewRun(r tandem.BulkRun, total int) runView {
	v := runView{
		ID: r.ID, Provider: r.Provider, Mode: r.Mode, Plan: r.Plan, MatchEmail: r.MatchEmail, State: r.State, Step: r.Step,
		Counts: r.Counts, LastError: r.LastError, WorkflowID: r.WorkflowID, StartedAt: r.StartedAt.UTC(),
		UpdatedAt: r.UpdatedAt.UTC(), EndedAt: utc(r.EndedAt),
	}
	// Both times are the database's: a clock of this process beside it could make a rate of nothing.
	if took := r.UpdatedAt.Sub(r.StartedAt).Seconds(); took > 0 {
		v.Rate = math.Round(float64(r.Counts.Customers)/took*10) / 10
	}
	if left := total - r.Counts.Customers; listing(r) && left > 0 && v.Rate > 0 {
		seconds := int64(math.Ceil(float64(left) / v.Rate))
		v.SecondsLeft = &seconds
	}
	return v
}

func listing(r tandem.BulkRun) bool { return r.State == tandem.RunRunning && r.Step == tandem.StepList }

// showRun estimates the rest by the provider's last run that saw the whole list. How much of the time the list spans is
// done says little: customers do not come evenly.
func (s *Server) showRun(ctx context.Context, r tandem.BulkRun) (runView, error) {
	if !listing(r) {
		return viewRun(r, 0), nil
	}
	done, err := s.store.Runs(ctx, tandem.RunQuery{Provider: r.Provider, State: tandem.RunDone, Limit: 1})
	if err != nil || len(done) == 0 {
		return viewRun(r, 0), err
	}
	return viewRun(r, done[0].Counts.Customers), nil
}

// findingView is a line of a run's report.
type findingView struct {
	ID               string               `json:"id"`
	At               time.Time            `json:"at"`
	Kind             tandem.FindingKind   `json:"kind"`
	Done             bool                 `json:"done"`
	CustomerID       string               `json:"customer_id,omitempty"`
	ProviderEntityID string               `json:"provider_entity_id,omitempty"`
	Reason           string               `json:"reason,omitempty"`
	Changes          []tandem.FieldChange `json:"changes"`
}

func viewFinding(f tandem.Finding) findingView {
	changes := f.Changes
	if changes == nil {
		changes = []tandem.FieldChange{}
	}
	return findingView{
		ID: f.ID, At: f.At.UTC(), Kind: f.Kind, Done: f.Done, CustomerID: f.CustomerID, ProviderEntityID: f.RemoteID,
		Reason: f.Reason, Changes: changes,
	}
}
