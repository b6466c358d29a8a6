// Package e2e holds black-box tests of the whole stack: they build cmd/tandem-dev, run it as a user would, and speak
// HTTP to the API and to the control API of the Stripe stand-in. The database, Temporal and the log are only read, to
// check facts that no route tells.
//
// Nearly all tests share one calm stack and run in parallel, on customers of their own. TestTrouble has a rough one, for
// what strikes everybody at once. The tests in restart_test.go start and kill their own.
package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// generous bounds: a failure means that something is badly wrong, not that the machine is slow.
const (
	startTimeout = 5 * time.Minute // the first start on a machine builds Temporal's command line
	stopTimeout  = 30 * time.Second
	maxRSS       = 512 << 20
)

var (
	program string // cmd/tandem-dev
	calm    *stack
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("e2e: all tests skipped by -short")
		return
	}
	// A test here mostly waits for the stack. As many at a time as there are cores, the default, would be too few to be
	// quick; all of them would be more than a small machine can answer in time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// end stops a stack that has done its work and holds it to what is true of any: it leaves nothing behind, has written
// nothing personal or secret into its log, and has not eaten the machine.
func end(name string, s *stack, failed bool) error {
	rss, err := s.rss()
	if err == nil && rss > maxRSS {
		err = fmt.Errorf("tandem-dev has %d MiB of memory", rss>>20)
	}
	private := s.privateInLog()
	if failed {
		fmt.Print(s.complaints(name))
	}
	begun := time.Now()
	err = errors.Join(err, private, s.stop())
	fmt.Printf("e2e: %s stack: up in %.1f s, %d MiB resident at the end, down in %.1f s\n",
		name, s.took.Seconds(), rss>>20, time.Since(begun).Seconds())
	if err != nil {
		return fmt.Errorf("%s stack: %w\n%s", name, err, s.tail())
	}
	return nil
}
