package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem"
)

// The variables of the merge policy.
const (
	fieldOwners    = "TANDEM_FIELD_OWNERS"
	fieldConflicts = "TANDEM_FIELD_CONFLICTS"
)

// everyField stands for the fields that have no entry of their own.
const everyField = "*"

var (
	owners      = []tandem.Owner{tandem.OwnedByBoth, tandem.OwnedByPlatform, tandem.OwnedByProvider, tandem.NotSynced}
	winners     = []tandem.Winner{tandem.PlatformWins, tandem.ProviderWins, tandem.Hold}
	policyNames = []string{tandem.FieldName, tandem.FieldEmail, tandem.FieldPhone, tandem.FieldAddress, tandem.FieldMetadata}
)

// mergePolicy reads the policy of every field from the two variables. A metadata key without an entry of its own takes
// that of "metadata", any field without one that of "*", for owner and conflict each by itself.
func (c Config) mergePolicy(bad func(variable, format string, args ...any)) tandem.MergePolicy {
	owner := parseFields(c.FieldOwners, owners, func(format string, args ...any) { bad(fieldOwners, format, args...) })
	winner := parseFields(c.FieldConflicts, winners, func(format string, args ...any) { bad(fieldConflicts, format, args...) })
	policy := tandem.MergePolicy{}
	for _, field := range slices.Concat(policyNames, owner.fields, winner.fields) {
		if fp := (tandem.FieldPolicy{Owner: owner.of(field), Conflict: winner.of(field)}); field != everyField && fp != (tandem.FieldPolicy{}) {
			policy[field] = fp
		}
	}
	for _, field := range winner.fields {
		if o := policy[field].Owner; o != "" && o != tandem.OwnedByBoth {
			bad(fieldConflicts, "%s: its owner is %s, so there is no conflict to decide", field, o)
		}
	}
	return policy
}

// choices is one variable, in the order it was written.
type choices[T ~string] struct {
	fields []string
	values map[string]T
}

func (c choices[T]) of(field string) T {
	group, _, _ := strings.Cut(field, ".")
	for _, name := range []string{field, group} {
		if v, ok := c.values[name]; ok {
			return v
		}
	}
	return c.values[everyField]
}

// parseFields reads field=value, comma separated, and names every fault.
func parseFields[T ~string](text string, known []T, bad func(format string, args ...any)) choices[T] {
	out := choices[T]{values: map[string]T{}}
	if strings.TrimSpace(text) == "" {
		return out
	}
	for i, entry := range strings.Split(text, ",") {
		at := strings.LastIndex(entry, "=") // a metadata key may have one too
		if at < 0 {
			bad("entry %d: must look like email=%s", i+1, known[0])
			continue
		}
		field, value := strings.TrimSpace(entry[:at]), T(strings.TrimSpace(entry[at+1:]))
		if fault := fieldFault(field); fault != "" {
			bad("entry %d: %s", i+1, fault)
			continue
		}
		if _, twice := out.values[field]; twice {
			bad("entry %d: %s is there twice", i+1, field)
		}
		if !slices.Contains(known, value) {
			bad("entry %d: %s must be one of %s, not %q", i+1, field, list(known), value)
		}
		out.fields, out.values[field] = append(out.fields, field), value
	}
	return out
}

func fieldFault(field string) string {
	key, isKey := strings.CutPrefix(field, tandem.FieldMetadata+".")
	switch {
	case isKey && key == "":
		return "a metadata key is missing behind metadata."
	case isKey && key == everyField:
		return "all metadata keys together are metadata, not metadata.*"
	case isKey && tandem.IsReserved(key):
		return field + " belongs to Tandem"
	case strings.HasPrefix(field, tandem.FieldAddress+"_") || strings.HasPrefix(field, tandem.FieldAddress+"."):
		return "an address is synced as one value: address, not " + field
	case !isKey && field != everyField && !slices.Contains(policyNames, field):
		return fmt.Sprintf("%q is no synced field: %s, metadata.<key> or *", field, strings.Join(policyNames, ", "))
	}
	return ""
}

func list[T ~string](values []T) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return strings.Join(out, ", ")
}
