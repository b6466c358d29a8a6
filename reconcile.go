package tandem

import "time"

// Mode is what a run over whole books may create. All of them repair the links there are, both ways.
type Mode string

// The modes; they are the words of the API and the command line too.
const (
	ModeImport    Mode = "import"    // customers for remote customers that nobody here knows
	ModeExport    Mode = "export"    // remote customers for customers that nobody over there knows
	ModeReconcile Mode = "reconcile" // neither; what is missing on one side is reported, and deletions are found out
)

// RunWish asks for a run: all remote customers of a provider are held against all customers. ID is the run's, "run_" +
// ULID; the same wish sent again is the same run.
type RunWish struct {
	ID         string `json:"id"`
	Provider   string `json:"provider"`
	Mode       Mode   `json:"mode"`
	Plan       bool   `json:"plan,omitempty"`        // write nothing, report what would happen
	MatchEmail bool   `json:"match_email,omitempty"` // link pairs whose e-mail nobody else has on either side
}

// Cause is what the journal says about what the run does.
func (w RunWish) Cause() Cause {
	if w.Mode == ModeImport {
		return Cause{Kind: ByImport, ID: w.ID}
	}
	return Cause{Kind: ByReconcile, ID: w.ID}
}

// RunState says whether a run goes on.
type RunState string

// The states of a run. One that failed is paused and says why: a person looks and resumes it.
const (
	RunRunning   RunState = "running"
	RunPaused    RunState = "paused"
	RunDone      RunState = "done"
	RunCancelled RunState = "cancelled"
)

// Ended reports whether another run may begin.
func (s RunState) Ended() bool { return s == RunDone || s == RunCancelled }

// RunStep is what a run is at. Steps that its mode has no use for are passed over.
type RunStep string

// The steps, in their order.
const (
	StepList    RunStep = "list"    // walks the provider's list, page by page
	StepMatch   RunStep = "match"   // links pairs by e-mail, which only the whole list can tell
	StepAbsent  RunStep = "absent"  // asks about linked remote customers that the list did not have
	StepReserve RunStep = "reserve" // reserves a create for customers without a remote customer
	StepSend    RunStep = "send"    // has Outbound bring over what is left to do, and waits for it
	StepEnd     RunStep = "end"
)

// Next is the step after this one.
func (w RunWish) Next(s RunStep) RunStep {
	steps := []RunStep{StepList}
	if w.MatchEmail {
		steps = append(steps, StepMatch)
	}
	if w.Mode == ModeReconcile {
		steps = append(steps, StepAbsent)
	}
	if w.Mode == ModeExport {
		steps = append(steps, StepReserve)
	}
	if !w.Plan {
		steps = append(steps, StepSend)
	}
	for i, step := range steps {
		if step == s && i+1 < len(steps) {
			return steps[i+1]
		}
	}
	return StepEnd
}

// Counts are what a run has seen and done so far; they are written together with what they count, so that a page that
// is taken twice counts once.
type Counts struct {
	Requests  int `json:"requests"` // of lists at the provider
	Pages     int `json:"pages"`    // taken in
	Customers int `json:"customers"`
	Created   int `json:"created"`
	Linked    int `json:"linked"`
	Updated   int `json:"updated"`
	Archived  int `json:"archived"`
	Sent      int `json:"sent"` // left to Outbound
	Equal     int `json:"equal"`
	Conflicts int `json:"conflicts"`
	Rejected  int `json:"rejected"`
	Unlinked  int `json:"unlinked"` // known on one side only
	Review    int `json:"review"`   // a person should look
	Waiting   int `json:"waiting"`  // something stands in their way already
}

// Range is a piece of the provider's list, by the time remote customers were created: From is inclusive, To exclusive,
// zero is open. Several are walked at once; whole seconds make their seams lose and repeat nothing.
type Range struct {
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	Cursor string    `json:"cursor,omitempty"` // of the next page
	Last   time.Time `json:"last,omitzero"`    // creation of the last one taken: where to go on if the cursor is gone
	Done   bool      `json:"done,omitempty"`
}

// Split halves what is left of a range between its last customer and From, or the time given where it is open; false
// when there is nothing to halve. The customers of one second stay together.
func (r Range) Split(oldest time.Time) (newer, older Range, ok bool) {
	from := r.From
	if from.IsZero() {
		from = oldest
	}
	middle := from.Add(r.Last.Sub(from) / 2).Truncate(time.Second)
	if r.Done || r.Last.IsZero() || !middle.After(from) || !middle.Before(r.Last.Truncate(time.Second)) {
		return r, Range{}, false
	}
	older = Range{From: r.From, To: middle}
	r.From = middle
	return r, older, true
}

