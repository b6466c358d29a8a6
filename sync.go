package tandem

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Direction of a sync. The same two words are file names, workflow ids, metric labels and database values.
type Direction string

// Outbound leaves the billing platform, Inbound comes in to it.
const (
	Outbound Direction = "outbound"
	Inbound  Direction = "inbound"
)

// Cause is why something was done; CauseID names the request, event or run.
type Cause struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
}

// The kinds of causes.
const (
	ByAPI       = "api"
	ByWebhook   = "webhook"
	ByImport    = "import"
	ByReconcile = "reconcile"
	ByOperator  = "operator"
	ByRetry     = "retry"
)

// Work says on whose behalf a transaction is made; it goes into the journal.
type Work struct {
	Cause      Cause
	WorkflowID string
	RunID      string
}

// JournalEntry is one line of a customer's story.
type JournalEntry struct {
	ID         string
	At         time.Time
	CustomerID string
	Provider   string
	RemoteID   string
	Direction  Direction
	Action     string
	Work       Work
	Changes    []FieldChange
	Detail     string
}

// FieldChange is one field before and after.
type FieldChange struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// ChangeKind is what an API caller wants done with a customer.
type ChangeKind string

// The changes.
const (
	ChangeCreate ChangeKind = "create"
	ChangeUpdate ChangeKind = "update"
)

// Change is a caller's wish, carried into the Outbound workflow. ID identifies the wish: the same one again is
// answered, not repeated.
type Change struct {
	ID              string       `json:"id"`
	Kind            ChangeKind   `json:"kind"`
	CustomerID      string       `json:"customer_id"`
	ExpectedVersion int64        `json:"expected_version,omitempty"` // 0: any
	ExternalID      *string      `json:"external_id,omitempty"`
	Patch           Patch        `json:"patch"`
	Address         AddressPatch `json:"address,omitzero"` // part by part, applied after Patch
	ClearMetadata   bool         `json:"clear_metadata,omitempty"`

	// IdempotencyKey is the hash under which the answer is kept for callers that ask again; creates only.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Reservation binds a caller's Idempotency-Key to the customer id its create is going to have, so that the same
// request sent twenty times at once is one customer. Answer is the customer as it was first answered, nil before that.
type Reservation struct {
	CustomerID string
	Answer     *Customer
}

// AddressPatch changes single parts of an address; nil leaves a part alone.
type AddressPatch struct {
	Line1      *string `json:"line1,omitempty"`
	Line2      *string `json:"line2,omitempty"`
	City       *string `json:"city,omitempty"`
	State      *string `json:"state,omitempty"`
	PostalCode *string `json:"postal_code,omitempty"`
	Country    *string `json:"country,omitempty"`
}

// Apply returns c as the change wants it. It checks nothing.
func (ch Change) Apply(c Customer) Customer {
	if ch.ClearMetadata {
		c.Metadata = nil
	}
	set(&c.ExternalID, ch.ExternalID)
	c = c.With(ch.Patch)
	set(&c.Address.Line1, ch.Address.Line1)
	set(&c.Address.Line2, ch.Address.Line2)
	set(&c.Address.City, ch.Address.City)
	set(&c.Address.State, ch.Address.State)
	set(&c.Address.PostalCode, ch.Address.PostalCode)
	set(&c.Address.Country, ch.Address.Country)
	return c
}

// Call is one provider call, decided on and frozen: what the outbound workflow carries from plan to call to record.
// ActNothing means that nothing is left to do, or that nothing can be done before a person or a change helps.
type Call struct {
	Action         Action    `json:"action"`
	Provider       string    `json:"provider"`
	CustomerID     string    `json:"customer_id"`
	MappingID      string    `json:"mapping_id,omitempty"`
	MappingVersion int64     `json:"mapping_version,omitempty"`
	RemoteID       string    `json:"remote_id,omitempty"`
	Key            string    `json:"key,omitempty"`
	Body           Patch     `json:"body,omitzero"`
	FrozenAt       time.Time `json:"frozen_at,omitzero"` // on the database's clock
}

// Outcome is what became of one remote state. MappingVersion is the mapping's version afterwards: a fetch that begins
// now and finds it unchanged later is newer than everything recorded.
type Outcome struct {
	State          EventState `json:"state"`
	Reason         string     `json:"reason,omitempty"`
	RemoteID       string     `json:"remote_id"`
	CustomerID     string     `json:"customer_id,omitempty"`
	MappingID      string     `json:"mapping_id,omitempty"`
	MappingVersion int64      `json:"mapping_version,omitempty"`
	Poke           bool       `json:"poke,omitempty"`  // something is left to do at the provider
	Fetch          bool       `json:"fetch,omitempty"` // nothing was done: the order is in doubt
}

// Run names one workflow run.
type Run struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
}

// Starter turns a wish into exactly one workflow run. The api and the activities wish; package starter grants.
type Starter interface {
	// Change hands ch to the customer's Outbound workflow and returns the customer as soon as it is stored. Errors:
	// Invalid with CodeCustomerNotFound, CodeVersionMismatch, CodeExternalIDTaken, …; Transient with CodeUnavailable
	// when Temporal cannot be reached, in which case the same Change may be sent again.
	Change(ctx context.Context, ch Change) (Customer, error)

	// Sync has the customer's Outbound workflow look whether something is left to do.
	Sync(ctx context.Context, customerID string, cause Cause) (Run, error)

	// Settle waits until nothing is left to do for the customer, or ctx ends, which is no error.
	Settle(ctx context.Context, customerID string) error

	// Inbound has the remote customer's Inbound workflow process these ledger rows.
	Inbound(ctx context.Context, provider, remoteID string, rows []string) (Run, error)
}

