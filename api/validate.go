package api

import (
	"maps"
	"net/mail"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem"
)

const (
	maxEmail      = 512
	maxExternalID = 255 // it becomes a metadata value at the provider
)

// validate adds what is wrong with the customer that the change would leave, by our own rules and by those of every
// provider.
func (s *Server) validate(f faults, ch tandem.Change, before, after tandem.Customer) error {
	f.externalID(before, after)
	f.email(before, after)
	f.country(before, after)
	f.metadataKeys(ch.Patch.Metadata)
	f.owned(s.merge.Forbidden(before.Fields(), after.Fields()), before.Address, after.Address)
	for _, p := range s.providers {
		f.provider(p, before, after)
	}
	return f.err()
}

func (f *faults) refuse(field, code, message string) {
	f.value = append(f.value, fault(field, code, message))
}

func (f *faults) refused(field string) bool {
	return slices.ContainsFunc(f.value, func(e tandem.FieldError) bool { return e.Field == shown(field) })
}

func (f *faults) externalID(before, after tandem.Customer) {
	if before.ExternalID != after.ExternalID && utf8.RuneCountInString(after.ExternalID) > maxExternalID {
		f.refuse("external_id", "too_long", "must have at most 255 characters")
	}
}

func (f *faults) email(before, after tandem.Customer) {
	switch {
	case after.Email == before.Email || after.Email == "":
	case utf8.RuneCountInString(after.Email) > maxEmail:
		f.refuse("email", "too_long", "must have at most 512 characters")
	case !isEmail(after.Email):
		f.refuse("email", "invalid", "must be an e-mail address like jenny@example.com")
	}
}

// isEmail wants exactly an address: no display name, no comment, no blanks around it, and a domain that can be reached
// from elsewhere.
func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" {
		return false
	}
	domain := s[strings.LastIndexByte(s, '@')+1:]
	return strings.Contains(domain, ".") && !strings.HasPrefix(domain, "[")
}

func (f *faults) country(before, after tandem.Customer) {
	if c := after.Address.Country; c != before.Address.Country && c != "" && !isCountry(c) {
		f.refuse("address_country", "invalid", "must be an ISO 3166-1 alpha-2 code like DE")
	}
}

// metadataKeys looks at what the caller wrote, removals too: the reserved keys are not there to be removed either.
func (f *faults) metadataKeys(written map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(written)) {
		switch {
		case key == "":
			f.refuse(fieldMetadata, "invalid", "a metadata key must not be empty")
		case tandem.IsReserved(key):
			f.refuse(metadataField(key), "reserved", "this key belongs to Tandem")
		case strings.ContainsRune(key, 0) || strings.ContainsRune(key, utf8.RuneError):
			f.refuse(metadataField(key), "invalid_characters", "must be valid UTF-8 without the NUL character")
		}
	}
}

// owned adds the fields that only the provider may change. One that is sent along as it is, as by a caller who read the
// customer and sends it back whole, changes nothing and is fine.
func (f *faults) owned(forbidden tandem.Patch, before, after tandem.Address) {
	var fields []string
	add := func(field string, changed bool) {
		if changed {
			fields = append(fields, field)
		}
	}
	add("name", forbidden.Name != nil)
	add("email", forbidden.Email != nil)
	add("phone", forbidden.Phone != nil)
	address := forbidden.Address != nil
	add("address_line1", address && before.Line1 != after.Line1)
	add("address_line2", address && before.Line2 != after.Line2)
	add("address_city", address && before.City != after.City)
	add("address_state", address && before.State != after.State)
	add("address_postal_code", address && before.PostalCode != after.PostalCode)
	add("address_country", address && before.Country != after.Country)
	for _, key := range slices.Sorted(maps.Keys(forbidden.Metadata)) {
		add(metadataField(key), !tandem.IsReserved(key))
	}
	for _, field := range fields {
		f.refuse(field, tandem.CodeOwnedByProvider, "only the payment provider may change this field here; change it there")
	}
}

// provider adds what the provider would refuse. What it refuses already, in a field that this change leaves alone, is
// no reason to refuse the change: only what is different is sent over.
func (f *faults) provider(p tandem.Provider, before, after tandem.Customer) {
	standing := p.Check(before.Fields())
	for _, e := range p.Check(after.Fields()) {
		stood := slices.ContainsFunc(standing, func(o tandem.FieldError) bool { return o.Field == e.Field && o.Code == e.Code })
		if (!stood || touched(e.Field, before, after)) && !f.refused(e.Field) {
			f.refuse(e.Field, e.Code, e.Message)
		}
	}
}

// touched takes the API's name of a field. More metadata touches all of it, as its number is limited too.
func touched(field string, before, after tandem.Customer) bool {
	if field == fieldMetadata {
		return len(after.Metadata) > len(before.Metadata)
	}
	return slices.ContainsFunc(tandem.Diff(before.Fields(), after.Fields()), func(d tandem.FieldChange) bool {
		return d.Field == field || d.Field == tandem.FieldAddress && strings.HasPrefix(field, "address_")
	})
}
