package tandem

import (
	"maps"
	"slices"
	"strings"
)

// Owner says which side may change a field at all.
type Owner string

// Winner says who wins when both sides changed a field differently.
type Winner string

// Owners and winners. The zero values of FieldPolicy are OwnedByBoth and PlatformWins.
const (
	OwnedByBoth     Owner = "both"
	OwnedByPlatform Owner = "platform"
	OwnedByProvider Owner = "provider"
	NotSynced       Owner = "off"

	PlatformWins Winner = "platform"
	ProviderWins Winner = "provider"
	Hold         Winner = "hold" // keep both, a person chooses
)

// Field names, as they stand in policies, journal and conflicts. Metadata is "metadata.<key>".
const (
	FieldName     = "name"
	FieldEmail    = "email"
	FieldPhone    = "phone"
	FieldAddress  = "address"
	FieldMetadata = "metadata"
	fieldReserved = "reserved"
)

// FieldPolicy is how one field is merged.
type FieldPolicy struct {
	Owner    Owner
	Conflict Winner
}

// MergePolicy maps field names to policies; "metadata" holds for every key that has no entry of its own. A field
// without an entry may be changed by both sides, and the platform wins.
type MergePolicy map[string]FieldPolicy

func (p MergePolicy) of(field, group string) FieldPolicy {
	if fp, ok := p[field]; ok {
		return fp
	}
	return p[group]
}

// forFirst lets a field that only the platform may change come in once, when a remote customer is taken in for the
// first time: where there is no value here yet, there is none that could win, and a link must not wipe.
func (p MergePolicy) forFirst(local, remote Fields) MergePolicy {
	out := maps.Clone(p)
	for _, d := range Diff(local, remote) {
		if fp := p.named(d.Field); fp.Owner == OwnedByPlatform && d.Before == "" {
			out[d.Field] = FieldPolicy{Conflict: fp.Conflict}
		}
	}
	return out
}

// named is the policy of a field by its full name.
func (p MergePolicy) named(field string) FieldPolicy {
	group, _, _ := strings.Cut(field, ".")
	return p.of(field, group)
}

// synced returns a look in which the fields that are not synced show the base: whatever they are is no news.
func (p MergePolicy) synced(remote, base Fields) Fields {
	off := func(field, group string) bool { return p.of(field, group).Owner == NotSynced }
	if off(FieldName, FieldName) {
		remote.Name = base.Name
	}
	if off(FieldEmail, FieldEmail) {
		remote.Email = base.Email
	}
	if off(FieldPhone, FieldPhone) {
		remote.Phone = base.Phone
	}
	if off(FieldAddress, FieldAddress) {
		remote.Address = base.Address
	}
	for _, k := range unionKeys(remote.Metadata, base.Metadata) {
		if off(FieldMetadata+"."+k, FieldMetadata) {
			remote.Metadata = withKeys(remote.Metadata, map[string]string{k: base.Metadata[k]})
		}
	}
	return remote
}

// Merged is what a merge asks for: a patch for each side, the base to remember, and what only a person can decide.
type Merged struct {
	Local     Patch
	Remote    Patch
	Base      Fields
	Conflicts []FieldConflict
}

// Merge is the three-way merge, field by field. A field nobody changed is in neither patch. A field that one side
// changed goes to the other, clearing included: against the base, an empty value is a change only if there was one
// before. The new base is the remote state just taken account of, except for fields on hold or not synced, which keep
// their old ancestor so that the question stays open.
//
// Reserved metadata is the platform's. A local side with no opinion (nil) leaves it as it is.
func Merge(base, local, remote Fields, policy MergePolicy) Merged {
	m := merger{policy: policy}
	m.out.Base.Name, m.out.Local.Name, m.out.Remote.Name = mergeValue(&m, FieldName, FieldName, base.Name, local.Name, remote.Name, canonicalText)
	m.out.Base.Email, m.out.Local.Email, m.out.Remote.Email = mergeValue(&m, FieldEmail, FieldEmail, base.Email, local.Email, remote.Email, canonicalText)
	m.out.Base.Phone, m.out.Local.Phone, m.out.Remote.Phone = mergeValue(&m, FieldPhone, FieldPhone, base.Phone, local.Phone, remote.Phone, canonicalText)
	m.out.Base.Address, m.out.Local.Address, m.out.Remote.Address = mergeValue(&m, FieldAddress, FieldAddress, base.Address, local.Address, remote.Address, canonicalAddress)
	m.out.Base.Metadata, m.out.Local.Metadata, m.out.Remote.Metadata = m.keys(FieldMetadata, base.Metadata, local.Metadata, remote.Metadata)
	m.out.Base.Reserved = remote.Reserved
	if local.Reserved != nil {
		_, _, m.out.Remote.Reserved = m.keys(fieldReserved, base.Reserved, local.Reserved, remote.Reserved)
	}
	return m.out
}

