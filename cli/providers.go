package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const pathProviders = "/v1/providers"

type provider struct {
	Name    string
	CatchUp struct {
		UpTo            *time.Time `json:"up_to"`
		CheckedAt       *time.Time `json:"checked_at"`
		Missed          int
		GapSince        *time.Time `json:"gap_since"`
		ReconcileNeeded bool       `json:"reconcile_needed"`
	} `json:"catch_up"`
}

func (a *app) providers() *cobra.Command {
	return a.command("providers", "List the providers, and how far their own lists of events have been read", cobra.NoArgs, func(c *call) error {
		var list struct{ Items []provider }
		raw, err := c.get(c.ctx, pathProviders, nil, &list)
		if err != nil {
			return err
		}
		if c.json() {
			return c.raw(raw)
		}
		rows := make([][]string, len(list.Items))
		for i, p := range list.Items {
			up := p.CatchUp
			rows[i] = []string{p.Name, at(up.UpTo), at(up.CheckedAt), strconv.Itoa(up.Missed), at(up.GapSince), yes(up.ReconcileNeeded)}
		}
		return c.table([]string{"PROVIDER", "READ UP TO", "CHECKED", "MISSED", "GAP SINCE", "RECONCILE NEEDED"}, rows)
	})
}

func (a *app) catchUp() *cobra.Command {
	named := ""
	cmd := a.command("catch-up", "Read the provider's own list of events now", cobra.NoArgs, func(c *call) error {
		name, err := c.provider(named)
		if err != nil {
			return err
		}
		var w workflowRun
		raw, err := c.post(c.ctx, pathProviders+"/"+segment(name)+"/catch-up", nil, &w)
		if err != nil {
			return err
		}
		return c.accepted(raw, w)
	})
	cmd.Flags().StringVar(&named, "provider", "", "whose (default: the only one's)")
	return cmd
}
