package starter

import (
	"context"

	"github.com/tandem-sync/tandem"
)

func (s *Starter) BeginRun(ctx context.Context, w tandem.RunWish) (tandem.BulkRun, error) {
	return tandem.BulkRun{}, nil
}
func (s *Starter) Steer(ctx context.Context, provider, runID string, word tandem.Word) error { return nil }
func (s *Starter) Runs(ctx context.Context, workflowID string) (bool, error)                 { return false, nil }
func (s *Starter) CatchUp(ctx context.Context, provider string) (tandem.Run, error) {
	return tandem.Run{}, nil
}