type merger struct {
	policy MergePolicy
	out    Merged
}

// mergeValue decides one field: the new base, and what either side has to be set to (nil: nothing).
func mergeValue[T comparable](m *merger, field, group string, base, local, remote T, canonical func(T) T) (newBase T, toLocal, toRemote *T) {
	policy := m.policy.of(field, group)
	if group == fieldReserved {
		policy = FieldPolicy{Owner: OwnedByPlatform}
	}
	if policy.Owner == NotSynced {
		return base, nil, nil
	}
	b, l, r := canonical(base), canonical(local), canonical(remote)
	switch {
	case l == r:
		return remote, nil, nil
	case policy.Owner == OwnedByPlatform:
		return remote, nil, &local
	case policy.Owner == OwnedByProvider:
		return remote, &remote, nil
	case r == b:
		return remote, nil, &local
	case l == b:
		return remote, &remote, nil
	case policy.Conflict == ProviderWins:
		return remote, &remote, nil
	case policy.Conflict == Hold:
		m.out.Conflicts = append(m.out.Conflicts, heldField(field, local, remote))
		return base, nil, nil
	default:
		return remote, nil, &local
	}
}

func heldField(field string, local, remote any) FieldConflict {
	held := FieldConflict{Field: field, Platform: text(local), Provider: text(remote)}
	if a, ok := remote.(Address); ok {
		held.Address = &a
	}
	return held
}

// Settle decides fields on hold as a person chose. The provider's value becomes the base: where it wins it becomes the
// customer's value too, where the platform wins the customer's value is now the newer one and will be pushed. Fields
// that nobody chose stay on hold; a name that is not on hold is returned as unknown.
func (m Mapping) Settle(c Customer, winners map[string]Winner) (_ Mapping, _ Customer, unknown string) {
	base, left := *m.Base, []FieldConflict{}
	for _, held := range m.Conflicts {
		winner, chosen := winners[held.Field]
		if !chosen {
			left = append(left, held)
			continue
		}
		value := held.patch()
		base = base.With(value)
		if winner == ProviderWins {
			c = c.With(value)
		}
	}
	for field := range winners {
		if !slices.ContainsFunc(m.Conflicts, func(h FieldConflict) bool { return h.Field == field }) {
			unknown = field
		}
	}
	m.Base, m.Conflicts = &base, left
	return m, c, unknown
}

// Held returns the mapping as its fields on hold are after an edit here: each shows the customer's newest value, and one
// on which both sides agree by now is on hold no longer. The provider's values are those of the last look.
func (m Mapping) Held(c Customer) (_ Mapping, changed bool) {
	local, left := c.Fields(), []FieldConflict{}
	for _, held := range m.Conflicts {
		value, shown := held.patch(), held.Platform
		theirs := local.With(value)
		if local.Equal(theirs) {
			base := m.Base.With(value)
			m.Base, changed = &base, true
			continue
		}
		for _, d := range Diff(local, theirs) {
			held.Platform = d.Before
		}
		left, changed = append(left, held), changed || held.Platform != shown
	}
	m.Conflicts = left
	if changed && m.State == InConfl {
		m.State = stateFor(true, left)
	}
	return m, changed
}

func (h FieldConflict) same(g FieldConflict) bool {
	return h.Field == g.Field && h.Platform == g.Platform && h.Provider == g.Provider
}

// patch sets the field to the provider's value.
func (h FieldConflict) patch() Patch {
	switch h.Field {
	case FieldName:
		return Patch{Name: &h.Provider}
	case FieldEmail:
		return Patch{Email: &h.Provider}
	case FieldPhone:
		return Patch{Phone: &h.Provider}
	case FieldAddress:
		return Patch{Address: h.Address}
	}
	return Patch{Metadata: map[string]string{strings.TrimPrefix(h.Field, FieldMetadata+"."): h.Provider}}
}

// keys merges a map key by key; an absent key is an empty value.
func (m *merger) keys(group string, base, local, remote map[string]string) (newBase, toLocal, toRemote map[string]string) {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, local)
	maps.Copy(all, remote)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		b, l, r := mergeValue(m, group+"."+k, group, base[k], local[k], remote[k], canonicalText)
		newBase = put(newBase, k, b, b != "")
		if l != nil {
			toLocal = put(toLocal, k, *l, true)
		}
		if r != nil {
			toRemote = put(toRemote, k, *r, true)
		}
	}
	return newBase, toLocal, toRemote
}

func put(m map[string]string, k, v string, do bool) map[string]string {
	if !do {
		return m
	}
	if m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}

