package cli

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const pathRuns = "/v1/runs"

// The states of a run.
const (
	runRunning   = "running"
	runPaused    = "paused"
	runDone      = "done"
	runCancelled = "cancelled"
)

// run is one over whole books, as the API shows it.
type run struct {
	ID         string
	Provider   string
	Mode       string
	Plan       bool
	MatchEmail bool `json:"match_email"`
	State      string
	Step       string
	Counts     struct {
		Requests, Pages, Customers, Created, Linked, Updated, Archived, Sent, Equal, Conflicts, Rejected, Unlinked, Review, Waiting int
	}
	Rate        float64
	SecondsLeft *int64     `json:"seconds_left"`
	LastError   *lastError `json:"last_error"`
	WorkflowID  string     `json:"workflow_id"`
	StartedAt   time.Time  `json:"started_at"`
	EndedAt     *time.Time `json:"ended_at"`
}

type lastError struct{ Class, Code, Message string }

func (e *lastError) String() string {
	if e == nil {
		return ""
	}
	return e.Class + "/" + e.Code + ": " + e.Message
}

// segment is one part of a path, whatever a person has typed.
func segment(s string) string { return url.PathEscape(s) }

func (a *app) runs() *cobra.Command {
	return group("runs", "Runs over whole books", a.listRuns(), a.showRun(), a.findings(),
		a.steer("pause", "Have a run stop after its page"), a.steer("resume", "Have a paused run go on"),
		a.steer("cancel", "End a run; what it has done stays done"))
}

func (a *app) listRuns() *cobra.Command {
	var f filters
	cmd := a.command("ls", "List runs, newest first", cobra.NoArgs, func(c *call) error {
		header := []string{"ID", "PROVIDER", "MODE", "PLAN", "STATE", "STEP", "CUSTOMERS", "STARTED", "ENDED"}
		return show(c, pathRuns, &f, header, func(r run) []string {
			return []string{r.ID, r.Provider, r.Mode, yes(r.Plan), r.State, r.Step, strconv.Itoa(r.Counts.Customers), at(&r.StartedAt), at(r.EndedAt)}
		})
	})
	return f.addTo(cmd,
		filter{"provider", "provider", "of this provider", nil},
		filter{"state", "state", "in this state", []string{runRunning, runPaused, runDone, runCancelled}})
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func (a *app) showRun() *cobra.Command {
	follow := false
	cmd := a.command("show <run id>", "Show a run", cobra.ExactArgs(1), func(c *call) error {
		if follow {
			return c.follow(c.args[0])
		}
		var r run
		raw, err := c.get(c.ctx, pathRuns+"/"+segment(c.args[0]), nil, &r)
		if err != nil {
			return err
		}
		if c.json() {
			return c.raw(raw)
		}
		return c.showRun(r)
	})
	cmd.Flags().BoolVar(&follow, "follow", false, "stay until the run has ended")
	return cmd
}

func (c *call) showRun(r run) error {
	n := r.Counts
	pairs := [][2]string{
		{"run", r.ID}, {"provider", r.Provider}, {"mode", r.Mode}, {"plan", yes(r.Plan)}, {"match e-mail", yes(r.MatchEmail)},
		{"state", r.State}, {"step", r.Step}, {"last error", r.LastError.String()}, {"workflow", r.WorkflowID},
		{"started", at(&r.StartedAt)}, {"ended", at(r.EndedAt)}, {"customers a second", strconv.FormatFloat(r.Rate, 'f', -1, 64)},
	}
	if r.SecondsLeft != nil {
		pairs = append(pairs, [2]string{"left, about", (time.Duration(*r.SecondsLeft) * time.Second).String()})
	}
	for _, count := range []struct {
		name string
		n    int
	}{
		{"customers", n.Customers}, {"equal", n.Equal}, {"created", n.Created}, {"linked", n.Linked}, {"updated", n.Updated},
		{"sent", n.Sent}, {"archived", n.Archived}, {"conflicts", n.Conflicts}, {"rejected", n.Rejected},
		{"unlinked", n.Unlinked}, {"review", n.Review}, {"waiting", n.Waiting}, {"pages", n.Pages}, {"requests", n.Requests},
	} {
		pairs = append(pairs, [2]string{count.name, strconv.Itoa(count.n)})
	}
	return c.pairs(pairs...)
}

func (a *app) steer(word, short string) *cobra.Command {
	return a.command(word+" <run id>", short, cobra.ExactArgs(1), func(c *call) error {
		var r run
		raw, err := c.post(c.ctx, pathRuns+"/"+segment(c.args[0])+"/control", map[string]string{"action": word}, &r)
		if err != nil {
			return err
		}
		if c.json() {
			return c.raw(raw)
		}
		return c.pairs([2]string{"run", r.ID}, [2]string{"asked for", word}, [2]string{"state just now", r.State})
	})
}
