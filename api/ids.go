package api

import (
	"crypto/rand"
	"regexp"

	"github.com/oklog/ulid/v2"
)

const (
	customerPrefix = "cust_"
	runPrefix      = "run_"
)

// The forms of ids, which the tables demand too. An id of another form cannot exist, so it is answered without asking
// the database.
var (
	customerID = regexp.MustCompile(`^cust_[0-9A-HJKMNP-TV-Z]{26}$`)
	mappingID  = regexp.MustCompile(`^eim_[0-9A-HJKMNP-TV-Z]{26}$`)
	eventRowID = regexp.MustCompile(`^pev_[0-9A-HJKMNP-TV-Z]{26}$`)
	bulkRunID  = regexp.MustCompile(`^run_[0-9A-HJKMNP-TV-Z]{26}$`)
	findingID  = regexp.MustCompile(`^fnd_[0-9A-HJKMNP-TV-Z]{26}$`)
	journalID  = regexp.MustCompile(`^jrn_[0-9A-HJKMNP-TV-Z]{26}$`)
)

// entropy makes ids that rise within a millisecond, for lists newest first, and that nobody can guess from another.
var entropy = &ulid.LockedMonotonicReader{MonotonicReader: ulid.Monotonic(rand.Reader, 0)}

func newULID() string { return ulid.MustNew(ulid.Now(), entropy).String() }
