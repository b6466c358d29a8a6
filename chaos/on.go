//go:build chaos

package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// plan is what the environment asks for. A plan that cannot be read ends the process at once: a case that strikes
// nothing must not look like one that survived.
type plan struct {
	mu    sync.Mutex
	name  string
	hit   int
	armed string // this file has to exist before anything is counted; "" counts from the start
	seen  int
}

var ours = mustRead(os.Getenv("CHAOS_PLAN"), os.Getenv("CHAOS_ARM"))

func mustRead(text, armed string) *plan {
	p, err := read(text, armed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	return p
}

// read understands name:hit=n:kill.
func read(text, armed string) (*plan, error) {
	p := &plan{armed: armed}
	if text == "" {
		return p, nil
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] == "" || parts[2] != "kill" {
		return nil, fmt.Errorf("CHAOS_PLAN %q must look like create.before_stripe:hit=1:kill", text)
	}
	count, found := strings.CutPrefix(parts[1], "hit=")
	hit, err := strconv.Atoi(count)
	if !found || err != nil || hit < 1 {
		return nil, fmt.Errorf("CHAOS_PLAN %q: %q must be hit=1 or more", text, parts[1])
	}
	p.name, p.hit = parts[0], hit
	return p, nil
}

// Point is a place with one name.
func Point(name string) { ours.reach(name) }

// PointOf is a place that several acts pass; its name is act.place.
func PointOf(act, place string) { ours.reach(act + "." + place) }

func (p *plan) reach(name string) {
	if p.strikes(name) {
		die(name, p.hit)
	}
}

// strikes counts, and reports that this is the hit of the plan.
func (p *plan) strikes(name string) bool {
	if p.name == "" || name != p.name {
		return false
	}
	if p.armed != "" {
		if _, err := os.Stat(p.armed); err != nil {
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	return p.seen == p.hit
}

// die is kill -9 from within: no deferred call, no flush, no goodbye. The line before it is for whoever wants to know
// that it was this point and not another killer.
func die(name string, hit int) {
	fmt.Fprintf(os.Stderr, "chaos: killed at %s, hit %d\n", name, hit)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way; nothing after the point may happen
}
