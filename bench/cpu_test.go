//go:build bench

package bench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cpu is processor time by who used it. On a busy machine it says more than a rate does: divided by the events it stays
// the same when others take the cores away.
type cpu struct{ tandem, postgres, sender, temporal time.Duration }

// used reads the processor time since the start, of the processes that live. Linux only.
func (s *stack) used(t *testing.T) (c cpu) {
	t.Helper()
	parents, names, spent := processes(t)
	for pid := range parents {
		for up := pid; up > 1; up = parents[up] {
			if up != s.pid {
				continue
			}
			if names[pid] == "postgres" {
				c.postgres += spent[pid]
			} else {
				c.tandem += spent[pid]
			}
		}
		if strings.HasPrefix(names[pid], "temporal") {
			c.temporal += spent[pid]
		}
	}
	c.sender = spent[os.Getpid()]
	return c
}

const ticks = time.Second / 100 // USER_HZ, the same on every Linux

func processes(t *testing.T) (parents map[int]int, names map[int]string, spent map[int]time.Duration) {
	t.Helper()
	parents, names, spent = map[int]int{}, map[int]string{}, map[int]time.Duration{}
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		head, tail, _ := strings.Cut(string(raw), ") ")
		_, names[pid], _ = strings.Cut(head, "(")
		f := strings.Fields(tail) // from the state on
		parents[pid], err = strconv.Atoi(f[1])
		require.NoError(t, err)
		for _, field := range f[11:13] { // utime, stime
			n, err := strconv.Atoi(field)
			require.NoError(t, err)
			spent[pid] += time.Duration(n) * ticks
		}
	}
	return parents, names, spent
}

// per says what one of n events cost since before.
func (c cpu) per(n int, before cpu) string {
	each := func(d time.Duration) int64 { return (d / time.Duration(n)).Microseconds() }
	return fmt.Sprintf("µs of processor per event: tandem %d, postgres %d, sender %d, temporal %d",
		each(c.tandem-before.tandem), each(c.postgres-before.postgres), each(c.sender-before.sender), each(c.temporal-before.temporal))
}
