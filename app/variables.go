package app

import (
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// alsoKnown are the variables of the command line, of tandem-dev and of the tests.
var alsoKnown = []string{"TANDEM_URL", "TANDEM_API_KEY", "TANDEM_DATA_DIR", "TANDEM_TEST_POSTGRES", "TANDEM_RECORD_HISTORIES", "STRIPE_TEST_API_KEY"}

// fromKubernetes sets variables for a service that is called tandem; nobody has misspelt anything.
var fromKubernetes = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_.*)?)$`)

// knownVariables is by the name of the field in Config, for what is read from the environment.
func knownVariables() map[string]string {
	out, config := map[string]string{}, reflect.TypeFor[Config]()
	for i := range config.NumField() {
		if name := config.Field(i).Tag.Get("env"); name != "" && name != "-" {
			out[config.Field(i).Name] = name
		}
	}
	return out
}

// unknownVariable is set, looks like one of ours, and is read by nobody: most often a misspelt name, whose default then
// holds without a word.
type unknownVariable struct{ name, nearest string }

func (u unknownVariable) String() string {
	if u.nearest == "" {
		return u.name + ": is not known, and was ignored"
	}
	return fmt.Sprintf("%s: is not known, and was ignored; did you mean %s?", u.name, u.nearest)
}

func unknownVariables(environ []string) (out []unknownVariable) {
	known := slices.Clone(alsoKnown)
	for _, name := range knownVariables() {
		known = append(known, name)
	}
	slices.Sort(known)
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		ours := strings.HasPrefix(name, "TANDEM_") || strings.HasPrefix(name, "STRIPE_")
		if ours && !slices.Contains(known, name) && !fromKubernetes.MatchString(name) {
			out = append(out, unknownVariable{name, nearest(name, known)})
		}
	}
	slices.SortFunc(out, func(a, b unknownVariable) int { return strings.Compare(a.name, b.name) })
	return out
}

// nearest is the known name that takes the fewest letters to change, if they are few.
func nearest(name string, known []string) string {
	best, fewest := "", 1+len(name)/3
	for _, k := range known {
		if d := distance(name, k); d < fewest {
			best, fewest = k, d
		}
	}
	return best
}

// distance is how many letters have to be put in, left out or replaced (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// warnOfUnknown says what was ignored.
func (c Config) warnOfUnknown(logger *slog.Logger) {
	for _, u := range c.unknown {
		logger.Warn("config.unknown_variable", "variable", u.name, "nearest", u.nearest)
	}
}
