package api

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem"
)

const fieldMetadata = "metadata"

// readOnly are the fields of a customer that only Tandem sets. They are known, so they deserve a better answer than
// "unknown".
var readOnly = []string{"id", "status", "version", "created_at", "updated_at", "archived_at", "provider_info"}

// decodeChange reads a JSON merge patch of a customer: null clears, what is absent is left alone. A create is the same
// patch, of nothing.
func decodeChange(body []byte) (tandem.Change, faults, error) {
	var ch tandem.Change
	var f faults
	ms, err := parseObject(body)
	if err != nil {
		return ch, f, err
	}
	for _, name := range repeated(ms) {
		f.shape = append(f.shape, fault(name, "duplicate", "appears more than once"))
	}
	for _, m := range ms {
		f.decodeMember(&ch, m)
	}
	if country := ch.Address.Country; country != nil {
		upper := strings.ToUpper(*country)
		ch.Address.Country = &upper
	}
	return ch, f, nil
}

func (f *faults) decodeMember(ch *tandem.Change, m member) {
	if m.name == fieldMetadata {
		f.decodeMetadata(ch, m.raw)
		return
	}
	target := textField(ch, m.name)
	switch {
	case target != nil:
		if s, ok := f.text(m.name, m.raw); ok {
			*target = &s
		}
	case slices.Contains(readOnly, m.name):
		f.shape = append(f.shape, fault(m.name, "read_only", "is set by Tandem"))
	default:
		f.shape = append(f.shape, fault(m.name, "unknown_field", "is no field of a customer"))
	}
}

// textField is the list of what a caller may set, beside metadata; nil for any other name.
func textField(ch *tandem.Change, name string) **string {
	switch name {
	case "external_id":
		return &ch.ExternalID
	case "name":
		return &ch.Patch.Name
	case "email":
		return &ch.Patch.Email
	case "phone":
		return &ch.Patch.Phone
	case "address_line1":
		return &ch.Address.Line1
	case "address_line2":
		return &ch.Address.Line2
	case "address_city":
		return &ch.Address.City
	case "address_state":
		return &ch.Address.State
	case "address_postal_code":
		return &ch.Address.PostalCode
	case "address_country":
		return &ch.Address.Country
	}
	return nil
}

// decodeMetadata reads the merge patch of the metadata: null or "" removes a key, null instead of the object all of
// them.
func (f *faults) decodeMetadata(ch *tandem.Change, raw json.RawMessage) {
	if kindOf(raw) == kindNull {
		ch.ClearMetadata = true
		return
	}
	ch.Patch.Metadata = f.texts(fieldMetadata, raw)
}

func metadataField(key string) string { return fieldMetadata + "." + key }
