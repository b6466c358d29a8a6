package workflows

import (
	"strconv"

	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
)

// Failing is the argument of SignalFailing. Failure carries no message: the provider's words may quote a person.
type Failing struct {
	Provider string           `json:"provider"`
	Failure  tandem.LastError `json:"failure"`
}

// does says what the lane is doing now.
func (l *lane) does(ctx workflow.Context, step string) {
	l.step = step
	l.tell(ctx)
}

// stands says how the lane stands: Retrying, Parked, or nothing in its way.
func (l *lane) stands(ctx workflow.Context, state tandem.MappingState, step string) {
	l.state = state
	l.does(ctx, step)
	l.show(ctx)
}

// tell keeps the current details true, which are no part of the history.
func (o *outbound) tell(ctx workflow.Context) {
	text := ""
	for _, l := range o.lanes {
		text += "**" + l.provider + "** " + details(l.state, l.step, l.failure)
	}
	workflow.SetCurrentDetails(ctx, text)
}

// show keeps the search attributes true. There is one of each and there may be several lanes: it is one that is parked,
// if there is any, because nobody else will help it.
func (o *outbound) show(ctx workflow.Context) {
	var now standing
	for _, l := range o.lanes {
		if l.state != "" && (now.state == "" || l.state == tandem.Parked && now.state != tandem.Parked) {
			now = stands(l.state, l.provider, l.failure)
		}
	}
	o.sign.show(ctx, now)
}

// details is a line for the Temporal UI, in Markdown: the step, what stands in the way, and how to help. The provider's
// own words are not in it: they may quote a person.
func details(state tandem.MappingState, step string, failure *tandem.LastError) string {
	text := step + "\n\n"
	if failure == nil || state == "" {
		return text
	}
	text += "- why: `" + string(failure.Class) + "/" + failure.Code + "`"
	if failure.Param != "" {
		text += " in `" + failure.Param + "`"
	}
	if failure.RequestID != "" {
		text += ", the provider's request `" + failure.RequestID + "`"
	}
	if failure.Attempt > 1 {
		text += ", attempt " + strconv.Itoa(failure.Attempt)
	}
	return text + "\n- " + whatHelps[state] + "\n\n"
}

// countsLine is what a run has seen so far.
func countsLine(c tandem.Counts) string {
	text := ""
	for _, n := range []struct {
		name  string
		count int
	}{
		{"pages", c.Pages}, {"customers", c.Customers}, {"created", c.Created}, {"linked", c.Linked}, {"updated", c.Updated},
		{"archived", c.Archived}, {"sent", c.Sent}, {"equal", c.Equal}, {"conflicts", c.Conflicts}, {"rejected", c.Rejected},
		{"on one side only", c.Unlinked}, {"to review", c.Review}, {"waiting", c.Waiting},
	} {
		if n.count > 0 {
			text += "- " + n.name + ": " + strconv.Itoa(n.count) + "\n"
		}
	}
	return text
}

// whatHelps says what a person can do.
var whatHelps = map[tandem.MappingState]string{
	tandem.Retrying: "it goes on by itself; signal `retry` to try at once, `skip` to give up until the next change",
	tandem.Parked:   "no retry helps until something changes: mend the cause, then signal `retry`, or `skip` to give up until the next change",
}
