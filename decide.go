package tandem

import (
	"maps"
	"slices"
	"time"
)

// Policy is this installation's rules, the same for every decision.
type Policy struct {
	Environment    string // this installation's name, part of every idempotency key
	Livemode       bool   // real money or test: events of the other kind are not ours
	Merge          MergePolicy
	OnRemoteDelete DeletePolicy
	OnArchive      RemoteWish // what an archive does at the provider unless the caller says; empty is DeleteRemote
	Brake          Brake
	ClockTolerance time.Duration // how far the provider's own clocks may be apart
}

// Brake stops mass deletes: a delete at the provider is parked when the last hour has seen Count of them, or, from
// brakeFloor on, that Share of all linked customers. Zero switches a limit off.
type Brake struct {
	Count int
	Share float64
}

// brakeFloor keeps the share from braking small installations at their second delete.
const brakeFloor = 20

// Trips reports whether one more delete has to wait for a person.
func (b Brake) Trips(lastHour, linked int) bool {
	return b.Count > 0 && lastHour >= b.Count ||
		b.Share > 0 && lastHour >= brakeFloor && float64(lastHour) >= b.Share*float64(linked)
}

// DeletePolicy says what becomes of the customer when the remote customer is deleted.
type DeletePolicy string

// ArchiveCustomer is the default.
const (
	ArchiveCustomer DeletePolicy = "archive"
	OnlyUnlink      DeletePolicy = "unlink"
)

// View is everything Decide may know about the two sides of one remote state.
type View struct {
	Tombstone bool           // the remote customer was seen deleted
	Linked    *Pair          // the live mapping of this remote customer
	Ended     ArchivedReason // why its last mapping ended, when none is live
	Named     *Pair          // the customer its reserved metadata, or our key, names
	External  *Pair          // the active customer that has its external id
}

// Pair is a customer and its live mapping for the provider in question, nil when it has none.
type Pair struct {
	Customer Customer
	Mapping  *Mapping
}

// Act is what has to be done about a remote state.
type Act string

// The acts. All but ActNone and ActFetch write.
const (
	ActNone     Act = ""         // nothing to write but the ledger row
	ActImport   Act = "import"   // a new customer and its mapping
	ActLink     Act = "link"     // an existing, unlinked customer gets this remote customer
	ActComplete Act = "complete" // our own create is answered: the pending mapping gets its remote customer
	ActMerge    Act = "merge"    // linked: take over what is new
	ActAdvance  Act = "advance"  // linked: nothing new, but true at a later time than we knew
	ActArchive  Act = "archive"  // deleted over there
	ActFetch    Act = "fetch"    // the order is in doubt: ask the provider how it is now
)

// Decision is what Decide found. Customer and Mapping are the wanted values of the rows that Act writes; ids,
// versions and times are the store's business. Poke says that something is left to do at the provider.
type Decision struct {
	State    EventState
	Reason   string
	Act      Act
	Customer *Customer
	Mapping  *Mapping
	Journal  []JournalEntry
	Poke     bool
}

// Reasons of events that change nothing, as the ledger shows them.
const (
	ReasonDeleted       = "deleted"           // a tombstone: deleted stays deleted
	ReasonOtherAccount  = "other_account"     // a connected account's
	ReasonOtherMode     = "other_mode"        // test event on a live connection or the reverse
	ReasonOtherTandem   = "other_environment" // another installation's customer
	ReasonUnlinked      = "unlinked"          // a person took the link apart
	ReasonCustomerGone  = "customer_archived"
	ReasonUnknownOurs   = "unknown_customer"      // our metadata, but no such customer
	ReasonLinkedOther   = "linked_elsewhere"      // the customer it names has another remote customer
	ReasonExternalTaken = "external_id_elsewhere" // the customer with its external id has another remote customer
	ReasonOwnWrite      = "own_write"
	ReasonEqual         = "equal"
	ReasonOlder         = "older"
)

