package stripetest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Metadata limits as documented by Stripe.
const (
	maxMetadataKeys  = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
)

var (
	emailShape  = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
	prefixShape = regexp.MustCompile(`^[A-Z0-9]{3,12}$`)
	rangeParams = params{"gt": {kind: integer}, "gte": {kind: integer}, "lt": {kind: integer}, "lte": {kind: integer}}
	// expandable lists what a customer may expand at 2023-10-16. The stand-in
	// has none of these objects, so a known path is accepted and adds nothing.
	expandable = []string{"cash_balance", "default_source", "discount", "invoice_credit_balance",
		"invoice_settings.default_payment_method", "sources", "subscriptions", "tax", "tax_ids", "test_clock"}
)

// check holds a form against its allow-list. Everything it refuses is refused
// before execution begins, so the idempotency store never keeps it.
func check(n *node, allowed params, prefix string) *apiError {
	var unknown []string
	for _, name := range n.names() {
		if _, ok := allowed[name]; !ok {
			unknown = append(unknown, bracket(prefix, name))
		}
	}
	if unknown != nil {
		return unknownParams(unknown)
	}
	for _, name := range n.names() {
		if err := checkOne(n.kid(name), allowed[name], bracket(prefix, name)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		if allowed[name].required && n.kid(name) == nil {
			return missingParam(bracket(prefix, name))
		}
	}
	return nil
}

func bracket(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "[" + name + "]"
}

func checkOne(n *node, spec param, name string) *apiError {
	switch spec.kind {
	case loose:
		return nil
	case hash:
		return checkHash(n, spec, name)
	case array:
		return checkArray(n, name)
	case dict:
		return checkMetadata(n, name)
	case timeRange:
		if n.leaf {
			return checkInteger(n.text, name)
		}
		return check(n, rangeParams, name)
	default:
		if !n.leaf {
			return badRequest("", name, "Invalid string: "+name+" must be a string, not a hash or an array")
		}
		return checkScalar(n.text, spec, name)
	}
}

func checkHash(n *node, spec param, name string) *apiError {
	if !n.leaf {
		return check(n, spec.of, name)
	}
	if n.text != "" {
		return badRequest("", name, "Invalid object")
	}
	if spec.required {
		return emptyParam(name)
	}
	return nil
}

// checkArray accepts name[]=… and name[0]=…; name= is the empty array.
func checkArray(n *node, name string) *apiError {
	if n.leaf {
		if n.text != "" {
			return badRequest("", name, "Invalid array")
		}
		return nil
	}
	for _, key := range n.names() {
		if !isIndex(key) || !n.kids[key].leaf {
			return badRequest("", name, "Invalid array")
		}
	}
	return nil
}

func checkScalar(v string, spec param, name string) *apiError {
	switch spec.kind {
	case integer:
		return checkInteger(v, name)
	case boolean:
		if v != "true" && v != "false" {
			return badRequest("", name, "Invalid boolean: "+v)
		}
		return nil
	case choice:
		if !slices.Contains(spec.values, v) {
			return badRequest("", name, fmt.Sprintf("Invalid %s: must be one of %v", name, spec.values[1:]))
		}
		return nil
	case fixed:
		if v == "" {
			return emptyParam(name)
		}
	}
	if spec.max > 0 && utf8.RuneCountInString(v) > spec.max {
		return badRequest("", name, fmt.Sprintf("Invalid string: %s; must be at most %d characters", shorten(v), spec.max))
	}
	switch name {
	case "email":
		if spec.kind == text && v != "" && !emailShape.MatchString(v) {
			return badRequest("email_invalid", name, "Invalid email address: "+v)
		}
	case "invoice_prefix":
		if !prefixShape.MatchString(v) {
			return badRequest("", name, "Invoice prefixes must be 3 to 12 uppercase letters or numbers.")
		}
	}
	return nil
}

func checkInteger(v, name string) *apiError {
	if v == "" {
		return emptyParam(name)
	}
	if _, err := strconv.ParseInt(v, 10, 64); err != nil {
		return badRequest("parameter_invalid_integer", name, "Invalid integer: "+v)
	}
	return nil
}

func checkMetadata(n *node, name string) *apiError {
	if n.leaf {
		if n.text != "" {
			return badRequest("", name, "Invalid object")
		}
		return nil
	}
	for _, key := range n.names() {
		if !n.kids[key].leaf {
			return badRequest("", name, fmt.Sprintf("Metadata values must be strings, but the value of %s is not.", key))
		}
		if l := utf8.RuneCountInString(key); l > maxMetadataKey {
			return badRequest("", name, fmt.Sprintf("Metadata keys can have up to %d characters, but you passed in a key that is %d characters. Invalid key: %s",
				maxMetadataKey, l, key))
		}
		if l := utf8.RuneCountInString(n.kids[key].text); l > maxMetadataValue {
			return badRequest("", name, fmt.Sprintf("Metadata values can have up to %d characters, but you passed in a value that is %d characters. Invalid value: %s",
				maxMetadataValue, l, n.kids[key].text))
		}
	}
	return nil
}

// checkExpand refuses paths Stripe would not expand; lists prefix them with data.
func checkExpand(n *node, prefix string) *apiError {
	for _, path := range n.kid("expand").list() {
		if path == "total_count" && prefix != "" {
			continue
		}
		if !slices.Contains(expandable, strings.TrimPrefix(path, prefix)) {
			return badRequest("", "", fmt.Sprintf("This property cannot be expanded (%s).", path))
		}
	}
	return nil
}

func shorten(v string) string {
	r := []rune(v)
	if len(r) <= 20 {
		return v
	}
	return string(r[:10]) + "..." + string(r[len(r)-6:])
}
