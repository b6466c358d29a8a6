package api

import (
	"bytes"
	"slices"

	"github.com/labstack/echo/v4"
)

// form is what a body may hold, for the routes that take a handful of named values rather than a merge patch.
type form struct {
	noun     string                        // what the fields belong to, for "is no field of …"
	texts    map[string]*string            // absent, null and "" are the same
	maps     map[string]*map[string]string // absent leaves nil, null an empty map
	flags    map[string]*bool              // absent and null leave it as it is
	readOnly []string
}

// read fills the form from the request's body. Faults of shape are noted, not returned, so that the caller can add its
// own before it answers with all of them.
func (fm form) read(c echo.Context) (faults, error) {
	var f faults
	body, err := readJSON(c, echo.MIMEApplicationJSON)
	if err != nil {
		return f, err
	}
	ms, err := parseObject(body)
	if err != nil {
		return f, err
	}
	for _, name := range repeated(ms) {
		f.shape = append(f.shape, fault(name, "duplicate", "appears more than once"))
	}
	for _, m := range ms {
		f.fill(fm, m)
	}
	return f, nil
}

func (f *faults) fill(fm form, m member) {
	switch {
	case fm.texts[m.name] != nil:
		*fm.texts[m.name], _ = f.text(m.name, m.raw)
	case fm.maps[m.name] != nil && kindOf(m.raw) == kindNull:
		*fm.maps[m.name] = map[string]string{}
	case fm.maps[m.name] != nil:
		*fm.maps[m.name] = f.texts(m.name, m.raw)
	case fm.flags[m.name] != nil:
		f.flag(fm.flags[m.name], m)
	case slices.Contains(fm.readOnly, m.name):
		f.shape = append(f.shape, fault(m.name, "read_only", "is set by Tandem"))
	default:
		f.shape = append(f.shape, fault(m.name, "unknown_field", "is no field of "+fm.noun))
	}
}

// flag reads true or false; a word in quotes is neither.
func (f *faults) flag(to *bool, m member) {
	switch kind := kindOf(m.raw); kind {
	case kindNull:
	case kindBoolean:
		*to = bytes.TrimSpace(m.raw)[0] == 't'
	default:
		f.shape = append(f.shape, fault(m.name, "wrong_type", "must be true, false or null, not "+kind))
	}
}

// word expects one of a few words. An empty one is required unless there is a default, which the caller has filled in.
func (f *faults) word(field, value string, words ...string) {
	switch {
	case value == "":
		f.required(field)
	case !slices.Contains(words, value):
		f.refuse(field, "invalid", "must be "+choice(words))
	}
}

// required notes that a value is missing, unless something worse is known of it.
func (f *faults) required(field string) {
	if !f.refused(field) {
		f.refuse(field, "required", "must be given")
	}
}