// Decide says what a remote state means, given what we know. It is the one place where order, echoes, claims and
// links are judged, for events, answers, fetches and list pages alike.
func Decide(s RemoteState, v View, p Policy) Decision {
	if s.Replayed && s.SeenFrom.After(s.Created) {
		s.SeenFrom = s.Created // from the provider's memory: it may be as old as the customer
	}
	if s.Source != FromEvent {
		s.SeenTo = s.SeenTo.Add(p.ClockTolerance) // its Date may be another machine's than the one that dates events
	}
	switch {
	case s.Deleted:
		return decideDeleted(s, v, p)
	case v.Tombstone:
		return decideTombstone(s, v, p)
	case s.Account != "":
		return ignored(ReasonOtherAccount)
	case s.Livemode != p.Livemode:
		return ignored(ReasonOtherMode)
	case v.Linked != nil:
		return decideLinked(s, v.Linked.Customer, *v.Linked.Mapping, p)
	case s.Fields.Reserved[KeyEnvironment] != "" && s.Fields.Reserved[KeyEnvironment] != p.Environment:
		return ignored(ReasonOtherTandem)
	}
	return decideUnlinked(s, v, p)
}

func ignored(reason string) Decision { return Decision{State: EventIgnored, Reason: reason} }
func conflict(reason string) Decision {
	return Decision{State: EventConflict, Reason: reason}
}

// decideDeleted archives. Whether the customer goes too is policy; the tombstone is written in any case.
func decideDeleted(s RemoteState, v View, p Policy) Decision {
	if v.Linked == nil {
		return Decision{State: EventIgnored, Reason: ReasonDeleted, Act: ActArchive}
	}
	c, m := v.Linked.Customer, *v.Linked.Mapping
	ours := m.Claim != nil && m.Claim.Action == ActDelete
	m.State, m.ArchivedReason, m.Claim, m.LastError = Ended, DeletedRemote, nil, nil
	m.Metadata = stamp(m, s, *m.Base) // as it was last seen
	d := Decision{State: EventApplied, Act: ActArchive, Mapping: &m}
	if ours {
		m.ArchivedReason = DeletedLocal
		d.note(s, c, Outbound, string(ActDelete), nil, "")
		return d
	}
	d.note(s, c, Inbound, "unlink", nil, "deleted at the provider")
	if p.OnRemoteDelete != OnlyUnlink && c.Status == Active {
		c.Status = Archived
		d.Customer = &c
		d.note(s, c, Inbound, "archive", nil, "")
	}
	return d
}

// decideTombstone keeps what is deleted deleted. The answer to our own create may come after the deletion of what it
// made: then the claim is over, and so is the link that never was.
func decideTombstone(s RemoteState, v View, p Policy) Decision {
	if v.Named == nil || v.Named.Mapping == nil || v.Named.Mapping.Claim == nil || v.Named.Mapping.Claim.Key != s.Key || s.Key == "" {
		return ignored(ReasonDeleted)
	}
	m := *v.Named.Mapping
	if m.RemoteID == "" {
		m.RemoteID, m.Base, m.AsOfFrom, m.AsOf = s.RemoteID, &s.Fields, s.SeenFrom, s.SeenTo
	}
	return decideDeleted(s, View{Linked: &Pair{Customer: v.Named.Customer, Mapping: &m}}, p)
}

// NamedCustomer is the customer of this installation that the state says it belongs to: by the key of our create,
// which only we know, else by the reserved metadata. Empty when it names none.
func (s RemoteState) NamedCustomer(environment string) string {
	if key, ok := parseKey(environment, s.Key); ok && key.action == ActCreate {
		return key.customerID
	}
	if s.Fields.Reserved[KeyEnvironment] != environment {
		return ""
	}
	return s.Fields.Reserved[KeyCustomerID]
}

// decideUnlinked judges a remote customer that no live mapping knows.
func decideUnlinked(s RemoteState, v View, p Policy) Decision {
	switch {
	case v.Ended == Unlinked:
		return ignored(ReasonUnlinked)
	case v.Ended != "":
		return ignored(ReasonCustomerGone)
	case s.NamedCustomer(p.Environment) != "":
		return decideNamed(s, v.Named, p)
	case s.Fields.Reserved[KeyEnvironment] == p.Environment:
		return conflict(ReasonUnknownOurs) // ours once, and somebody took the id away
	case v.External != nil && v.External.Mapping != nil && (v.External.Mapping.RemoteID != "" || v.External.Mapping.Claim != nil):
		return conflict(ReasonExternalTaken)
	case v.External != nil:
		return link(s, *v.External, p)
	}
	return importNew(s, p)
}

