package cli

import (
	"github.com/spf13/cobra"
)

type runRequest struct {
	Provider   string `json:"provider,omitempty"`
	Mode       string `json:"mode"`
	Plan       bool   `json:"plan,omitempty"`
	MatchEmail bool   `json:"match_email,omitempty"`
}

// begin is the command that starts a run of this mode.
func (a *app) begin(mode, short string) *cobra.Command {
	w, follow := runRequest{Mode: mode}, false
	cmd := a.command(mode, short, cobra.NoArgs, func(c *call) error { return c.begin(w, follow) })
	cmd.Flags().StringVar(&w.Provider, "provider", "", "with whom (default: the only one)")
	cmd.Flags().BoolVar(&w.Plan, "plan", false, "write nothing, report what would happen")
	cmd.Flags().BoolVar(&w.MatchEmail, "match-email", false, "link pairs whose e-mail nobody else has on either side")
	cmd.Flags().BoolVar(&follow, "follow", false, "stay until the run has ended")
	return cmd
}

func (c *call) begin(w runRequest, follow bool) error {
	var r run
	raw, err := c.post(c.ctx, pathRuns, w, &r)
	if err != nil {
		return err
	}
	if follow {
		c.hint("%s has begun.", clean(r.ID))
		return c.follow(r.ID)
	}
	if c.json() {
		return c.raw(raw)
	}
	if err := c.showRun(r); err != nil {
		return err
	}
	c.hint("Follow it with: tandem runs show %s --follow", clean(r.ID))
	return nil
}
