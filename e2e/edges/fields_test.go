package edges_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// sameEmail: an address is no identity, in whatever case it is written.
func sameEmail(t *testing.T) {
	w := newWorld(t)
	id, ours := w.linked(ada())
	ids := map[string]bool{id: true}
	for _, email := range []string{"ada@example.org", "ADA@example.org"} {
		remoteID := w.foreign("email", email)
		w.deliver(w.last(remoteID))
		c, _ := w.agree(w.by(remoteID).ID)
		require.Equal(t, email, c.Email)
		ids[c.ID] = true
	}
	require.Len(t, ids, 3)
	c, there := w.agree(id)
	require.Equal(t, int64(1), c.Version)
	require.Equal(t, ours, there.ID)
	require.Equal(t, 1, w.writes(), "the one create")
}

// anotherAppWasFirst: the same person is there already, made by somebody else. Nothing is adopted and nothing is merged:
// only a person can say that two are one.
func anotherAppWasFirst(t *testing.T) {
	w := newWorld(t)
	theirs := w.foreign("name", "Ada Example", "email", "ada@example.org", "metadata[other_app]", "7")
	id, ours := w.linked(ada())
	require.NotEqual(t, theirs, ours)
	w.agree(id)
	c, there := w.agree(w.by(theirs).ID)
	require.NotEqual(t, id, c.ID)
	require.Equal(t, map[string]string{"other_app": "7"}, there.Metadata, "it was touched")
}

// blankNameOverThere: what is empty there is empty here and is not pushed back; what is cleared there is cleared here.
func blankNameOverThere(t *testing.T) {
	w := newWorld(t)
	remoteID := w.foreign("phone", "+1 555 0100")
	w.deliver(w.last(remoteID))
	id := w.by(remoteID).ID
	c, _ := w.agree(id)
	require.Empty(t, c.Name)
	w.edit(id, tandem.Patch{Phone: ptr("+1 555 0101")})
	w.agree(id)
	require.Equal(t, form("phone", "+1 555 0101"), w.calls("update")[0].Form)
}

// clearedFields: a field that is cleared on one side is cleared on the other, and no other field is.
func clearedFields(t *testing.T) {
	t.Run("here", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id, _ := w.linked(ada())
		w.edit(id, tandem.Patch{Phone: ptr(""), Address: &tandem.Address{}, Metadata: map[string]string{"plan": ""}})
		c, there := w.agree(id)
		require.Equal(t, map[string]string{"name": "Ada Example", "email": "ada@example.org"}, fieldsOf(there))
		require.Equal(t, "Ada Example", c.Name)
		sent := w.calls("update")[0].Form
		require.Equal(t, []string{""}, sent["phone"], "left out is not cleared")
		require.Equal(t, []string{""}, sent["metadata[plan]"])
		require.NotContains(t, sent, "name")
	})
	t.Run("there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id, remoteID := w.linked(ada())
		w.there(remoteID, "phone", "", "address", "", "metadata[plan]", "")
		w.deliver(w.last(remoteID))
		c, _ := w.agree(id)
		require.Equal(t, map[string]string{"name": "Ada Example", "email": "ada@example.org"}, textOf(c.Fields()))
		require.Empty(t, w.calls("update"))
	})
	t.Run("on one side while the other edits something else", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id, remoteID := w.linked(ada())
		w.edit(id, tandem.Patch{Phone: ptr("")})
		w.there(remoteID, "name", "Ada There", "metadata[plan]", "")
		c, _ := w.agree(id)
		require.Empty(t, c.Phone)
		require.Empty(t, c.Metadata)
		require.Equal(t, "Ada There", c.Name)
	})
}

// refusedFields: what the provider does not take is parked with its name, whole; the next edit heals it. The API refuses
// most of these before they are stored; these came in another way.
func refusedFields(t *testing.T, rows map[string]refused) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, remoteID := w.linked(ada())
			if len(r.there) > 0 {
				w.there(remoteID, r.there...)
			}
			w.edit(id, r.bad)
			w.outbound(id)
			m := w.mapping(id)
			require.Equal(t, tandem.Parked, m.State)
			require.Equal(t, tandem.Invalid, m.LastError.Class)
			require.Contains(t, m.LastError.Param+" "+m.LastError.Message, r.names)
			require.NotEmpty(t, m.LastError.Code)
			require.Contains(t, w.story(id), "outbound park")
			there, _ := w.stripe.Customer(remoteID)
			require.Equal(t, "Ada Example", there.Name, "cut short")
			stored := w.customer(id)
			require.Equal(t, textOf(stored.Fields().With(r.bad)), textOf(stored.Fields()), "it is kept whole here")

			w.edit(id, r.good)
			w.agree(id)
		})
	}
}

