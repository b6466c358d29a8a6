package stripetest

import (
	"maps"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// node is one value of a bracketed form: a leaf with text, or a branch.
// address[city]=Oslo is branch address with leaf city; types[]=a and
// types[0]=a are both branch types with leaf 0.
type node struct {
	text string
	leaf bool
	kids map[string]*node
}

// parseForm turns name[sub][sub]=value pairs into a tree.
func parseForm(values url.Values) (*node, *apiError) {
	root := &node{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		path, ok := splitName(name)
		if !ok {
			return nil, invalidName(name)
		}
		for _, v := range values[name] {
			if !root.put(path, v) {
				return nil, badRequest("", path[0], "Invalid object: "+path[0]+" is both a value and a hash")
			}
		}
	}
	return root, nil
}

// invalidName answers a name whose brackets do not pair up. The usual way to
// get there is a metadata key that contains a bracket itself.
func invalidName(name string) *apiError {
	if strings.HasPrefix(name, "metadata[") {
		return badRequest("", "metadata", "Metadata keys cannot contain square brackets ([ or ]): "+name)
	}
	return unknownParams([]string{name})
}

// splitName cuts a[b][c] into a, b, c.
func splitName(name string) ([]string, bool) {
	base, rest, nested := strings.Cut(name, "[")
	if base == "" {
		return nil, false
	}
	path := []string{base}
	for nested {
		key, tail, closed := strings.Cut(rest, "]")
		if !closed || strings.Contains(key, "[") {
			return nil, false
		}
		path = append(path, key)
		if tail == "" {
			return path, true
		}
		if tail[0] != '[' {
			return nil, false
		}
		rest = tail[1:]
	}
	return path, true
}

// put reports false when a name is used both as a value and as a branch.
func (n *node) put(path []string, value string) bool {
	if len(path) == 0 {
		if n.kids != nil {
			return false
		}
		n.text, n.leaf = value, true
		return true
	}
	if n.leaf {
		return false
	}
	if n.kids == nil {
		n.kids = map[string]*node{}
	}
	key := path[0]
	if key == "" { // name[]: the next free index
		key = strconv.Itoa(len(n.kids))
	}
	if n.kids[key] == nil {
		n.kids[key] = &node{}
	}
	return n.kids[key].put(path[1:], value)
}

func (n *node) names() []string {
	if n == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(n.kids))
}

// get returns the leaf text of a name and whether it was sent.
func (n *node) get(name string) (string, bool) {
	if n == nil || n.kids[name] == nil || !n.kids[name].leaf {
		return "", false
	}
	return n.kids[name].text, true
}

func (n *node) text0(name string) string {
	v, _ := n.get(name)
	return v
}

func (n *node) kid(name string) *node {
	if n == nil {
		return nil
	}
	return n.kids[name]
}

// list returns the leaves of an array in index order.
func (n *node) list() []string {
	keys := n.names()
	sort.SliceStable(keys, func(i, j int) bool {
		a, _ := strconv.Atoi(keys[i])
		b, _ := strconv.Atoi(keys[j])
		return a < b
	})
	out := make([]string, 0, len(keys))
	for _, k := range keys {
		out = append(out, n.kids[k].text)
	}
	return out
}

// isIndex tells an array's keys (0, 1, …) from a hash's.
func isIndex(key string) bool {
	_, err := strconv.Atoi(key)
	return err == nil
}

// dict returns the leaves of a hash.
func (n *node) dict() map[string]string {
	out := map[string]string{}
	for _, k := range n.names() {
		out[k] = n.kids[k].text
	}
	return out
}