// decideNamed judges a remote customer that says it is ours.
func decideNamed(s RemoteState, named *Pair, p Policy) Decision {
	switch {
	case named == nil:
		return conflict(ReasonUnknownOurs)
	case named.Mapping == nil && named.Customer.Status == Archived:
		return ignored(ReasonCustomerGone)
	case named.Mapping == nil:
		return ignored(ReasonUnlinked)
	case named.Mapping.RemoteID != "":
		return conflict(ReasonLinkedOther)
	}
	// The create's own body is what both sides agreed on, whatever has been edited here since.
	m := *named.Mapping
	base := Fields{}
	if m.Claim != nil {
		base = base.With(m.Claim.Body)
	}
	return merged(s, named.Customer, m, base, ActComplete, p)
}

// DecideLink judges a link by hand. The remote customer was fetched just now, and the store has checked that both sides
// are free; the winner's values count where both have one.
func DecideLink(s RemoteState, pair Pair, winner Winner, p Policy) Decision {
	s.SeenTo = s.SeenTo.Add(p.ClockTolerance)
	m := Mapping{CustomerID: pair.Customer.ID, Provider: s.Provider}
	if pair.Mapping != nil {
		m = *pair.Mapping
		m.Claim = nil
	}
	m.Metadata = linkedBy(m, ByOperator)
	p.Merge = p.Merge.forFirst(pair.Customer.Fields(), s.Fields)
	return merged(s, pair.Customer, m, BaseForLink(pair.Customer.Fields(), s.Fields, winner), ActLink, p)
}

// link joins an existing customer and a remote customer that share an external id. There is no common ancestor.
func link(s RemoteState, pair Pair, p Policy) Decision {
	m := Mapping{CustomerID: pair.Customer.ID, Provider: s.Provider}
	if pair.Mapping != nil {
		m = *pair.Mapping
	}
	m.Metadata = linkedBy(m, via(s))
	base := BaseForLink(pair.Customer.Fields(), s.Fields, PlatformWins)
	p.Merge = p.Merge.forFirst(pair.Customer.Fields(), s.Fields)
	return merged(s, pair.Customer, m, base, ActLink, p)
}

// linkedBy keeps what people have written on a mapping that was reserved before.
func linkedBy(m Mapping, how string) map[string]string {
	meta := maps.Clone(m.Metadata)
	if meta == nil {
		meta = map[string]string{}
	}
	meta[MetaSyncDirection], meta[MetaCreatedVia] = ProviderToPlatform, how
	return meta
}

// importNew makes the customer that the remote customer describes.
func importNew(s RemoteState, p Policy) Decision {
	c := Customer{Status: Active, ExternalID: s.Fields.Reserved[KeyExternalID]}
	m := Mapping{Provider: s.Provider, Metadata: map[string]string{MetaSyncDirection: ProviderToPlatform, MetaCreatedVia: via(s)}}
	p.Merge = p.Merge.forFirst(Fields{}, s.Fields)
	d := merged(s, c, m, Fields{}, ActImport, p)
	if d.Customer == nil {
		d.Customer = &c // a remote customer without any field is a customer all the same
	}
	d.Poke = false
	return d
}

func via(s RemoteState) string {
	switch s.Source {
	case FromEvent:
		return ByWebhook
	case FromList:
		return ByImport
	default:
		return ByAPI
	}
}

// order of a look relative to the base of a mapping.
type order int

const (
	older order = iota
	overlapping
	newer
)

func orderOf(s RemoteState, m Mapping) order {
	switch {
	case s.After != 0 && s.After == m.Version:
		return newer // nothing was recorded since before the look began
	case s.SeenTo.Before(m.AsOfFrom):
		return older
	case s.SeenFrom.After(m.AsOf):
		return newer
	}
	return overlapping
}

