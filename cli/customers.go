package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const pathCustomers = "/v1/customers/"

type customer struct {
	ID           string
	ExternalID   string `json:"external_id"`
	Name         string
	Email        string
	Phone        string
	Status       string
	Version      int64
	CreatedAt    time.Time       `json:"created_at"`
	UpdatedAt    time.Time       `json:"updated_at"`
	ArchivedAt   *time.Time      `json:"archived_at"`
	ProviderInfo map[string]info `json:"provider_info"`
}

type info struct {
	ProviderEntityID string `json:"provider_entity_id"`
	State            string
	LastError        *lastError `json:"last_error"`
	SyncedAt         *time.Time `json:"synced_at"`
}

// workflowRun is who sees to what was asked for.
type workflowRun struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
}

func (c *call) accepted(raw []byte, w workflowRun) error {
	if c.json() {
		return c.raw(raw)
	}
	return c.pairs([2]string{"workflow", w.WorkflowID}, [2]string{"run", w.RunID})
}

func (a *app) customers() *cobra.Command {
	return group("customers", "Customers and their sync", a.showCustomer(), a.syncCustomer(), a.journal())
}

func (a *app) showCustomer() *cobra.Command {
	external := false
	cmd := a.command("show <customer id>", "Show a customer, and how far its sync is", cobra.ExactArgs(1), func(c *call) error {
		path := pathCustomers + segment(c.args[0])
		if external {
			path = pathCustomers + "external/" + segment(c.args[0])
		}
		var cust customer
		raw, err := c.get(c.ctx, path, nil, &cust)
		if err != nil {
			return err
		}
		if c.json() {
			return c.raw(raw)
		}
		return c.showCustomer(cust)
	})
	cmd.Flags().BoolVar(&external, "external", false, "the argument is an external id")
	return cmd
}

func (c *call) showCustomer(cust customer) error {
	pairs := [][2]string{
		{"customer", cust.ID}, {"external id", cust.ExternalID}, {"name", cust.Name}, {"e-mail", cust.Email}, {"phone", cust.Phone},
		{"status", cust.Status}, {"version", strconv.FormatInt(cust.Version, 10)}, {"created", at(&cust.CreatedAt)},
		{"updated", at(&cust.UpdatedAt)}, {"archived", at(cust.ArchivedAt)},
	}
	for _, name := range slices.Sorted(maps.Keys(cust.ProviderInfo)) {
		i := cust.ProviderInfo[name]
		pairs = append(pairs, [2]string{name, strings.TrimSpace(i.State + " " + i.ProviderEntityID)},
			[2]string{name + " last seen equal", at(i.SyncedAt)}, [2]string{name + " last error", i.LastError.String()})
	}
	return c.pairs(pairs...)
}

func (a *app) syncCustomer() *cobra.Command {
	return a.command("sync <customer id>", "Look whether something is left to do, on both sides", cobra.ExactArgs(1), func(c *call) error {
		var w workflowRun
		raw, err := c.post(c.ctx, pathCustomers+segment(c.args[0])+"/sync", map[string]string{"action": "sync"}, &w)
		if err != nil {
			return err
		}
		return c.accepted(raw, w)
	})
}

type journalEntry struct {
	At               time.Time
	Direction        string
	Action           string
	Provider         string
	ProviderEntityID string `json:"provider_entity_id"`
	Cause            string
	CauseID          string `json:"cause_id"`
	Changes          []change
	Detail           string
}

func (a *app) journal() *cobra.Command {
	var f filters
	cmd := a.command("journal <customer id>", "Tell a customer's story from its beginning", cobra.ExactArgs(1), func(c *call) error {
		header := []string{"AT", "DIRECTION", "ACTION", "PROVIDER", "REMOTE CUSTOMER", "CAUSE", "CHANGES", "DETAIL"}
		return show(c, pathCustomers+segment(c.args[0])+"/journal", &f, header, func(e journalEntry) []string {
			cause := strings.TrimSpace(e.Cause + " " + e.CauseID)
			return []string{at(&e.At), e.Direction, e.Action, e.Provider, e.ProviderEntityID, cause, changes(e.Changes), e.Detail}
		})
	})
	return f.addTo(cmd)
}