type refused struct {
	there     []string // what is edited over there before
	bad, good tandem.Patch
	names     string // the field, as last_error says it
}

func overLongFields(t *testing.T) {
	long := strings.Repeat("ä", 501)
	refusedFields(t, map[string]refused{
		"name":           {bad: tandem.Patch{Name: ptr(long[:2*257])}, good: tandem.Patch{Name: ptr(long[:2*256])}, names: "name"},
		"email":          {bad: tandem.Patch{Email: ptr(strings.Repeat("a", 513) + "@example.org")}, good: tandem.Patch{Email: ptr("a@example.org")}, names: "email"},
		"phone":          {bad: tandem.Patch{Phone: ptr("+1 555 0100 and so on and on")}, good: tandem.Patch{Phone: ptr("")}, names: "phone"},
		"metadata value": {bad: tandem.Patch{Metadata: map[string]string{"k": long}}, good: tandem.Patch{Metadata: map[string]string{"k": long[:1000]}}, names: "metadata"},
		"metadata key":   {bad: tandem.Patch{Metadata: map[string]string{strings.Repeat("k", 41): "v"}}, good: tandem.Patch{Metadata: map[string]string{strings.Repeat("k", 41): ""}}, names: "metadata"},
	})
}

func metadataThatDoesNotFit(t *testing.T) {
	foreign, many, fewer := []string{}, map[string]string{}, map[string]string{}
	for i := range 40 {
		foreign = append(foreign, fmt.Sprintf("metadata[other_%d]", i), "v")
	}
	for i := range 10 {
		many[fmt.Sprint("ours_", i)], fewer[fmt.Sprint("ours_", i)] = "v", ""
	}
	refusedFields(t, map[string]refused{
		"brackets in a key": {
			bad: tandem.Patch{Metadata: map[string]string{"a[b]": "v"}}, good: tandem.Patch{Metadata: map[string]string{"a[b]": ""}}, names: "metadata",
		},
		"too many, those of others counted": {
			there: foreign, bad: tandem.Patch{Metadata: many}, good: tandem.Patch{Metadata: fewer}, names: "metadata",
		},
	})
}

func badEmail(t *testing.T) {
	refusedFields(t, map[string]refused{
		"of an update": {bad: tandem.Patch{Email: ptr("no address")}, good: tandem.Patch{Email: ptr("ada@example.net")}, names: "email"},
	})
	t.Run("of a create", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		fields := ada()
		fields.Email = ptr("no address")
		id := w.stored(fields)
		w.outbound(id)
		m := w.mapping(id)
		require.Equal(t, tandem.Parked, m.State)
		require.Equal(t, "email_invalid email", m.LastError.Code+" "+m.LastError.Param)
		require.Empty(t, w.of(id))
		w.edit(id, tandem.Patch{Email: ptr("ada@example.net")})
		w.agree(id)
		posts := w.calls("create")
		require.Len(t, posts, 2)
		require.NotEqual(t, posts[0].IdempotencyKey, posts[1].IdempotencyKey)
	})
}

// metadataOfOthers: keys that nobody here has set are neither written nor cleared, known or not.
func metadataOfOthers(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	w.there(remoteID, "metadata[other_app]", "7")
	w.deliver(w.last(remoteID))
	w.settle(id)
	require.Equal(t, "7", w.customer(id).Metadata["other_app"], "shown here")
	w.there(remoteID, "metadata[not_told_yet]", "8")
	w.edit(id, tandem.Patch{Metadata: map[string]string{"plan": "team", "seat": "1"}})
	w.outbound(id)
	all := changeOf(id, tandem.ChangeUpdate, tandem.Patch{Metadata: map[string]string{"mine": "2"}})
	all.ClearMetadata = true // of a caller who has seen plan, seat and other_app
	w.there(remoteID, "metadata[in_between]", "9")
	require.NoError(t, w.say(all))
	_, there := w.agree(id)
	require.Equal(t, "9", there.Metadata["in_between"], "never metadata= as a whole")
	require.Equal(t, "2", there.Metadata["mine"])
	require.NotContains(t, there.Metadata, "plan")
	require.Equal(t, id, there.Metadata[tandem.KeyCustomerID])
	for _, u := range w.calls("update") {
		require.NotContains(t, u.Form, "metadata")
		require.NotContains(t, u.Form, "metadata[in_between]")
	}
	require.Equal(t, form("metadata[plan]", "team", "metadata[seat]", "1"), w.calls("update")[0].Form)
}
