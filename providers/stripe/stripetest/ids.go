package stripetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// ids makes Stripe-looking identifiers. Every prefix counts for itself, so
// that with a fixed seed the third customer has the same id whatever the
// number of requests or events before it.
type ids struct {
	seed [8]byte
	next map[string]uint64
}

func newIDs(deterministic bool, seed uint64) ids {
	g := ids{next: map[string]uint64{}}
	if deterministic {
		binary.BigEndian.PutUint64(g.seed[:], seed)
		return g
	}
	_, _ = rand.Read(g.seed[:]) // crypto/rand.Read never fails
	return g
}

const (
	alnum  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	hexCap = "0123456789ABCDEF"
)

func (g *ids) make(prefix string, length int) string {
	return prefix + g.draw(prefix, length, alnum)
}

// draw hashes seed, name and count: one byte of the hash per character.
func (g *ids) draw(name string, length int, alphabet string) string {
	n := g.next[name]
	g.next[name] = n + 1
	block := binary.BigEndian.AppendUint64(append(g.seed[:len(g.seed):len(g.seed)], name...), n)
	sum := sha256.Sum256(block)
	out := make([]byte, length)
	for i := range out {
		out[i] = alphabet[int(sum[i%len(sum)])%len(alphabet)]
	}
	return string(out)
}
