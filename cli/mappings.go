package cli

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

const pathMappings = "/v1/entity-integration-mappings"

var (
	mappingStates = []string{"pending", "synced", "retrying", "parked", "conflict", "archived"}
	errorClasses  = []string{"transient", "ambiguous", "rate_limited", "invalid", "auth", "gone", "conflict", "bug"}
)

type mapping struct {
	ID               string
	EntityID         string `json:"entity_id"`
	ProviderType     string `json:"provider_type"`
	ProviderEntityID string `json:"provider_entity_id"`
	State            string
	LastError        *lastError `json:"last_error"`
	SyncedAt         *time.Time `json:"synced_at"`
}

func (a *app) mappings() *cobra.Command {
	return group("mappings", "The links between customers and remote customers", a.listMappings(), a.link(), a.unlink())
}

func (a *app) listMappings() *cobra.Command {
	var f filters
	cmd := a.command("ls", "List mappings, newest first", cobra.NoArgs, func(c *call) error {
		header := []string{"ID", "CUSTOMER", "PROVIDER", "REMOTE CUSTOMER", "STATE", "LAST ERROR"}
		return show(c, pathMappings, &f, header, func(m mapping) []string {
			return []string{m.ID, m.EntityID, m.ProviderType, m.ProviderEntityID, m.State, m.LastError.String()}
		})
	})
	return f.addTo(cmd,
		filter{"entity_id", "customer", "of this customer", nil},
		filter{"provider_type", "provider", "of this provider", nil},
		filter{"provider_entity_id", "remote", "of this remote customer", nil},
		filter{"state", "state", "in this state", mappingStates},
		filter{"error_class", "class", "whose last error is of this class", errorClasses})
}

func (a *app) link() *cobra.Command {
	var named, winner string
	cmd := a.command("link <customer id> <remote customer id>", "Link a customer and a remote customer", cobra.ExactArgs(2), func(c *call) error {
		provider, err := c.provider(named)
		if err != nil {
			return err
		}
		body := map[string]string{"entity_id": c.args[0], "provider_type": provider, "provider_entity_id": c.args[1]}
		if winner != "" {
			body["winner"] = winner
		}
		var m mapping
		raw, err := c.post(c.ctx, pathMappings, body, &m)
		if err != nil {
			return err
		}
		if c.json() {
			return c.raw(raw)
		}
		return c.pairs([2]string{"mapping", m.ID}, [2]string{"customer", m.EntityID}, [2]string{m.ProviderType, m.ProviderEntityID}, [2]string{"state", m.State})
	})
	cmd.Flags().StringVar(&named, "provider", "", "whose remote customer it is (default: the only provider's)")
	cmd.Flags().StringVar(&winner, "winner", "", "whose value counts where both have one: platform (default) or provider")
	complete(cmd, "winner", "platform", "provider")
	return cmd
}

func (a *app) unlink() *cobra.Command {
	return a.command("unlink <mapping id>", "Take a link apart; both sides stay as they are", cobra.ExactArgs(1), func(c *call) error {
		if _, err := c.do(c.ctx, http.MethodDelete, pathMappings+"/"+segment(c.args[0]), nil, nil, nil); err != nil {
			return err
		}
		if c.json() {
			return c.raw([]byte("{}"))
		}
		return c.pairs([2]string{"unlinked", c.args[0]})
	})
}
