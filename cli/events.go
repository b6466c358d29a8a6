package cli

import (
	"time"

	"github.com/spf13/cobra"
)

const pathEvents = "/v1/provider-events"

type event struct {
	ID         string
	EventID    string `json:"event_id"`
	Type       string
	ObjectID   string    `json:"object_id"`
	ReceivedAt time.Time `json:"received_at"`
	State      string
	Reason     string
}

func (a *app) events() *cobra.Command {
	return group("events", "The ledger of the providers' events", a.listEvents(), a.replayEvent())
}

func (a *app) listEvents() *cobra.Command {
	var f filters
	cmd := a.command("ls", "List events, the last received first", cobra.NoArgs, func(c *call) error {
		header := []string{"ID", "EVENT", "TYPE", "ABOUT", "RECEIVED", "STATE", "REASON"}
		return show(c, pathEvents, &f, header, func(e event) []string {
			return []string{e.ID, e.EventID, e.Type, e.ObjectID, at(&e.ReceivedAt), e.State, e.Reason}
		})
	})
	return f.addTo(cmd,
		filter{"provider_type", "provider", "of this provider", nil},
		filter{"event_id", "event", "with the provider's id", nil},
		filter{"object_id", "about", "about this remote customer", nil},
		filter{"type", "type", "of this type, like customer.updated", nil},
		filter{"state", "state", "in this state", []string{"received", "applied", "echo", "stale", "ignored", "conflict", "parked"}})
}

func (a *app) replayEvent() *cobra.Command {
	return a.command("replay <event row id>", "Have an event decided on once more (pev_…, see events ls)", cobra.ExactArgs(1), func(c *call) error {
		var w workflowRun
		raw, err := c.post(c.ctx, pathEvents+"/"+segment(c.args[0])+"/replay", nil, &w)
		if err != nil {
			return err
		}
		return c.accepted(raw, w)
	})
}
