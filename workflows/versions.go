package workflows

// The changes of the command sequence since the first recorded histories, as workflow.GetVersion knows them. A run that
// was open when one came goes on as it began. One may be taken out of the code, with the branch it guards, when no run
// from before it is open: see docs/changing-workflows.md.
const (
	changeSearchAttributes = "search-attributes" // waiting runs can be found by what they wait for
	changeSkipDuringCall   = "skip-during-call"  // "skip" ends a backoff, and is noted on the mapping
	changePlanAfterQuiet   = "plan-after-quiet"  // the claim may have been completed while a saved failure was left alone
	changeSkipDuringFetch  = "skip-during-fetch" // Inbound: "skip" ends a backoff

	changeRetryWhileParking = "retry-while-parking" // "retry" is heard as soon as the mapping shows the failure
)
