package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem"
)

// member is one name and value of a JSON object, in the order of the body.
type member struct {
	name string
	raw  json.RawMessage
}

// parseObject takes a JSON object apart. encoding/json alone would take the last of two equal names, match names in
// any case and replace what is not UTF-8: three ways in which a request would mean something else here than to its
// sender.
func parseObject(body []byte) ([]member, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, malformed("the body is empty; send a JSON object")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, syntaxError(err)
	}
	if kindOf(raw) != kindObject {
		return nil, malformed("the body must be a JSON object, not %s", kindOf(raw))
	}
	return members(raw)
}

// members expects an object that was found to be valid JSON.
func members(object json.RawMessage) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return nil, syntaxError(err)
	}
	var out []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, syntaxError(err)
		}
		m := member{name: name.(string)} //nolint:forcetypeassert // a name in valid JSON
		if err := dec.Decode(&m.raw); err != nil {
			return nil, syntaxError(err)
		}
		out = append(out, m)
	}
	return out, nil
}

func malformed(format string, args ...any) error {
	return tandem.Errorf(tandem.Invalid, codeMalformed, format, args...)
}

// syntaxError says where, but quotes nothing.
func syntaxError(err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed("the body is not valid JSON: see byte %d", e.Offset)
	}
	return malformed("the body is not valid JSON")
}

// The kinds of JSON values, in the words of a message.
const (
	kindString  = "a string"
	kindObject  = "an object"
	kindArray   = "an array"
	kindNull    = "null"
	kindBoolean = "a boolean"
	kindNumber  = "a number"
)

func kindOf(raw json.RawMessage) string {
	switch bytes.TrimSpace(raw)[0] { // valid JSON is never empty
	case '"':
		return kindString
	case '{':
		return kindObject
	case '[':
		return kindArray
	case 'n':
		return kindNull
	case 't', 'f':
		return kindBoolean
	}
	return kindNumber
}

// faults collects what is wrong with a request. Shape: it cannot be understood, 400. Value: understood and refused, 422.
type faults struct {
	shape []tandem.FieldError
	value []tandem.FieldError
}

// maxFaults keeps the answer to a body of ten thousand faults short.
const maxFaults = 50

func (f faults) err() error {
	code, detail, fields := tandem.CodeInvalidRequest, "some fields are not valid", f.value
	if len(f.shape) > 0 {
		code, detail, fields = codeMalformed, "the body is not what this route reads", f.shape
	}
	if len(fields) == 0 {
		return nil
	}
	return &tandem.Error{Class: tandem.Invalid, Code: code, Message: detail, Fields: fields[:min(len(fields), maxFaults)]}
}

func fault(field, code, message string) tandem.FieldError {
	return tandem.FieldError{Field: shown(field), Code: code, Message: message}
}

// shown makes a name that a client made up fit for an answer.
func shown(name string) string {
	const limit = 100
	name = strings.ToValidUTF8(name, "�")
	if utf8.RuneCountInString(name) > limit {
		name = string([]rune(name)[:limit]) + "…"
	}
	return name
}

// text reads a string; null is the empty string. The second value is false when a fault was noted.
func (f *faults) text(field string, raw json.RawMessage) (string, bool) {
	kind := kindOf(raw)
	if kind == kindNull {
		return "", true
	}
	if kind != kindString {
		f.shape = append(f.shape, fault(field, "wrong_type", "must be a string or null, not "+kind))
		return "", false
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		f.shape = append(f.shape, fault(field, "malformed", "is not a valid JSON string"))
		return "", false
	}
	if message := unstorable(raw, s); message != "" {
		f.value = append(f.value, fault(field, "invalid_characters", message))
		return "", false
	}
	return s, true
}

// texts reads an object of strings; nil when it is none. All faults are noted.
func (f *faults) texts(field string, raw json.RawMessage) map[string]string {
	if kind := kindOf(raw); kind != kindObject {
		f.shape = append(f.shape, fault(field, "wrong_type", "must be an object of strings or null, not "+kind))
		return nil
	}
	ms, err := members(raw)
	if err != nil {
		f.shape = append(f.shape, fault(field, "malformed", "is not a valid JSON object"))
		return nil
	}
	for _, name := range repeated(ms) {
		f.shape = append(f.shape, fault(field+"."+name, "duplicate", "appears more than once"))
	}
	out := make(map[string]string, len(ms))
	for _, m := range ms {
		if s, ok := f.text(field+"."+m.name, m.raw); ok {
			out[m.name] = s
		}
	}
	return out
}

// unstorable says why s cannot be kept as it was written. The decoder replaces what is not text by U+FFFD: one that
// nobody wrote gives that away.
func unstorable(raw json.RawMessage, s string) string {
	switch {
	case strings.ContainsRune(s, 0):
		return "must not contain the NUL character"
	case !utf8.Valid(raw) || strings.Count(s, "�") > writtenReplacements(raw):
		return "must be valid UTF-8"
	}
	return ""
}

func writtenReplacements(raw []byte) int {
	escaped := bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`))
	return escaped + bytes.Count(raw, []byte("�"))
}

// repeated lists the names that appear more than once.
func repeated(ms []member) []string {
	var out []string
	times := make(map[string]int, len(ms))
	for _, m := range ms {
		if times[m.name]++; times[m.name] == 2 {
			out = append(out, m.name)
		}
	}
	return out
}
