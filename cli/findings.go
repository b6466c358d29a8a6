package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type finding struct {
	At               time.Time
	Kind             string
	Done             bool
	CustomerID       string `json:"customer_id"`
	ProviderEntityID string `json:"provider_entity_id"`
	Reason           string
	Changes          []change
}

type change struct{ Field, Before, After string }

func (ch change) String() string { return fmt.Sprintf("%s: %q → %q", ch.Field, ch.Before, ch.After) }

func changes(all []change) string {
	words := make([]string, len(all))
	for i, ch := range all {
		words[i] = ch.String()
	}
	return strings.Join(words, "; ")
}

func (a *app) findings() *cobra.Command {
	var f filters
	whole := false
	cmd := a.command("findings <run id>", "Show what a run found", cobra.ExactArgs(1), func(c *call) error {
		path := pathRuns + "/" + segment(c.args[0]) + "/findings"
		if whole {
			return c.report(path, &f)
		}
		header := []string{"AT", "KIND", "DONE", "CUSTOMER", "REMOTE CUSTOMER", "REASON", "CHANGES"}
		return show(c, path, &f, header, func(x finding) []string {
			return []string{at(&x.At), x.Kind, yes(x.Done), x.CustomerID, x.ProviderEntityID, x.Reason, changes(x.Changes)}
		})
	})
	cmd.Flags().BoolVar(&whole, "csv", false, "the whole report, for a spreadsheet")
	return f.addTo(cmd, filter{"kind", "kind", "of this kind", []string{
		"created", "linked", "updated", "sent", "archived", "conflict", "rejected", "unlinked", "review", "waiting",
	}})
}

func (c *call) report(path string, f *filters) error {
	if c.json() || f.cursor != "" || f.limit != defaultLimit {
		return usage("--csv is always the whole report: leave -o json, --limit and --cursor out")
	}
	q := f.query()
	q.Set("format", "csv")
	return c.stream(c.ctx, path, q, "text/csv", c.out)
}