// PlanNext says what is missing at the provider, as far as the mapping knows: a call that was decided on and never
// finished comes first, whatever has changed since.
func PlanNext(c Customer, m Mapping, p Policy) (Action, Patch) {
	local := localFields(c, m, p)
	switch {
	case m.Claim != nil:
		return m.Claim.Action, m.Claim.Body
	case m.State == Ended || c.Status == Archived:
		return ActNothing, Patch{}
	case m.RemoteID == "":
		local.Reserved = c.ReservedFor(p.Environment)
		return ActCreate, Merge(Fields{}, local, Fields{}, p.Merge).Remote
	}
	patch := Merge(*m.Base, local, *m.Base, p.Merge).Remote.without(m.Conflicts)
	if patch.IsEmpty() {
		return ActNothing, Patch{}
	}
	return ActUpdate, patch
}

// localFields is the customer's side of the merge. Only a remote customer that Tandem created carries our reserved
// metadata; on one that came from the provider we have no opinion, or every import would cost a write per customer.
func localFields(c Customer, m Mapping, p Policy) Fields {
	f := c.Fields()
	if m.Metadata[MetaSyncDirection] == PlatformToProvider {
		f.Reserved = c.ReservedFor(p.Environment)
	}
	return f
}

// without drops the fields on hold: what a person has to decide is pushed by nobody.
func (p Patch) without(held []FieldConflict) Patch {
	for _, h := range held {
		switch h.Field {
		case FieldName:
			p.Name = nil
		case FieldEmail:
			p.Email = nil
		case FieldPhone:
			p.Phone = nil
		case FieldAddress:
			p.Address = nil
		default:
			p.Metadata = maps.Clone(p.Metadata)
			delete(p.Metadata, strings.TrimPrefix(h.Field, FieldMetadata+"."))
		}
	}
	return p
}

// Idempotency keys. They name the installation because keys share one namespace per provider account, carry no
// personal data, and tell an event's reader which of our calls caused it. Stripe allows 255 characters; ours stay
// below 160 with the longest environment name.
const keyPrefix = "tandem:"

// CreateKey is the key of a create. The epoch goes up only when the former key can have made nothing.
func CreateKey(environment, customerID string, epoch int) string {
	return keyPrefix + environment + ":create:" + customerID + ":" + strconv.Itoa(epoch)
}

// UpdateKey is the key of an update. The body's hash is part of it so that a key is never used for two bodies, the
// mapping's id so that a link made anew is free of old keys.
func UpdateKey(environment, customerID, mappingID string, version int64, epoch int, body Patch) string {
	return fmt.Sprintf("%s%s:update:%s:%s:%d.%d:%s", keyPrefix, environment, customerID, mappingID, version, epoch, hash(body))
}

func hash(p Patch) string {
	b, err := json.Marshal(p) // map keys come out sorted
	if err != nil {
		panic("marshal patch: " + err.Error()) // strings only: cannot happen
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// ownKey is what one of our keys says.
type ownKey struct {
	action     Action
	customerID string
	mappingID  string // updates only
	version    int64  // updates only
}

func parseKey(environment, key string) (ownKey, bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix+environment+":")
	if !ok {
		return ownKey{}, false
	}
	switch parts := strings.Split(rest, ":"); {
	case len(parts) == 3 && parts[0] == string(ActCreate):
		return ownKey{action: ActCreate, customerID: parts[1]}, true
	case len(parts) == 5 && parts[0] == string(ActUpdate):
		version, err := strconv.ParseInt(strings.Split(parts[3], ".")[0], 10, 64)
		return ownKey{ActUpdate, parts[1], parts[2], version}, err == nil
	}
	return ownKey{}, false
}

// Diff lists what is different in after, in a fixed order.
func Diff(before, after Fields) []FieldChange {
	var out []FieldChange
	add := func(field, b, a string) {
		if b != a {
			out = append(out, FieldChange{Field: field, Before: b, After: a})
		}
	}
	add(FieldName, before.Name, after.Name)
	add(FieldEmail, before.Email, after.Email)
	add(FieldPhone, before.Phone, after.Phone)
	add(FieldAddress, text(before.Address), text(after.Address))
	for _, k := range unionKeys(before.Metadata, after.Metadata) {
		add(FieldMetadata+"."+k, before.Metadata[k], after.Metadata[k])
	}
	for _, k := range unionKeys(before.Reserved, after.Reserved) {
		add(FieldMetadata+"."+k, before.Reserved[k], after.Reserved[k])
	}
	return out
}

func unionKeys(a, b map[string]string) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.SortFunc(keys, cmp.Compare)
	return slices.Compact(keys)
}

// text shows a field's value to a person.
func text(v any) string {
	a, ok := v.(Address)
	if !ok {
		return fmt.Sprint(v)
	}
	parts := []string{a.Line1, a.Line2, a.City, a.State, a.PostalCode, a.Country}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}
