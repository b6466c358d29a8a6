package stripe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem"
)

// Stripe's limits, in characters: those of its OpenAPI document, and those of its page on metadata.
const (
	maxName          = 256
	maxEmail         = 512
	maxPhone         = 20
	maxAddressPart   = 5000
	maxMetadataKeys  = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500

	// reservedKeys are always counted: a customer that gets its external id later must still fit.
	reservedKeys = 3
)

const (
	faultTooLong = "too_long"
	faultTooMany = "too_many"
	faultInvalid = "invalid"

	metadataField = fieldMetadata + "." // the HTTP API's name of one entry: metadata.<key>
)

// Check implements tandem.Provider. Faults come in a stable order: fields as the HTTP API lists them, then metadata by
// key. Shapes of e-mail addresses and phone numbers are left to Stripe, whose rules are not published.
func (p *Provider) Check(f tandem.Fields) []tandem.FieldError {
	var c checker
	c.length("name", f.Name, maxName)
	c.length("email", f.Email, maxEmail)
	c.length("phone", f.Phone, maxPhone)
	c.length("address_line1", f.Address.Line1, maxAddressPart)
	c.length("address_line2", f.Address.Line2, maxAddressPart)
	c.length("address_city", f.Address.City, maxAddressPart)
	c.length("address_state", f.Address.State, maxAddressPart)
	c.length("address_postal_code", f.Address.PostalCode, maxAddressPart)
	c.length("address_country", f.Address.Country, maxAddressPart)
	c.metadata(f)
	return c.faults
}

type checker struct{ faults []tandem.FieldError }

func (c *checker) add(field, code, format string, args ...any) {
	c.faults = append(c.faults, tandem.FieldError{Field: field, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) length(field, value string, limit int) {
	if n := utf8.RuneCountInString(value); n > limit {
		c.add(field, faultTooLong, "Stripe takes at most %d characters, this has %d", limit, n)
	}
}

func (c *checker) metadata(f tandem.Fields) {
	count := reservedKeys
	if f.Reserved != nil {
		count = countValues(f.Reserved)
	}
	if count += countValues(f.Metadata); count > maxMetadataKeys {
		c.add(fieldMetadata, faultTooMany, "Stripe takes at most %d metadata keys, with Tandem's own these are %d",
			maxMetadataKeys, count)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		if value := f.Metadata[key]; value != "" { // an empty value is no entry
			c.key(key)
			c.length(metadataField+key, value, maxMetadataValue)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Reserved)) {
		field := metadataField + key
		if key == tandem.KeyExternalID {
			field = "external_id"
		}
		c.length(field, f.Reserved[key], maxMetadataValue)
	}
}

func (c *checker) key(key string) {
	switch {
	case key == "":
		c.add(fieldMetadata, faultInvalid, "a metadata key cannot be empty")
	case strings.ContainsAny(key, "[]"):
		c.add(metadataField+key, faultInvalid, "Stripe takes no square brackets in a metadata key")
	case tandem.IsReserved(key):
		c.add(metadataField+key, faultInvalid, "this metadata key is Tandem's own")
	case utf8.RuneCountInString(key) > maxMetadataKey:
		c.add(metadataField+key, faultTooLong, "Stripe takes metadata keys of at most %d characters", maxMetadataKey)
	}
}

func countValues(m map[string]string) int {
	n := 0
	for _, v := range m {
		if v != "" {
			n++
		}
	}
	return n
}
