package api_test

import (
	"context"

	"github.com/tandem-sync/tandem"
)

func (f *fakeStarter) BeginRun(context.Context, tandem.RunWish) (tandem.BulkRun, error) {
	return tandem.BulkRun{}, nil
}
func (f *fakeStarter) Steer(context.Context, string, string, tandem.Word) error { return nil }
func (f *fakeStarter) Runs(context.Context, string) (bool, error)               { return false, nil }
func (f *fakeStarter) CatchUp(context.Context, string) (tandem.Run, error)      { return tandem.Run{}, nil }
