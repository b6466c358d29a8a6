// Package chaos marks the places where a death of the process would hurt most. A binary built with the tag `chaos` reads
// a plan from its environment and kills itself at one of them, as a power cut would; any other build contains nothing of
// it: the functions are empty and the compiler removes the calls, names and all.
//
//	CHAOS_PLAN=create.after_stripe_before_mapping:hit=2:kill   the second time that place is reached
//	CHAOS_ARM=/some/file                                       optional: nothing is counted until this file exists
//
// The name of a point is the act and the place in it. Points stand in api, starter, activities and db, never in workflow
// code, which is replayed. e2e/chaos_test.go strikes every one of them; one that no case strikes fails there.
package chaos
