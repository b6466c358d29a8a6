package simtest

import (
	"encoding/json"
	"slices"

	"github.com/tandem-sync/tandem"
)

// check says what must hold when everybody has stopped.
func (w *world) check() {
	rows := w.rows()
	linked := map[string]bool{}
	for _, m := range rows.Mappings {
		if linked[m.RemoteID] {
			w.fail("%s is linked twice", m.RemoteID)
		}
		linked[m.RemoteID] = true
		c, row := rows.customer(m.CustomerID), w.remote.rows[m.RemoteID]
		if c == nil || row == nil {
			w.fail("a mapping of %s and %s, of which one is missing", m.CustomerID, m.RemoteID)
			return
		}
		w.checkPair(*c, m, row, rows)
	}
	for _, id := range w.remote.order {
		unheard := w.remote.rows[id].deleted && slices.Contains(rows.Tombstones, id) // deleted before anybody here knew it
		if !linked[id] && !unheard {
			w.fail("%s has no customer", id)
		}
	}
	if len(rows.Customers) != len(rows.Mappings) {
		w.fail("%d customers and %d mappings", len(rows.Customers), len(rows.Mappings))
	}
	for _, e := range rows.Events {
		if e.State == tandem.EventReceived {
			w.fail("event %s has no end", e.EventID)
		}
	}
	again := slices.ContainsFunc(w.remote.events, func(e *event) bool { return e.sent > 1 || e.dropped })
	if w.remote.quiet && !again && w.fetches > 0 {
		w.fail("nobody changed anything at the provider but Tandem, and it fetched %d times", w.fetches)
	}
}

func (w *world) checkPair(c tandem.Customer, m tandem.Mapping, row *remoteRow, rows Rows) {
	if row.deleted || c.Status == tandem.Archived {
		switch {
		case c.Status != tandem.Archived || m.State != tandem.Ended || m.Claim != nil:
			w.fail("%s is deleted or archived on one side, but the customer is %s and the mapping %s", m.RemoteID, c.Status, m.State)
		case row.deleted != slices.Contains(rows.Tombstones, m.RemoteID):
			w.fail("%s is deleted: %t, and has a tombstone: %t", m.RemoteID, row.deleted, !row.deleted)
		case !row.deleted && !w.keep[c.ID]:
			w.fail("%s was archived and %s is still there", c.ID, m.RemoteID)
		}
		return
	}
	local := c.Fields()
	if m.Metadata[tandem.MetaSyncDirection] == tandem.PlatformToProvider {
		local.Reserved = c.ReservedFor(w.policy.Environment)
	}
	if w.policy.Merge["email"].Owner == tandem.NotSynced {
		local.Email = row.fields.Email
	}
	w.checkChosen(local, m)
	agreed, want := w.agreed(local, m, row)
	if !agreed.Equal(row.fields) {
		w.fail("platform %s and provider %s differ (%v)", show(local), show(row.fields), tandem.Diff(local, row.fields))
	}
	if m.State != want || m.Claim != nil {
		w.fail("the mapping is %s, its claim %v, its base %s", m.State, m.Claim, show(*m.Base))
	}
	for _, field := range []string{"name", "email", "k"} {
		w.checkEdits(field, valueOf(local, field), w.edits[c.ID][field], w.edits[m.RemoteID][field])
	}
}

// checkEdits finds lost updates: where only one side edited a field, or only one may, what it said last is there.
func (w *world) checkEdits(field, is string, platform, provider map[string]string) {
	if field == "k" {
		field = tandem.FieldMetadata + ".k"
	}
	owner := w.policyOf(field).Owner
	both := owner == "" || owner == tandem.OwnedByBoth
	for _, by := range []struct {
		side        string
		mine, other map[string]string
	}{{"platform", platform, provider}, {"provider", provider, platform}} {
		last, edited := by.mine[by.side]
		if edited && (both && len(by.other) == 0 || string(owner) == by.side) && is != last {
			w.fail("lost update: the %s edited %s, last to %q, and it is %q", by.side, field, last, is)
		}
	}
}

// checkRest looks once more, delivers every event once more, and expects that nobody writes anything: only up to when
// something is known to be true may have moved.
func (w *world) checkRest() {
	writes, before := w.remote.writes, written(w.rows())
	for _, id := range w.remote.order {
		w.reconcile(id)
	}
	for _, e := range w.remote.events {
		if !e.dropped {
			w.deliver(e, mailing{})
		}
	}
	w.settle(nil)
	if after := written(w.rows()); w.remote.writes != writes || after != before {
		w.fail("a second look writes: %d times at the provider; here\n%s\nbecame\n%s", w.remote.writes-writes, before, after)
	}
}

// written is what a look must not change.
func written(rows Rows) string {
	rows = rows.timeless()
	for i := range rows.Mappings {
		m := &rows.Mappings[i]
		m.Version, m.AsOfFrom, m.AsOf = 0, m.CreatedAt, m.CreatedAt
	}
	for i := range rows.Events {
		rows.Events[i].Deliveries = 0
	}
	return text(rows)
}

// text is what two stores are compared by; what is empty and what is absent read the same, as in SQL.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("marshal for comparing: " + err.Error()) // maps and structs of strings: cannot happen
	}
	return string(b)
}