// BulkRun is one run over whole books.
type BulkRun struct {
	RunWish
	State      RunState   `json:"state"`
	Step       RunStep    `json:"step"`
	Ranges     []Range    `json:"ranges,omitempty"`
	After      string     `json:"after,omitempty"` // where the step after the list is
	Counts     Counts     `json:"counts"`
	LastError  *LastError `json:"last_error,omitempty"`
	WorkflowID string     `json:"workflow_id"`
	Version    int64      `json:"version"`
	StartedAt  time.Time  `json:"started_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
}

// RunQuery selects runs, newest first.
type RunQuery struct {
	Provider string
	State    RunState
	After    string // the last id of the page before
	Limit    int    // 1 to 100
}

// WalkedPage is a page of the list, and the range it is from as it is after it. Index is the range's; one beyond the
// last is a new one, split off another.
type WalkedPage struct {
	Index int
	Range Range
	Items []RemoteState
	Asked int // requests it took
}

// FindingKind is what a run found about one customer that was not equal on both sides.
type FindingKind string

// The kinds. In a plan they say what would be done.
const (
	FoundCreated  FindingKind = "created"  // imported, or, in an export, reserved for Outbound to create
	FoundLinked   FindingKind = "linked"   // one customer on both sides that were not linked
	FoundUpdated  FindingKind = "updated"  // the provider's change was taken over
	FoundSent     FindingKind = "sent"     // our change had not arrived: left to Outbound
	FoundArchived FindingKind = "archived" // deleted over there
	FoundConflict FindingKind = "conflict" // two truths; a person chooses
	FoundRejected FindingKind = "rejected" // cannot be stored
	FoundUnlinked FindingKind = "unlinked" // on one side only, and this mode does not create
	FoundReview   FindingKind = "review"   // a person should look; the reason says why
	FoundWaiting  FindingKind = "waiting"  // parked or being retried already
)

// Finding is one line of a run's report. Done says that it was carried out: false in a plan, and for what a person is to
// decide.
type Finding struct {
	ID         string        `json:"id"`
	RunID      string        `json:"run_id"`
	Kind       FindingKind   `json:"kind"`
	CustomerID string        `json:"customer_id,omitempty"`
	RemoteID   string        `json:"remote_id,omitempty"`
	Done       bool          `json:"done"`
	Reason     string        `json:"reason,omitempty"`
	Changes    []FieldChange `json:"changes,omitempty"`
	At         time.Time     `json:"at"`
}

// FindingQuery selects the lines of a report, in the order they were found.
type FindingQuery struct {
	RunID string
	Kind  FindingKind
	After string // the last id of the page before
	Limit int    // 1 to 1000
}

// Reasons of findings, beside those of Decide.
const (
	ReasonSameEmail     = "same_email"          // somebody here has this e-mail: not imported before that is settled
	ReasonNotImported   = "mode"                // this mode creates no customers
	ReasonNotListed     = "not_listed"          // linked, not in the list, and the provider says that it is there
	ReasonNeverHeard    = "unknown_to_provider" // the provider has never heard of it: a key of another account?
	ReasonBrake         = "delete_brake"
	ReasonOrderInDoubt  = "order_in_doubt" // what came first is not known; its Inbound workflow asks
	ReasonLocalEdits    = "not_sent_yet"
	ReasonUnlinkedHere  = "unlinked_by_person"
	ReasonMatchRefused  = "match_refused"
	ReasonOnHold        = "on_hold"
	ReasonNoRemote      = "no_remote_customer"
	ReasonUnprocessable = "unprocessable"
)

// Judged is what a run makes of one remote customer of the list.
type Judged struct {
	Decision
	Kind   FindingKind // empty: equal
	Do     bool        // carry the decision out, unless the run is a plan
	Reason string
}

// Judge decides on a remote customer of the list as Decide does, within what the run may do. SameEmail is how many
// active customers here have its e-mail.
func (w RunWish) Judge(s RemoteState, v View, sameEmail int, p Policy) Judged {
	d := Decide(s, v, p)
	switch {
	case d.Act == ActImport && w.MatchEmail && s.Fields.Email != "" && sameEmail > 0:
		return Judged{Kind: FoundReview, Reason: ReasonSameEmail}
	case d.Act == ActImport && w.Mode != ModeImport:
		return Judged{Kind: FoundUnlinked, Reason: ReasonNotImported}
	case d.Act == ActImport:
		return Judged{Decision: d, Kind: FoundCreated, Do: true}
	case d.Act == ActLink || d.Act == ActComplete:
		return Judged{Decision: d, Kind: FoundLinked, Do: true}
	case d.Act == ActFetch:
		return Judged{Decision: d, Kind: FoundReview, Reason: ReasonOrderInDoubt}
	case d.State == EventConflict:
		return Judged{Decision: d, Kind: FoundConflict, Do: d.Act != ActNone, Reason: d.Reason}
	case v.Linked != nil:
		return judgeLinked(d, v.Linked.Customer, *v.Linked.Mapping, p)
	case d.State == EventIgnored:
		return Judged{Kind: FoundUnlinked, Reason: d.Reason}
	}
	return Judged{}
}

// judgeLinked looks whether the other way is open too: a change of ours that never left is nothing the provider's list
// could show.
func judgeLinked(d Decision, c Customer, m Mapping, p Policy) Judged {
	switch {
	case d.Act == ActMerge && d.Customer != nil:
		return Judged{Decision: d, Kind: FoundUpdated, Do: true}
	case d.Act == ActMerge:
		return Judged{Decision: d, Kind: FoundSent, Do: true, Reason: ReasonLocalEdits}
	case len(m.Conflicts) > 0:
		return Judged{Kind: FoundConflict, Reason: ReasonOnHold}
	case m.State == Parked || m.State == Retrying:
		return Judged{Kind: FoundWaiting, Reason: string(m.State)}
	}
	if action, _ := PlanNext(c, m, p); action == ActNothing {
		return Judged{}
	}
	m.State = Pending
	return Judged{Decision: Decision{State: EventApplied, Act: ActMerge, Mapping: &m}, Kind: FoundSent, Do: true, Reason: ReasonLocalEdits}
}

// CatchUp is how far the provider's own list of events has been read.
type CatchUp struct {
	Provider  string     `json:"provider"`
	UpTo      time.Time  `json:"up_to,omitzero"` // everything before it is in the ledger; zero: never read
	CheckedAt time.Time  `json:"checked_at,omitzero"`
	Missed    int        `json:"missed"`              // events that the last reading found and no webhook had brought
	GapSince  *time.Time `json:"gap_since,omitempty"` // events from then on are forgotten over there: a reconcile is needed
}

// EmailMatch is a pair that shares an e-mail which nobody else has on either side.
type EmailMatch struct {
	CustomerID string `json:"customer_id"`
	RemoteID   string `json:"remote_id"`
}
