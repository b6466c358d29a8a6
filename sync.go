package tandem

import (
	"context"
	"maps"
	"slices"
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
	ChangeCreate  ChangeKind = "create"
	ChangeUpdate  ChangeKind = "update"
	ChangeArchive ChangeKind = "archive"
)

// RemoteWish is what an archive does to the remote customer.
type RemoteWish string

// DeleteRemote is the default: it is what the platform asked for.
const (
	DeleteRemote RemoteWish = "delete"
	KeepRemote   RemoteWish = "keep"
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
	Remote          RemoteWish   `json:"remote,omitempty"` // archives only; empty is the installation's policy

	// IdempotencyKey is the hash under which the answer is kept for callers that ask again; creates only.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Word is what a person says to a workflow that waits.
type Word string

// The words; they are the names of signals too.
const (
	WordRetry  Word = "retry"
	WordSkip   Word = "skip"
	WordPause  Word = "pause" // these three are for runs
	WordResume Word = "resume"
	WordCancel Word = "cancel"
)

// Link is the wish to join an existing customer and an existing remote customer. Winner says whose values count where
// both have one; empty is the platform.
type Link struct {
	ID         string `json:"id"`
	CustomerID string `json:"customer_id"`
	Provider   string `json:"provider"`
	RemoteID   string `json:"remote_id"`
	Winner     Winner `json:"winner,omitempty"`
}

// Unlink is the wish to take a mapping apart.
type Unlink struct {
	ID         string `json:"id"`
	CustomerID string `json:"customer_id"`
	MappingID  string `json:"mapping_id"`
}

// Resolve is a person's choice for fields on hold: field name to PlatformWins or ProviderWins.
type Resolve struct {
	ID         string            `json:"id"`
	CustomerID string            `json:"customer_id"`
	Provider   string            `json:"provider"`
	Winners    map[string]Winner `json:"winners"`
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

// Ask is what else a plan has to know, most of it a person's word.
type Ask struct {
	Force  bool `json:"force,omitempty"`  // go on although the brake says stop
	Relink bool `json:"relink,omitempty"` // link again what a person took apart
	Looked bool `json:"looked,omitempty"` // a look at the remote customer was recorded just now, whoever asks
	Look   bool `json:"look,omitempty"`   // look at the remote customer if there is nothing to do: what no event has told
}

// Call is one provider call, decided on and frozen: what the outbound workflow carries from plan to call to record.
// ActNothing means that nothing is left to do, or that nothing can be done before a person or a change helps. ActLook
// changes nothing over there, so nothing is frozen and it has no key; what is to be done is planned after it.
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
	Wished         bool      `json:"wished,omitempty"`   // a person wants this look; else it comes before an update

	// Blocked says that something is left to do which a person has to allow first; Action is ActNothing then.
	Blocked *LastError `json:"blocked,omitempty"`
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

	// Nudge passes a person's word, WordRetry or WordSkip, to the customer's Outbound workflow; an empty provider means
	// all. A workflow that has ended is started for a retry. Errors: CodeNothingWaits when there is nothing to skip.
	Nudge(ctx context.Context, customerID, provider string, word Word) (Run, error)

	// Link verifies and makes a link by hand, through the customer's Outbound workflow. Errors: CodeCustomerNotFound,
	// CodeCustomerArchived, CodeRemoteNotFound, CodeRemoteGone, CodeCustomerLinked, CodeRemoteLinked.
	Link(ctx context.Context, l Link) (Mapping, error)

	// Unlink ends a mapping; neither side is linked or made again by itself. Errors: CodeMappingNotFound.
	Unlink(ctx context.Context, u Unlink) error

	// Resolve decides fields that were held. Errors: CodeMappingNotFound, CodeInvalidRequest for a field not on hold.
	Resolve(ctx context.Context, r Resolve) (Mapping, error)

	// Settle waits until nothing is left to do for the customer, or ctx ends, which is no error.
	Settle(ctx context.Context, customerID string) error

	// Inbound has the remote customer's Inbound workflow process these ledger rows.
	Inbound(ctx context.Context, provider, remoteID string, rows []string) (Run, error)

	// Wake starts the remote customer's Inbound workflow unless it is open. An open one is left in peace: it may be
	// waiting, and knows why.
	Wake(ctx context.Context, provider, remoteID string) error

	// Drain has the provider's Drain workflow process whatever waits in the ledger.
	Drain(ctx context.Context, provider string) error

	// BeginRun starts a run over whole books. Errors: CodeRunOpen when the provider has one already.
	BeginRun(ctx context.Context, w RunWish) (BulkRun, error)

	// Steer passes a person's word, WordPause, WordResume or WordCancel, to a run's workflow. Errors: CodeRunEnded.
	Steer(ctx context.Context, workflowID string, word Word) error

	// Runs reports whether the workflow is open.
	Runs(ctx context.Context, workflowID string) (bool, error)

	// CatchUp has the provider's own list of events read now.
	CatchUp(ctx context.Context, provider string) (Run, error)
}

// PlanNext says what is missing at the provider, as far as the mapping knows: a call that was decided on and never
// finished comes first, whatever has changed since. Only an update gives way to a delete: what it would change goes.
func PlanNext(c Customer, m Mapping, p Policy) (Action, Patch) {
	local := localFields(c, m, p)
	switch {
	case m.Claim != nil && (c.Status != Archived || m.Claim.Action != ActUpdate):
		return m.Claim.Action, m.Claim.Body
	case m.State == Ended:
		return ActNothing, Patch{}
	case c.Status == Archived && m.RemoteID != "" && m.OnArchive == DeleteRemote:
		return ActDelete, Patch{}
	case c.Status == Archived:
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

// LooksFirst reports whether a patch to a remote customer wants a look at it first. Where the provider's value wins, or a
// person chooses, an edit over there that nobody here has heard of yet would be overwritten and gone.
func (p MergePolicy) LooksFirst(base Fields, patch Patch) bool {
	patch.Reserved = nil
	return slices.ContainsFunc(Diff(base, base.With(patch)), func(d FieldChange) bool {
		fp := p.named(d.Field)
		return (fp.Conflict == ProviderWins || fp.Conflict == Hold) && (fp.Owner == "" || fp.Owner == OwnedByBoth)
	})
}

// Forbidden is what would take back those of the platform's own edits that only the provider may make.
func (p MergePolicy) Forbidden(before, after Fields) Patch {
	return Merge(before, after, before, p).Local
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
