package tandem

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Status is where a customer is in its life.
type Status string

// A customer is active until it is archived; archived customers are kept, answer reads and refuse changes.
const (
	Active   Status = "active"
	Archived Status = "archived"
)

// Customer is a customer of the billing platform. ID is "cust_" + ULID; ExternalID, the platform user's own id, is
// unique among active customers when present. Version rises by one with every change.
type Customer struct {
	ID         string            `json:"id"`
	ExternalID string            `json:"external_id,omitempty"`
	Name       string            `json:"name,omitempty"`
	Email      string            `json:"email,omitempty"`
	Phone      string            `json:"phone,omitempty"`
	Address    Address           `json:"address,omitzero"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Status     Status            `json:"status"`
	Version    int64             `json:"version"`
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
	ArchivedAt *time.Time        `json:"archived_at,omitempty"`
}

// CustomerQuery selects customers, newest first. Empty values select everything.
type CustomerQuery struct {
	Email            string // exact
	ExternalID       string
	Status           Status
	State            MappingState // of any of its mappings
	ProviderEntityID string
	After            string // the last id of the page before
	Limit            int    // 1 to 100
}

// Address is synced as one value: half of one address and half of another is nobody's address. Country is ISO 3166-1
// alpha-2 when it came in over the API; what a provider already holds is kept as it is.
type Address struct {
	Line1      string `json:"line1,omitempty"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city,omitempty"`
	State      string `json:"state,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Country    string `json:"country,omitempty"`
}

// Fields is one side's synced state. Empty and absent are the same value. Reserved holds the metadata keys that Tandem
// itself writes at the provider (ReservedKeys); nil means "no opinion": whatever the other side has is fine.
type Fields struct {
	Name     string            `json:"name,omitempty"`
	Email    string            `json:"email,omitempty"`
	Phone    string            `json:"phone,omitempty"`
	Address  Address           `json:"address,omitzero"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Reserved map[string]string `json:"reserved,omitzero"`
}

// The metadata keys Tandem writes on the remote customer at create. They are how a remote customer is recognised as
// ours when every other trace is lost; they are never imported as user metadata and API callers cannot set them.
const (
	KeyCustomerID  = "flexprice_customer_id"
	KeyEnvironment = "flexprice_environment"
	KeyExternalID  = "external_id"
)

// IsReserved reports whether a metadata key belongs to Tandem.
func IsReserved(key string) bool {
	return key == KeyCustomerID || key == KeyEnvironment || key == KeyExternalID
}

// Fields returns the customer's synced state, without an opinion on reserved metadata.
func (c Customer) Fields() Fields {
	return Fields{Name: c.Name, Email: c.Email, Phone: c.Phone, Address: c.Address, Metadata: c.Metadata}
}

// With returns a copy of the customer with p applied.
func (c Customer) With(p Patch) Customer {
	f := c.Fields().With(p)
	c.Name, c.Email, c.Phone, c.Address, c.Metadata = f.Name, f.Email, f.Phone, f.Address, f.Metadata
	return c
}

// ReservedFor returns the reserved metadata that a remote customer of c carries in this environment.
func (c Customer) ReservedFor(environment string) map[string]string {
	r := map[string]string{KeyCustomerID: c.ID, KeyEnvironment: environment}
	if c.ExternalID != "" {
		r[KeyExternalID] = c.ExternalID
	}
	return r
}

// Patch is a set of field changes. A nil pointer leaves a field alone, a pointer to the zero value clears it; in the
// maps an absent key is left alone and an empty value removes the key.
type Patch struct {
	Name     *string           `json:"name,omitempty"`
	Email    *string           `json:"email,omitempty"`
	Phone    *string           `json:"phone,omitempty"`
	Address  *Address          `json:"address,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Reserved map[string]string `json:"reserved,omitempty"`
}

// IsEmpty reports whether p changes nothing.
func (p Patch) IsEmpty() bool {
	return p.Name == nil && p.Email == nil && p.Phone == nil && p.Address == nil && len(p.Metadata) == 0 && len(p.Reserved) == 0
}

// With returns a copy of f with p applied; f itself, its maps included, is not touched.
func (f Fields) With(p Patch) Fields {
	set(&f.Name, p.Name)
	set(&f.Email, p.Email)
	set(&f.Phone, p.Phone)
	set(&f.Address, p.Address)
	f.Metadata = withKeys(f.Metadata, p.Metadata)
	f.Reserved = withKeys(f.Reserved, p.Reserved)
	return f
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

func withKeys(m, changes map[string]string) map[string]string {
	if len(changes) == 0 {
		return m
	}
	out := maps.Clone(m)
	if out == nil {
		out = make(map[string]string, len(changes))
	}
	for k, v := range changes {
		if v == "" {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// canonical forms: what two values are compared by. Surrounding white space and the case of a country code carry no
// meaning to a person, and providers are known to change them; everything else does. In particular the case of an
// e-mail address is compared: a person who corrects it wants it corrected on the other side too.
func canonicalText(s string) string { return strings.TrimSpace(s) }

func canonicalAddress(a Address) Address {
	return Address{
		Line1: canonicalText(a.Line1), Line2: canonicalText(a.Line2), City: canonicalText(a.City),
		State: canonicalText(a.State), PostalCode: canonicalText(a.PostalCode),
		Country: strings.ToUpper(canonicalText(a.Country)),
	}
}

// Equal compares canonical forms. Reserved metadata is compared only where both sides have an opinion.
func (f Fields) Equal(g Fields) bool {
	if f.Reserved == nil || g.Reserved == nil {
		f.Reserved, g.Reserved = nil, nil
	}
	return canonicalText(f.Name) == canonicalText(g.Name) &&
		canonicalText(f.Email) == canonicalText(g.Email) &&
		canonicalText(f.Phone) == canonicalText(g.Phone) &&
		canonicalAddress(f.Address) == canonicalAddress(g.Address) &&
		equalKeys(f.Metadata, g.Metadata) && equalKeys(f.Reserved, g.Reserved)
}

func equalKeys(a, b map[string]string) bool {
	for k, v := range a {
		if canonicalText(v) != canonicalText(b[k]) {
			return false
		}
	}
	for k, v := range b {
		if canonicalText(v) != canonicalText(a[k]) {
			return false
		}
	}
	return true
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
	b, a := text(before.Address), text(after.Address)
	if b == a && before.Address != after.Address { // the same parts in other places
		b, a = strings.Join(before.Address.parts(), ", "), strings.Join(after.Address.parts(), ", ")
	}
	add(FieldAddress, b, a)
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
	return strings.Join(slices.DeleteFunc(a.parts(), func(s string) bool { return s == "" }), ", ")
}

func (a Address) parts() []string {
	return []string{a.Line1, a.Line2, a.City, a.State, a.PostalCode, a.Country}
}
