package e2e_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	ada, adaThere   = "cust_01ARZ3NDEKTSV4RRFFQ69G5FAV", "cus_ada"
	createKey       = "tandem:dev:create:" + ada + ":0"
	updateKey       = "tandem:dev:update:" + ada + ":eim_1:2.1:abc"
	renamed, before = "Ada Lovelace", "Ada"
)

// sound is an installation in which everything holds: a customer that was created and renamed here, and whose phone
// number was changed over there.
func sound() (facts, map[string]*expectation) {
	marks := map[string]string{"flexprice_customer_id": ada, "flexprice_environment": environment}
	run := journalRow{CustomerID: ada, WorkflowID: "outbound/" + ada, RunID: "run"}
	row := func(provider, direction, action, cause, id, changes string) journalRow {
		r := run
		r.Provider, r.Direction, r.Action, r.Cause, r.CauseID, r.Changes = provider, direction, action, cause, id, jsonText(changes)
		return r
	}
	f := facts{
		customers: []customer{{
			ID: ada, Name: renamed, Phone: "2", Status: "active", Version: 3,
			ProviderInfo: map[string]providerInfo{"stripe": {RemoteID: adaThere, State: "synced"}},
		}},
		mappings: []mapping{{ID: "eim_1", CustomerID: ada, RemoteID: adaThere, State: "synced"}},
		remotes:  map[string]remote{adaThere: {ID: adaThere, Name: renamed, Phone: "2", Metadata: marks}},
		ledger:   []event{{EventID: "evt_1", State: "echo"}, {EventID: "evt_2", State: "echo"}, {EventID: "evt_3", State: "applied"}},
		operations: []operation{
			{Seq: 1, Actor: "api", Op: "create", CustomerID: adaThere, Key: createKey, Applied: true, Changed: []string{"name", "phone"}, Events: []string{"evt_1"},
				Form: url.Values{"name": {before}, "phone": {"1"}, "metadata[flexprice_customer_id]": {ada}}},
			{Seq: 2, Actor: "api", Op: "create", CustomerID: adaThere, Key: createKey, Replayed: true},
			{Seq: 3, Actor: "api", Op: "update", CustomerID: adaThere, Key: updateKey, Applied: true, Changed: []string{"name"}, Events: []string{"evt_2"},
				Form: url.Values{"name": {renamed}}},
			{Seq: 4, Actor: "dashboard", Op: "update", CustomerID: adaThere, Applied: true, Changed: []string{"phone"}, Events: []string{"evt_3"}},
		},
		journal: []journalRow{
			row("", "outbound", "create", "api", "chg_1", `[{"field":"name","before":"","after":"Ada"},{"field":"phone","before":"","after":"1"}]`),
			row("stripe", "outbound", "create", "api", "chg_1", `[]`),
			row("", "outbound", "update", "api", "chg_2", `[{"field":"name","before":"Ada","after":"Ada Lovelace"}]`),
			row("stripe", "outbound", "update", "api", "chg_2", `[]`),
			row("stripe", "inbound", "update", "webhook", "evt_3", `[{"field":"phone","before":"1","after":"2"}]`),
		},
	}
	want := map[string]*expectation{ada: {
		fields: fields{"name": renamed, "phone": "2"}, linked: true, wishes: 2, creates: 1, updates: 1,
		wished: map[string]map[string]bool{"name": {before: true, renamed: true}, "phone": {"1": true}},
		edited: map[string]bool{"phone": true},
	}}
	return f, want
}

// gone is sound after the customer has been archived here and deleted over there.
func gone() (facts, map[string]*expectation) {
	f, want := sound()
	w := want[ada]
	w.archived, w.linked, w.deletes, w.wishes = true, false, 1, 3
	f.customers[0].Status, f.mappings[0].State, f.tombstones = "archived", "archived", []string{adaThere}
	f.remotes[adaThere] = remote{ID: adaThere, Deleted: true}
	f.ledger = append(f.ledger, event{EventID: "evt_4", State: "echo"})
	f.operations = append(f.operations, operation{Seq: 5, Actor: "api", Op: "delete", CustomerID: adaThere, Applied: true, Events: []string{"evt_4"}})
	archived, deleted := f.journal[2], f.journal[3]
	archived.Action, archived.Changes, deleted.Action = "archive", "[]", "delete"
	f.journal = append(f.journal, archived, deleted)
	return f, want
}

func TestInvariantsHoldWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	f, want := sound()
	require.Empty(t, violations(f, want))
	require.Empty(t, restless(f, f))
	f, want = gone()
	require.Empty(t, violations(f, want))
}