// decideLinked judges a look at a remote customer we know.
func decideLinked(s RemoteState, c Customer, m Mapping, p Policy) Decision {
	base := *m.Base
	remote := p.Merge.synced(s.Fields.fill(s.Absent, base), base)
	ord := orderOf(s, m)
	claimed := m.Claim != nil && s.Key == m.Claim.Key // our call in flight caused or followed this
	answer := claimed && s.Source != FromEvent        // it ends the call

	switch {
	case s.Source == FromEvent && claimed && remote.Equal(base.With(m.Claim.Body)):
		return echo(ReasonOwnWrite) // it overtook its own answer, which is about to be recorded
	case s.Source == FromEvent && !claimed && ownAndDone(s, m, p):
		return echo(ReasonOwnWrite) // the answer to that very write was recorded already: it said the same, or more
	case ord == older && answer:
		return finish(c, m, p) // the answer is old news, but the call is over
	case ord == older:
		return Decision{State: EventStale, Reason: ReasonOlder}
	case remote.Equal(base) && !answer && len(m.Conflicts) == 0: // back at the base, what is on hold is decided
		return equal(s, m)
	case ord == newer:
		d := merged(s, c, m, ancestor(base, m.Claim, claimed, remote), ActMerge, p)
		if !answer && d.Customer == nil && d.Mapping.Base.Equal(base) && slices.EqualFunc(d.Mapping.Conflicts, m.Conflicts, FieldConflict.same) {
			return equal(s, m) // the same conflict, still on hold: no news
		}
		return d
	}
	return Decision{State: EventReceived, Act: ActFetch, Mapping: &m}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func echo(reason string) Decision { return Decision{State: EventEcho, Reason: reason} }

// ownAndDone reports whether the event was caused by a call of ours that has been answered and recorded.
func ownAndDone(s RemoteState, m Mapping, p Policy) bool {
	key, ok := parseKey(p.Environment, s.Key)
	if !ok || key.customerID != m.CustomerID {
		return false
	}
	return key.action == ActCreate || key.mappingID == m.ID && key.version <= m.Pushed
}

// equal: nothing new. That the base was still true at the time of this look is worth remembering: without it, an event
// from in between that arrives late would look newer than it is.
func equal(s RemoteState, m Mapping) Decision {
	d := echo(ReasonEqual)
	if s.Source == FromList {
		return d // whole books are mostly equal: a second look at them must not write every row
	}
	m.Confirm(s.SeenFrom, s.SeenTo)
	d.Act, d.Mapping = ActAdvance, &m
	return d
}

// finish ends the claim without touching the base, which is newer than the answer.
func finish(c Customer, m Mapping, p Policy) Decision {
	m.Pushed, m.Epoch, m.Claim, m.LastError = m.Claim.Version, m.Epoch+1, nil, nil
	action, _ := PlanNext(c, m, p)
	m.State = stateFor(action != ActNothing, m.Conflicts)
	return Decision{State: EventApplied, Act: ActMerge, Mapping: &m, Poke: action != ActNothing}
}

// ancestor is the base for merging a look that may or may not include our call in flight. What the call set is ours,
// not a foreign change: for an answer to the call all of it, otherwise where the look shows that value.
func ancestor(base Fields, claim *Claim, claimed bool, remote Fields) Fields {
	if claim == nil {
		return base
	}
	if claimed {
		return base.With(claim.Body)
	}
	seen := claim.Body
	seen.Name = onlyIf(seen.Name, remote.Name)
	seen.Email = onlyIf(seen.Email, remote.Email)
	seen.Phone = onlyIf(seen.Phone, remote.Phone)
	seen.Address = onlyIf(seen.Address, remote.Address)
	seen.Metadata = maps.Clone(seen.Metadata)
	maps.DeleteFunc(seen.Metadata, func(k, v string) bool { return remote.Metadata[k] != v })
	seen.Reserved = nil
	return base.With(seen)
}

func onlyIf[T comparable](body *T, remote T) *T {
	if body == nil || *body != remote {
		return nil
	}
	return body
}
