package stripe

import (
	"maps"
	"slices"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"github.com/tandem-sync/tandem"
)

// A patch has one wire form, always: it is sent again under the same idempotency key for up to a day, by another
// process perhaps, and Stripe refuses a key whose parameters changed. stripe-go writes struct fields in their order
// and sorts maps; a golden test holds it to that.

func createParams(b tandem.Patch) (*stripego.CustomerParams, error) {
	meta, err := metadataOf(b)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(meta, func(_, v string) bool { return v == "" })
	p := &stripego.CustomerParams{
		Name: nonEmpty(b.Name), Email: nonEmpty(b.Email), Phone: nonEmpty(b.Phone), Metadata: meta,
	}
	if b.Address != nil && *b.Address != (tandem.Address{}) {
		p.Address = addressParams(*b.Address)
	}
	return p, nil
}

func updateParams(b tandem.Patch) (*stripego.CustomerParams, error) {
	meta, err := metadataOf(b)
	if err != nil {
		return nil, err
	}
	// An empty string clears a field and an empty metadata value removes its key. An empty metadata map sends nothing,
	// as it must: a bare "metadata=" would wipe everybody's keys.
	p := &stripego.CustomerParams{Name: b.Name, Email: b.Email, Phone: b.Phone, Metadata: meta}
	switch {
	case b.Address == nil:
	case *b.Address == tandem.Address{}:
		p.AddExtra("address", "") // an empty AddressParams would send nothing at all
	default:
		p.Address = addressParams(*b.Address)
	}
	return p, nil
}

func nonEmpty(s *string) *string {
	if s == nil || *s == "" {
		return nil
	}
	return s
}

// addressParams sends all six parts. Whether Stripe merges a partial address or replaces the old one is not
// documented; with every part named, both come to the same.
func addressParams(a tandem.Address) *stripego.AddressParams {
	return &stripego.AddressParams{
		Line1: &a.Line1, Line2: &a.Line2, City: &a.City,
		State: &a.State, PostalCode: &a.PostalCode, Country: &a.Country,
	}
}

// metadataOf puts user and reserved metadata into the one map that Stripe has. A bracket in a key would change the
// meaning of the form (metadata[a[b]), and a reserved key among the user's would forge our own mark: neither is sent.
func metadataOf(b tandem.Patch) (map[string]string, error) {
	meta := make(map[string]string, len(b.Metadata)+len(b.Reserved))
	maps.Copy(meta, b.Metadata)
	maps.Copy(meta, b.Reserved)
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		_, fromUser := b.Metadata[key]
		if key == "" || strings.ContainsAny(key, "[]") || fromUser == tandem.IsReserved(key) {
			return nil, &tandem.Error{
				Class: tandem.Invalid, Code: CodeMetadataKey, Param: "metadata",
				Message: "this metadata key cannot be sent to Stripe: " + clip(key, maxMetadataKey),
			}
		}
	}
	return meta, nil
}

// listParams rounds the bounds outwards. Stripe's created is in whole seconds: a customer made at 10.7 s says 10, and
// must be found by whoever looks from 10.5 s on.
func listParams(q tandem.ListQuery) (*stripego.CustomerListParams, error) {
	limit, err := pageLimit(q.Limit)
	if err != nil {
		return nil, err
	}
	p := &stripego.CustomerListParams{}
	p.Limit, p.Email, p.StartingAfter = &limit, nonEmpty(&q.Email), nonEmpty(&q.Cursor)
	r := &stripego.RangeQueryParams{}
	if !q.CreatedFrom.IsZero() {
		r.GreaterThanOrEqual = q.CreatedFrom.Unix()
	}
	if !q.CreatedTo.IsZero() {
		r.LesserThan = q.CreatedTo.Add(time.Second - 1).Unix()
	}
	if *r != (stripego.RangeQueryParams{}) {
		p.CreatedRange = r
	}
	return p, nil
}

// checkKey: without a key of ours stripe-go would make one up, and a retry would create a second customer. What does not
// fit into a header would fail looking like a broken network.
func checkKey(key string) error {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	if key == "" || len(key) > 255 || strings.ContainsFunc(key, odd) {
		return tandem.Errorf(tandem.Bug, CodeBadCall, "an idempotency key is 1 to 255 visible ASCII characters")
	}
	return nil
}

// checkID keeps an id from becoming another path: with an empty one, a fetch would be a list and a delete who knows
// what. Ids are opaque, so one that no customer can have is simply not there.
func checkID(id string) error {
	switch {
	case id == "":
		return tandem.Errorf(tandem.Bug, CodeBadCall, "a remote id is needed")
	case id == "." || id == ".." || len(id) > 255:
		return &tandem.Error{Class: tandem.Gone, Code: tandem.CodeRemoteGone, Message: "no customer has such an id", Param: "id"}
	}
	return nil
}
