package tandem

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MappingState says what a mapping waits for. The CHECK constraints of the mappings table hold the same list.
type MappingState string

// The states of a mapping.
const (
	Pending  MappingState = "pending"  // something is to be done at the provider, or is being done
	Synced   MappingState = "synced"   // both sides agreed when last seen
	Retrying MappingState = "retrying" // a provider call failed and is tried again; LastError says why
	Parked   MappingState = "parked"   // no retry can help until something changes; LastError says what
	InConfl  MappingState = "conflict" // both sides changed the same field and a person chooses
	Ended    MappingState = "archived" // unlinked or deleted; kept as history
)

// ArchivedReason says why a mapping ended.
type ArchivedReason string

// The reasons of an archived mapping.
const (
	Unlinked      ArchivedReason = "unlinked"
	DeletedLocal  ArchivedReason = "deleted_local"
	DeletedRemote ArchivedReason = "deleted_remote"
)

// EntityCustomer is the only entity type so far; the column exists so that others can follow without a migration.
const EntityCustomer = "customer"

// Mapping is the entity integration mapping: customer ↔ remote customer, id "eim_" + ULID. It is the only truth about
// the link. RemoteID is empty until the provider has answered a create, or an event has told us the answer.
type Mapping struct {
	ID         string
	CustomerID string
	Provider   string
	RemoteID   string
	State      MappingState

	// Base is the last remote state taken account of, field by field; nil before the first. It was true at the
	// provider at some moment between AsOfFrom and AsOf, on the provider's clock.
	Base     *Fields
	AsOfFrom time.Time
	AsOf     time.Time

	Claim     *Claim // the call in flight, nil when there is none
	Epoch     int    // raised whenever an idempotency key must not be used again
	Pushed    int64  // version of the customer whose claim was last finished
	Conflicts []FieldConflict
	LastError *LastError
	OnArchive RemoteWish        // what becomes of the remote customer once the customer is archived
	Metadata  map[string]string // for people: see the Meta keys

	SyncedAt       *time.Time
	Version        int64
	CreatedAt      time.Time
	UpdatedAt      time.Time
	ArchivedAt     *time.Time
	ArchivedReason ArchivedReason
}

// RefusesLink says why the customer of this live mapping cannot be linked to another remote customer by hand; nil: it can.
func (m Mapping) RefusesLink() error {
	switch {
	case m.RemoteID != "":
		return &Error{Class: Conflict, Code: CodeCustomerLinked, Message: "the customer is linked to another remote customer; unlink it first"}
	case m.Claim != nil:
		return &Error{Class: Conflict, Code: CodeCustomerLinked, Message: "a remote customer is being created for this customer; wait for it, or until it is parked"}
	}
	return nil
}

// Confirm notes that the base was seen to be true between these times, too.
func (m *Mapping) Confirm(from, to time.Time) {
	m.AsOfFrom, m.AsOf = latest(from, m.AsOfFrom), latest(to, m.AsOf)
}

// MappingQuery selects mappings, newest first. Empty values select everything that is live; State Ended selects what is
// not.
type MappingQuery struct {
	CustomerID string
	Provider   string
	RemoteID   string
	State      MappingState
	ErrorClass Class  // of the last error
	After      string // the last id of the page before
	Limit      int    // 1 to 100
}

// The mapping's metadata, for people who look at it. The first two are prefixed with the provider's name.
const (
	MetaCustomerEmail    = "_customer_email"
	MetaCustomerName     = "_customer_name"
	MetaSyncDirection    = "sync_direction"
	MetaCreatedVia       = "created_via"
	MetaWebhookEvent     = "webhook_event"
	MetaWebhookID        = "webhook_id"
	MetaLastWebhookEvent = "last_webhook_event"
	MetaLastWebhookID    = "last_webhook_id"

	PlatformToProvider = "flexprice_to_provider"
	ProviderToPlatform = "provider_to_flexprice"
)

// OwnMetadata lists the keys that Tandem writes on a provider's mappings; all others are people's.
func OwnMetadata(provider string) []string {
	return []string{
		provider + MetaCustomerEmail, provider + MetaCustomerName, MetaSyncDirection, MetaCreatedVia,
		MetaWebhookEvent, MetaWebhookID, MetaLastWebhookEvent, MetaLastWebhookID,
	}
}

// Action is what a provider is asked to do.
type Action string

// The actions; ActNothing ends a sync.
const (
	ActNothing Action = ""
	ActCreate  Action = "create"
	ActUpdate  Action = "update"
	ActDelete  Action = "delete"
	ActLook    Action = "look" // read the remote customer before it is changed
)

// Claim is a provider call that has been decided on: key and body are frozen and stored before the provider is called
// for the first time, so that every attempt, after whatever crash, is the same request.
type Claim struct {
	Action  Action    `json:"action"`
	Key     string    `json:"key"`
	Body    Patch     `json:"body"`
	Version int64     `json:"version"` // of the customer the body was made from
	At      time.Time `json:"at"`      // of the freeze, on the database's clock
}

// FieldConflict is a field both sides changed differently and no policy decides. Both values are kept.
type FieldConflict struct {
	Field    string   `json:"field"`
	Platform string   `json:"platform"`
	Provider string   `json:"provider"`
	Address  *Address `json:"address,omitempty"` // the provider's, part by part, when the field is the address
}

// LastError is the failure a mapping waits on, for the person who can act.
type LastError struct {
	Class     Class     `json:"class"`
	Code      string    `json:"code"`
	Message   string    `json:"message"`
	Param     string    `json:"param,omitempty"`
	RequestID string    `json:"request_id,omitempty"` // the provider's
	At        time.Time `json:"at"`
	Attempt   int       `json:"attempt"`

	SkippedAt *time.Time `json:"skipped_at,omitempty"` // a person gave up waiting
}

// NewLastError describes err; one that is not a *Error is a bug and says so.
func NewLastError(err error, at time.Time, attempt int) *LastError {
	e, ok := asError(err)
	if !ok {
		e = &Error{Class: Bug, Code: CodeInternal, Message: err.Error()}
	}
	return &LastError{Class: e.Class, Code: e.Code, Message: e.Message, Param: e.Param, RequestID: e.RequestID, At: at, Attempt: attempt}
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

// DeleteKey names a delete in claims and journal. Stripe takes no key for deletes, which need none.
func DeleteKey(environment, customerID, mappingID string, epoch int) string {
	return fmt.Sprintf("%s%s:delete:%s:%s:%d", keyPrefix, environment, customerID, mappingID, epoch)
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
