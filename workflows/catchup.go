package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// CatchUpID is the id of the one CatchUp workflow a provider has at a time. Runs that the schedule starts have the time
// of their start behind it.
func CatchUpID(provider string) string { return "catch-up/" + provider }

// SignalNow has CatchUp read at once.
const SignalNow = "now"

// CatchUpInput starts CatchUp.
type CatchUpInput struct {
	Provider string `json:"provider"`
}

// unhealthyEvery is between two readings while webhooks are missing.
const unhealthyEvery = time.Minute

// CatchUp reads the provider's own list of events, and goes on doing so every minute for as long as that finds what
// webhooks should have brought.
func CatchUp(ctx workflow.Context, in CatchUpInput) error {
	now := workflow.GetSignalChannel(ctx, SignalNow)
	for {
		for now.ReceiveAsync(nil) {
			continue
		}
		workflow.SetCurrentDetails(ctx, "reads the events of `"+in.Provider+"`")
		var found tandem.CatchUp
		err := workflow.ExecuteActivity(forCatchUp(ctx, in.Provider), acts.CatchUp, activities.CatchUpInput{Provider: in.Provider}).Get(ctx, &found)
		if err != nil {
			return err // nothing that retries would help; the schedule tries again, and the ledger says how far it is
		}
		if found.Missed == 0 && now.Len() == 0 {
			return nil
		}
		if full(ctx) {
			return workflow.NewContinueAsNewError(ctx, CatchUp, in)
		}
		workflow.SetCurrentDetails(ctx, "webhooks are missing: reads again within a minute")
		if _, err := workflow.AwaitWithTimeout(ctx, unhealthyEvery, func() bool { return now.Len() > 0 }); err != nil {
			return err
		}
	}
}
