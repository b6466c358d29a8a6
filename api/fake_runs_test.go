package api_test

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem"
)

// fakeRuns are runs and their reports, on slices in the order of their ids.
type fakeRuns struct {
	runs     []tandem.BulkRun
	findings []tandem.Finding
	catchUp  tandem.CatchUp
	pages    int
	breakAt  int // the page of findings that cannot be read; 0: none
}

func (s *fakeStore) BulkRun(_ context.Context, id string) (tandem.BulkRun, error) {
	leave, err := s.enter("BulkRun")
	defer leave()
	for _, r := range s.runs {
		if r.ID == id || err != nil {
			return r, err
		}
	}
	return tandem.BulkRun{}, tandem.Errorf(tandem.Invalid, tandem.CodeRunNotFound, "this run does not exist")
}

func (s *fakeStore) Runs(_ context.Context, q tandem.RunQuery) (out []tandem.BulkRun, err error) {
	leave, err := s.enter("Runs")
	defer leave()
	s.asked = q
	for _, r := range slices.Backward(s.runs) {
		wanted := (q.Provider == "" || q.Provider == r.Provider) && (q.State == "" || q.State == r.State)
		if wanted && (q.After == "" || r.ID < q.After) && len(out) < q.Limit {
			out = append(out, r)
		}
	}
	return out, err
}

func (s *fakeStore) Findings(_ context.Context, q tandem.FindingQuery) (out []tandem.Finding, err error) {
	leave, err := s.enter("Findings")
	defer leave()
	s.asked = q
	if s.pages++; s.pages == s.breakAt {
		return nil, tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away")
	}
	for _, f := range s.findings {
		wanted := f.RunID == q.RunID && (q.Kind == "" || q.Kind == f.Kind)
		if wanted && f.ID > q.After && len(out) < q.Limit {
			out = append(out, f)
		}
	}
	return out, err
}

func (s *fakeStore) CatchUp(_ context.Context, provider string) (tandem.CatchUp, error) {
	leave, err := s.enter("CatchUp")
	defer leave()
	s.catchUp.Provider = provider
	return s.catchUp, err
}

func (s *fakeStarter) BeginRun(_ context.Context, w tandem.RunWish) (tandem.BulkRun, error) {
	err := s.wish(w)
	at := s.store.clock
	return tandem.BulkRun{
		RunWish: w, State: tandem.RunRunning, Step: tandem.StepList, WorkflowID: "bulk/" + w.Provider, StartedAt: at, UpdatedAt: at,
	}, err
}

func (s *fakeStarter) Steer(_ context.Context, workflowID string, word tandem.Word) error {
	return s.wish(string(word) + " " + workflowID)
}

func (s *fakeStarter) Runs(context.Context, string) (bool, error) { return false, nil }

func (s *fakeStarter) CatchUp(_ context.Context, provider string) (tandem.Run, error) {
	return tandem.Run{WorkflowID: "catchup/" + provider, RunID: "run_3"}, s.wish("catch up " + provider)
}
