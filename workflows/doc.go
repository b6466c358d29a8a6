// Package workflows holds the two directions of a sync, and nothing that does I/O.
//
//	Outbound  platform → provider     id outbound/<customer id>
//
//	 Update "change" ──► ChangeCustomer ──► answered: the caller has its customer
//	 "link" "unlink" "resolve" │
//	 Signal "sync"   ──►       │
//	                           ▼            one lane per provider, each on its own:
//	                ┌──►   PlanCall  ── nothing left ──► lane rests; all rest ──► workflow ends
//	                │          │ key and body frozen; or, where a policy protects the other side, a look first
//	                │     CallProvider ── can be retried ──► again, same key and body, for as long as it takes, or till "skip"
//	                │          │      ├── nobody knows, and asking again teaches nothing ──► ProveCall ──► RecordAnswer,
//	                │          │      │       or, proved not to have happened, RenewClaim ──► PlanCall
//	                │          │      └── cannot ──► ParkCall ──► waits for "retry", "skip" or a change
//	                │     RecordAnswer ── order in doubt ──► FetchRemote ──► RecordAnswer
//	                └──────────┘
//
//	Inbound   provider → platform     id inbound/<provider>/<remote id>
//
//	 Signal "events" ──► ApplyEvents ── nothing waiting ──► workflow ends
//	                           │   └── order in doubt ──► FetchRemote ──► ApplyFetched
//	                           │           └── day's reads are spent ──► waits for the next, or another event
//	                           └── something left for the other side ──► PokeOutbound
//
//	Reconcile  whole books       id reconcile/<provider>/<run id>
//
//	 Update "begin" ──► BeginRun ── another run is open ──► refused; workflow ends
//	                       │
//	                ┌──► RunSlice (5 s: list, match, absent, reserve, send; where it stands is in the database)
//	                │      ├── last step done ──► SetRunState done ──► workflow ends
//	                └──────┤
//	                       └── "pause", or no retry helps ──► SetRunState paused ──► waits for "resume" or "cancel"
//
//	CatchUp   events nobody brought   id catch-up/<provider>
//
//	 Schedule ──► CatchUp (reads the provider's list, writes ledger rows, signals Drain)
//	                 └── webhooks were missing ──► again within a minute
//
// Drain, id drain/<provider>, is drawn in drain.go. The first two can be started as often as anybody likes: what they do follows from what the database says is left to do, so a
// workflow too many ends at once and a signal too many changes nothing. Neither ever fails because of a provider.
//
// What a run does, what stands in its way and how to help is told in its current details; a run that waits has search
// attributes besides (sign.go).
//
// Changing this code: histories under testdata/histories are replayed by the tests. A change that breaks them needs
// workflow.GetVersion; see docs/changing-workflows.md.
package workflows