// TestInvariantsAreSeenToBeBroken doctors the facts, one lie at a time: a check that cannot fail would prove nothing.
func TestInvariantsAreSeenToBeBroken(t *testing.T) {
	t.Parallel()
	again := operation{Seq: 9, Actor: "api", Op: "update", CustomerID: adaThere, Key: updateKey, Applied: true, Changed: []string{"name"}, Form: url.Values{"name": {before}}}
	for name, lie := range map[string]struct {
		broken string
		tell   func(f *facts)
	}{
		"a customer is gone":             {"1: ", func(f *facts) { f.customers = nil }},
		"an acknowledged change is lost": {"1: ", func(f *facts) { f.customers[0].Name = before }},
		"a create was made twice here":   {"1: ", func(f *facts) { f.customers = append(f.customers, customer{ID: "cust_2"}) }},
		"an archive came from nowhere":   {"1: ", func(f *facts) { f.customers[0].Status = "archived" }},
		"an event is lost":               {"1: ", func(f *facts) { f.ledger = f.ledger[1:] }},
		"an event waits for ever":        {"1: ", func(f *facts) { f.ledger[2].State = "received" }},
		"a create was made twice there":  {"2: ", func(f *facts) { f.remotes["cus_2"] = remote{ID: "cus_2", Metadata: f.remotes[adaThere].Metadata} }},
		"a remote customer is nobody's":  {"2: ", func(f *facts) { f.remotes["cus_2"] = remote{ID: "cus_2"} }},
		"a mapping is missing":           {"2: ", func(f *facts) { f.mappings = nil }},
		"two mappings live":              {"2: ", func(f *facts) { f.mappings = append(f.mappings, f.mappings[0]) }},
		"the link leads nowhere":         {"2: ", func(f *facts) { f.mappings[0].RemoteID = "cus_none" }},
		"the sides differ":               {"3: ", func(f *facts) { f.remotes[adaThere] = remote{ID: adaThere, Name: "Eve"} }},
		"a mapping is still pending":     {"3: ", func(f *facts) { f.mappings[0].State = "pending" }},
		"a claim was never finished":     {"3: ", func(f *facts) { f.mappings[0].Claim = `{"action":"update"}` }},
		"a write was sent again":         {"5: ", func(f *facts) { f.operations = append(f.operations, again) }},
		"a write changed nothing":        {"5: ", func(f *facts) { f.operations[2].Changed = nil }},
		"an echo was answered by a read": {"5: ", func(f *facts) {
			f.operations = append(f.operations, operation{Actor: "api", Op: "retrieve", CustomerID: adaThere})
		}},
		"a look at everybody":                {"5: ", func(f *facts) { f.operations = append(f.operations, operation{Actor: "api", Op: "list"}) }},
		"a field nobody changed was written": {"6: ", func(f *facts) { f.operations[2].Form.Set("email", "ada@example.org") }},
		"a value nobody gave was written":    {"6: ", func(f *facts) { f.operations[2].Form.Set("name", "Eve") }},
		"our mark was written again":         {"6: ", func(f *facts) { f.operations[2].Form.Set("metadata[flexprice_customer_id]", ada) }},
		"a field was wiped from over there":  {"6: ", func(f *facts) { f.journal[4].Changes = `[{"field":"name","before":"Ada Lovelace","after":""}]` }},
		"a field was changed by no caller":   {"6: ", func(f *facts) { f.journal[2].Changes = `[{"field":"email","before":"","after":"x"}]` }},
		"a change is not told":               {"9: ", func(f *facts) { f.journal = f.journal[:4] }},
		"a caller's change is told twice":    {"9: ", func(f *facts) { f.journal = append(f.journal, f.journal[2]) }},
		"a write over there is not told":     {"9: ", func(f *facts) { f.journal = append(f.journal[:3:3], f.journal[4]) }},
		"a line names no cause":              {"9: ", func(f *facts) { f.journal[3].Cause = "" }},
		"a line names no event":              {"9: ", func(f *facts) { f.journal[4].CauseID = "evt_never" }},
		"a line names no request":            {"9: ", func(f *facts) { f.journal[0].CauseID = "" }},
		"a line names no run":                {"9: ", func(f *facts) { f.journal[0].RunID = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, want := sound()
			lie.tell(&f)
			require.Contains(t, numbers(violations(f, want)), lie.broken)
		})
	}
	for name, lie := range map[string]func(f *facts){
		"no tombstone":                func(f *facts) { f.tombstones = nil },
		"the customer lives on":       func(f *facts) { f.customers[0].Status = "active" },
		"it was made again at Stripe": func(f *facts) { op := f.operations[0]; op.Seq = 9; f.operations = append(f.operations, op) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, want := gone()
			lie(&f)
			require.Contains(t, numbers(violations(f, want)), "4: ")
		})
	}
	for name, lie := range map[string]struct {
		broken string
		tell   func(f *facts)
	}{
		"the provider was called":  {"5: ", func(f *facts) { f.operations = append(f.operations, again) }},
		"the journal grew":         {"3: ", func(f *facts) { f.journal = append(f.journal, f.journal[0]) }},
		"old news overwrote":       {"4: ", func(f *facts) { f.customers[0].Phone = "1" }},
		"it was overwritten there": {"4: ", func(f *facts) { f.remotes[adaThere] = remote{ID: adaThere, Name: before} }},
	} {
		t.Run("at rest, "+name, func(t *testing.T) {
			t.Parallel()
			f, _ := sound()
			after, _ := sound()
			lie.tell(&after)
			require.Contains(t, numbers(restless(f, after)), lie.broken)
		})
	}
}

// numbers are the invariants that the violations name.
func numbers(found []string) []string {
	out := make([]string, 0, len(found))
	for _, v := range found {
		out = append(out, v[:3])
	}
	return out
}
