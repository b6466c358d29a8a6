package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// held is what is on hold for the customer: field, then both values.
func (s *stack) held(t tester, id string) map[string][2]string {
	t.Helper()
	var c struct {
		ProviderInfo map[string]struct {
			Conflicts []struct{ Field, Platform, Provider string }
		} `json:"provider_info"`
	}
	s.call(t, http.MethodGet, "/v1/customers/"+id, nil).read(t, &c)
	out := map[string][2]string{}
	for _, f := range c.ProviderInfo["stripe"].Conflicts {
		out[f.Field] = [2]string{f.Platform, f.Provider}
	}
	return out
}

func (s *stack) resolve(t tester, id string, winner object) {
	t.Helper()
	a := s.call(t, http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": "resolve", "winner": winner})
	require.Equal(t, http.StatusOK, a.status, string(a.body))
}

// TestPolicies runs a stack of its own, because policies are the installation's.
func TestPolicies(t *testing.T) {
	t.Parallel()
	s, err := startStack(stackOptions{ephemeral: true, env: []string{
		"TANDEM_FIELD_OWNERS=metadata.tier=provider,phone=off", "TANDEM_FIELD_CONFLICTS=name=hold,email=provider", "STRIPE_READS_PER_DAY=6",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, end("policies", s, t.Failed())) })
	made := func(t *testing.T, tag string) customer {
		t.Helper()
		p := person(tag)
		delete(p, "phone")
		c, _ := s.agrees(t, s.create(t, p).ID)
		return c
	}

	t.Run("an edit whose event is still on its way is held, not overwritten", func(t *testing.T) {
		c := made(t, "held")
		remoteID := c.stripe().RemoteID
		s.stripe.pause(t)
		s.stripe.edit(t, remoteID, object{"name": marker + " theirs", "email": "theirs.quillfeather@example.org"})
		s.edit(t, c.ID, object{"name": marker + " ours", "email": "ours.quillfeather@example.org", "address_line2": "Flat 3"})
		eventually(t, func(ct *assert.CollectT) {
			require.Equal(ct, map[string][2]string{"name": {marker + " ours", marker + " theirs"}}, s.held(ct, c.ID))
			r := s.stripe.customer(ct, remoteID)
			require.Equal(ct, "Flat 3", r.Address["line2"], "the rest goes on being synced")
			require.Equal(ct, marker+" theirs", r.Name)
			require.Equal(ct, "theirs.quillfeather@example.org", s.customer(ct, c.ID).Email, "the provider wins")
		})
		s.edit(t, c.ID, object{"name": marker + " ours, newer"})
		eventually(t, func(ct *assert.CollectT) {
			require.Equal(ct, map[string][2]string{"name": {marker + " ours, newer", marker + " theirs"}}, s.held(ct, c.ID))
		})
		s.stripe.resume(t)
		s.resolve(t, c.ID, object{"name": "platform"})
		after, r := s.agrees(t, c.ID)
		require.Equal(t, marker+" ours, newer", r.Name)
		require.Equal(t, "theirs.quillfeather@example.org", after.Email)
		require.Empty(t, s.held(t, c.ID))
		looks := 0
		for _, op := range s.stripe.calls(t, c.ID, remoteID) {
			if op.Op == "retrieve" {
				looks++
			}
		}
		require.Equal(t, looks, s.count(t, `SELECT COALESCE(sum(reads), 0) FROM provider_reads`), "every read is counted")
		require.GreaterOrEqual(t, looks, 2)
	})

	t.Run("what the provider owns is changed there, what is off stays where it is", func(t *testing.T) {
		c := made(t, "owned")
		remoteID := c.stripe().RemoteID
		for _, a := range []answer{
			s.call(t, http.MethodPatch, "/v1/customers/"+c.ID, object{"metadata": object{"tier": "gold"}}),
			s.call(t, http.MethodPost, "/v1/customers", object{"name": marker + " refused", "metadata": object{"tier": "gold"}}),
		} {
			require.Equal(t, []string{"metadata.tier owned_by_provider"}, a.problem(t, http.StatusUnprocessableEntity, "invalid_request"))
		}
		s.stripe.edit(t, remoteID, object{"metadata": object{"tier": "silver"}, "phone": "+1 555 9999"})
		eventually(t, func(ct *assert.CollectT) { require.Equal(ct, "silver", s.customer(ct, c.ID).Metadata["tier"]) })
		require.Empty(t, s.customer(t, c.ID).Phone)
		s.edit(t, c.ID, object{"phone": "+1 555 1111", "metadata": object{"tier": "silver"}, "address_city": "Bonn"})
		eventually(t, func(ct *assert.CollectT) {
			require.Equal(ct, "Bonn", s.stripe.customer(ct, remoteID).Address["city"])
			require.Equal(ct, "synced", s.customer(ct, c.ID).stripe().State)
		})
		require.Equal(t, "+1 555 9999", s.stripe.customer(t, remoteID).Phone)
	})

	t.Run("an event whose order is in doubt waits for the day's reads, until a newer one settles it", func(t *testing.T) {
		var waiting, remoteID string
		for i := 0; waiting == "" && i < 20; i++ { // two edits within one second, which a second's end can part
			c := made(t, "doubt")
			remoteID = c.stripe().RemoteID
			s.stripe.edit(t, remoteID, object{"name": marker + " one"})
			s.stripe.waitIdle(t)
			s.stripe.edit(t, remoteID, object{"name": marker + " two"})
			s.stripe.waitIdle(t)
			eventually(t, func(ct *assert.CollectT) {
				waiting = ""
				for _, e := range s.ledger(ct, remoteID) {
					if e.Reason == "read_budget_spent" {
						waiting = e.EventID
					}
					require.False(ct, e.State == "received" && e.Reason == "", e.EventID)
				}
			})
		}
		require.NotEmpty(t, waiting, "the budget is never spent")
		a := s.call(t, http.MethodGet, "/v1/provider-events?state=received&event_id="+waiting, nil)
		require.Contains(t, string(a.body), "read_budget_spent")
		require.Equal(t, 6, s.count(t, `SELECT reads FROM provider_reads WHERE why = 'event_order'`))
		_, metrics := get(t, s.at.Admin+"/metrics")
		require.Contains(t, metrics, `tandem_provider_reads_refused_total{provider="stripe",why="event_order"}`)

		eventually(t, func(ct *assert.CollectT) { // one that is a second or two later
			s.stripe.edit(ct, remoteID, object{"name": marker + " three"})
			s.stripe.edit(ct, remoteID, object{"name": marker + " four"})
			s.stripe.waitIdle(ct)
			for _, e := range s.ledger(ct, remoteID) {
				require.True(ct, e.EventID != waiting || e.State != "received", "%s is %s", e.EventID, e.State)
			}
		})
	})
}
