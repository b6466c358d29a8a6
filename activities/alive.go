package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// beatEvery is how often a call that takes long says that its worker lives. Temporal misses one that does not after three
// times that (workflows/options.go). A call that is answered before says nothing: most are.
const beatEvery = 3 * time.Second

// alive keeps Temporal from missing this worker while a provider call is under way, and returns the context to make the
// call in. A sign of life is also how Temporal calls an attempt back, as when a person says "retry" or "skip"; but a call
// that was sent is better answered than in doubt, so only the end of the process, or of the attempt's own time, ends it.
func (a *Activities) alive(ctx context.Context) (call context.Context, done func()) {
	deadline, _ := ctx.Deadline() // an attempt has one: workflows/options.go
	call, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	release := context.AfterFunc(ctx, func() {
		select {
		case <-activity.GetWorkerStopChannel(ctx):
			cancel()
		default:
		}
	})
	over := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { beat(ctx, over, cmp.Or(a.BeatEvery, beatEvery)) })
	return call, func() {
		close(over)
		beating.Wait() // what is recorded after it must stay the last word
		release()
		cancel()
	}
}

// beat repeats what the last attempt has left in its heartbeat: it is still true (package worker keeps there what was
// told of failures).
func beat(ctx context.Context, over <-chan struct{}, every time.Duration) {
	var details []any
	if activity.HasHeartbeatDetails(ctx) {
		var left json.RawMessage
		if activity.GetHeartbeatDetails(ctx, &left) == nil {
			details = append(details, left)
		}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			activity.RecordHeartbeat(ctx, details...)
		}
	}
}