// BaseForLink makes the ancestor of two customers that had none in common, so that the ordinary merge brings the
// winner's values across. Where only one side has a value, the ancestor is empty and that value goes to the other
// side: a link must not wipe what the winner never knew.
func BaseForLink(local, remote Fields, winner Winner) Fields {
	loser := remote
	if winner == ProviderWins {
		loser = local
	}
	base := Fields{
		Name:     linkBase(local.Name, remote.Name, loser.Name),
		Email:    linkBase(local.Email, remote.Email, loser.Email),
		Phone:    linkBase(local.Phone, remote.Phone, loser.Phone),
		Address:  linkBase(local.Address, remote.Address, loser.Address),
		Reserved: remote.Reserved,
	}
	for k := range local.Metadata {
		v := linkBase(local.Metadata[k], remote.Metadata[k], loser.Metadata[k])
		base.Metadata = put(base.Metadata, k, v, v != "")
	}
	return base
}

func linkBase[T comparable](local, remote, loser T) T {
	var empty T
	if local == empty || remote == empty {
		return empty
	}
	return loser
}

// merged takes a look over: both rows as they should be, and the story.
func merged(s RemoteState, c Customer, m Mapping, base Fields, act Act, p Policy) Decision {
	remote := s.Fields.fill(s.Absent, base)
	before, claim := c, m.Claim
	var known Fields
	if m.Base != nil {
		known = *m.Base
	}
	out := Merge(base, localFields(c, m, p), remote, p.Merge)
	m.RemoteID, m.Base, m.Conflicts = s.RemoteID, &out.Base, out.Conflicts
	m.AsOfFrom, m.AsOf = latest(s.SeenFrom, m.AsOfFrom), latest(s.SeenTo, m.AsOf)
	if claim != nil && (s.Key == claim.Key || act == ActComplete) {
		m.Pushed, m.Epoch, m.Claim = claim.Version, m.Epoch+1, nil
	}
	c = c.With(out.Local)
	action, _ := PlanNext(c, m, p)
	if m.Claim == nil { // a call still in flight goes on saying how it fares
		m.State, m.LastError = stateFor(action != ActNothing, m.Conflicts), nil
	}
	m.Metadata = stamp(m, s, remote)

	d := Decision{State: EventApplied, Act: act, Mapping: &m, Poke: action != ActNothing}
	if m.Claim == nil && claim != nil {
		d.note(s, c, Outbound, string(claim.Action), Diff(known, known.With(claim.Body)), "")
	}
	if act == ActLink {
		d.note(s, c, Inbound, "link", nil, m.Metadata[MetaCreatedVia])
	}
	if !out.Local.IsEmpty() || act == ActImport {
		d.Customer = &c
		d.note(s, c, Inbound, inboundAction(act), Diff(before.Fields(), c.Fields()), "")
	}
	for _, f := range out.Conflicts {
		d.note(s, c, Inbound, "conflict", []FieldChange{{f.Field, f.Platform, f.Provider}}, "a person has to choose")
	}
	return d
}

func inboundAction(act Act) string {
	if act == ActImport {
		return "create"
	}
	return "update"
}

func stateFor(left bool, held []FieldConflict) MappingState {
	switch {
	case len(held) > 0:
		return InConfl
	case left:
		return Pending
	}
	return Synced
}

// stamp returns the mapping's metadata with what people look for: the provider's values, which are not the platform's where
// a field is on hold or not synced.
func stamp(m Mapping, s RemoteState, remote Fields) map[string]string {
	meta := maps.Clone(m.Metadata)
	if meta == nil {
		meta = map[string]string{}
	}
	meta[m.Provider+MetaCustomerEmail], meta[m.Provider+MetaCustomerName] = remote.Email, remote.Name
	maps.DeleteFunc(meta, func(_, v string) bool { return v == "" })
	if s.Source == FromEvent {
		if meta[MetaWebhookID] == "" {
			meta[MetaWebhookEvent], meta[MetaWebhookID] = s.EventType, s.EventID
		}
		meta[MetaLastWebhookEvent], meta[MetaLastWebhookID] = s.EventType, s.EventID
	}
	return meta
}

func (d *Decision) note(s RemoteState, c Customer, dir Direction, action string, changes []FieldChange, detail string) {
	d.Journal = append(d.Journal, JournalEntry{
		CustomerID: c.ID, Provider: s.Provider, RemoteID: s.RemoteID,
		Direction: dir, Action: action, Changes: changes, Detail: detail,
	})
}

// fill replaces what a payload does not carry by what is known: unknown is not empty.
func (f Fields) fill(absent []string, known Fields) Fields {
	for _, field := range absent {
		switch field {
		case FieldName:
			f.Name = known.Name
		case FieldEmail:
			f.Email = known.Email
		case FieldPhone:
			f.Phone = known.Phone
		case FieldAddress:
			f.Address = known.Address
		case FieldMetadata:
			f.Metadata, f.Reserved = known.Metadata, known.Reserved
		}
	}
	return f
}
